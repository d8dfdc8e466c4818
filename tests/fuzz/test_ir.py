"""IR files with faults: the command does its job or says what is wrong."""

import tempfile
from pathlib import Path

from hypothesis import strategies as st

from tests.fuzz import mutations
from tests.fuzz.bench import check, run_orderly, short_and_long

SEEDS = st.randoms(use_true_random=False)
NAMES = ["mean", "flatten", "transformer", "levels", "background", "patched_mean", "patched_levels"]
VERBS = ["inspect m.xml", "inspect m.xml --json", "insert m.xml", "insert m.xml --in-place --replace", "remove m.xml"]
VERBS += ["explain -m m.xml -i {photo} -o out", "explain -m m.xml -i {photo} -o out --classes all --report"]


def tried(worker, xml, weights, verb, photo):
    """Run a verb on a model, and require that what it wrote is whole."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "m.xml").write_bytes(xml)
        if weights is not None:
            (folder / "m.bin").write_bytes(weights)
        outcome = run_orderly(worker, verb.format(photo=photo).split(), folder)
        for written in folder.glob("m_*.xml"):
            assert outcome.code == 0
            assert worker.run(["inspect", written.name], folder).code in (0, 4)
        return outcome


@short_and_long(24, 950)
def test_a_spoilt_graph_is_read_or_refused(worker, models, photo, cases):
    @check(cases, random=SEEDS, name=st.sampled_from(NAMES), verb=st.sampled_from(VERBS))
    def _(random, name, verb):
        xml, weights = models[name]
        tried(worker, mutations.spoilt_ir(random, xml), weights, verb, photo)


@short_and_long(6, 250)
def test_spoilt_weights_are_read_or_refused(worker, models, photo, cases):
    @check(cases, random=SEEDS, name=st.sampled_from(NAMES), verb=st.sampled_from(VERBS))
    def _(random, name, verb):
        xml, weights = models[name]
        spoilt = None if random.random() < 0.05 else mutations.spoilt_bytes(random, weights)
        tried(worker, xml, spoilt, verb, photo)


@short_and_long(12, 350)
def test_a_spoilt_manifest_is_read_or_refused(worker, models, photo, cases):
    @check(cases, random=SEEDS, name=st.sampled_from(NAMES[-2:]), verb=st.sampled_from(VERBS))
    def _(random, name, verb):
        xml, weights = models[name]
        tried(worker, mutations.spoilt_manifest(random, xml), weights, verb, photo)
