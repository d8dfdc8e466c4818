"""Names of files and folders that are as odd as a file system allows."""

import os
import tempfile
from pathlib import Path

import cv2
import numpy as np
from hypothesis import strategies as st

from tests.fuzz.bench import check, require_order, short_and_long, unfinished

PARTS = ["\n", "\r", "\t", "'", '"', "`", "$(id)", "%s", "%", "#", "?", "&", "<b>", "..", ".", " ", "-", "--", "~", "*"]
PARTS += [
    "\u202e",
    "\u2066",
    "\u200b",
    "\ud7ff",
    "\U0001f600",
    "e\u0301",
    "\x1b[31m",
    "\\",
    ";",
    "|",
    "{{ 7 * 7 }}",
    ":",
]
PARTS += ["a", "ÿ", "日本", "\udcff", "\udce9", "x" * 100, "_saliency_map", ".xml", ".part"]


def is_a_name(text):
    """Return whether a file system takes a name and an ending of four characters behind it."""
    return len(os.fsencode(text)) <= 240


NAMES = st.lists(st.sampled_from(PARTS), min_size=1, max_size=4).map("".join).filter(is_a_name)


@short_and_long(6, 150)
def test_odd_names_are_opened_or_refused(worker, models, cases):
    xml, weights = models["patched_mean"]
    plain = models["mean"]

    @check(cases, stem=NAMES, folder=NAMES.filter(lambda text: text not in (".", "..")), image=NAMES)
    def _(stem, folder, image):
        with tempfile.TemporaryDirectory() as name:
            here = Path(name) / folder
            (here / "in").mkdir(parents=True)
            for prefix, pair in (("p", (xml, weights)), ("", plain)):
                (here / f"{prefix}{stem}.xml").write_bytes(pair[0])
                (here / f"{prefix}{stem}.bin").write_bytes(pair[1])
            picture = cv2.imencode(".png", np.full((8, 10, 3), 90, np.uint8))[1].tobytes()
            (here / "in" / f"{image}.png").write_bytes(picture)
            before = {path.name for path in here.iterdir()}
            for arguments in (
                ["explain", "-m", f"{folder}/p{stem}.xml", "-i", f"{folder}/in", "-o", f"{folder}/out", "--report"],
                ["insert", "--", f"{folder}/{stem}.xml"],
                ["insert", "--in-place", "--", f"{folder}/{stem}.xml"],
                ["remove", "--", f"./{folder}/p{stem}.xml"],
                ["inspect", f"./{folder}/{stem}.xml"],
                ["cards", f"./{folder}/{stem}.xml"],
            ):
                outcome = worker.run(arguments, name)
                require_order(outcome)
                assert not [path for path in unfinished(name) if b".part" not in os.fsencode(stem + folder + image)]
                assert all(line.isprintable() for line in outcome.err.splitlines() + outcome.out.splitlines())
            made = {path.name for path in here.iterdir()} - before
            assert all(item == "out" or item.endswith((".xml", ".bin")) for item in made)
