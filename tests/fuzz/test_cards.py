"""Cards with faults."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import strategies as st

from tests.fuzz.bench import check, require_order, short_and_long

VALUES = ['""', '"x"', '"sigmoid"', '"softmax"', '"none"', '"first"', '"last"', '"xyxy"', '"cxcywh"', '"pixels"', "0"]
VALUES += ["-1", "1", "2", "80", "9223372036854775807", "9223372036854775808", "1" + "0" * 400, "1.5", "nan", "inf"]
VALUES += [
    "true",
    "[]",
    "[1]",
    '["TopK"]',
    "{}",
    '{ a = "b" }',
    "1979-05-27T07:32:00Z",
    '"\\u0000\\u001b[31m"',
    "'''\n'''",
]
VALUES += ['"\\uD800"', "[[[[[[", '"' + "a" * 70000 + '"', "[" * 3000 + "]" * 3000, "0x" + "f" * 5000]
ENTRIES = {
    "": ["name", "title", "model_api", "colour"],
    "match": ["made_by", "shared_weights", "alone", "min_levels", "min_anchors", "columns", "ops", "outputs", "info"],
    "scores": ["activation", "background", "first_column", "objectness_column", "anchors"],
    "boxes": ["format", "unit"],
}


def entries(section):
    """Return lines of a section of a card."""
    pairs = st.tuples(st.sampled_from(ENTRIES[section]), st.sampled_from(VALUES))
    return st.lists(pairs, max_size=2).map(lambda found: [f"{name} = {value}" for name, value in dict(found).items()])


@st.composite
def cards(draw):
    """Return the text of a card."""
    lines = dict.fromkeys(['name = "a"', 'title = "b"']) | dict.fromkeys(draw(entries("")))
    for section in ("match", "scores", "boxes"):
        lines |= dict.fromkeys([f"[{section}]", *draw(entries(section))])
    text = "\n".join(lines)
    cut = draw(st.integers(0, 30).map(lambda number: max(0, number - 25)))
    return text.encode()[: len(text) - cut] + draw(
        st.sampled_from([b"", b"", b"", b"\0", b"\xff", b"\r", b"\xef\xbb\xbf"])
    )


@short_and_long(10, 300)
def test_a_spoilt_card_is_used_or_refused(worker, models, photo, cases):
    verbs = ["cards card.toml", "cards card.toml --json", "insert m.xml --card card.toml"]
    verbs += [f"explain -m m.xml -i {photo} -o out --classes all --card card.toml"]
    names = st.sampled_from(["levels", "background", "mean"])

    @check(cases, text=cards(), verb=st.sampled_from(verbs), name=names)
    def _(text, verb, name):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "card.toml").write_bytes(text)
            for path, data in zip(("m.xml", "m.bin"), models[name], strict=True):
                (Path(folder) / path).write_bytes(data)
            require_order(worker.run(verb.split(), folder))


@pytest.mark.parametrize(("boxes", "code"), [('format = "cxcywh"', 11), ('unit = "relative"', 11), ("", 0)])
def test_a_card_knows_all_of_the_boxes_or_nothing(worker, models, photo, tmp_path, boxes, code):
    for path, data in zip(("m.xml", "m.bin"), models["levels"], strict=True):
        (tmp_path / path).write_bytes(data)
    (tmp_path / "card.toml").write_text(f'name = "a"\ntitle = "b"\n[match]\n[boxes]\n{boxes}\n')
    outcome = worker.run(f"explain -m m.xml -i {photo} -o out --card card.toml".split(), tmp_path)
    assert outcome.code == code, outcome.err
