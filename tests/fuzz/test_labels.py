"""Labels that carry markup, and label files in odd encodings."""

import json
import tempfile
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import openvino as ov
import pytest
from hypothesis import strategies as st

from ov_xai import insert
from tests.fuzz.bench import check, require_order, short_and_long
from tests.models import classifier

MARKUP = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "</title><svg onload=alert(1)>",
    "&lt;b&gt;",
]
MARKUP += ['" onmouseover="alert(1)', "' onerror='alert(1)", "javascript:alert(1)", "</style><style>*{display:none}"]
MARKUP += ["{{ 7 * 7 }}", "{% raw %}", "${7 * 7}", "<!--", "]]>", "\u2028", "\u202e", "\x00", "\x1b[31m", "<img src=x>"]
MARKUP += [
    "data:text/html,<script>alert(1)</script>",
    "</main></body></html>",
    "`",
    "a",
    "ß",
    "\U0001f600",
    "../..",
    "%00",
]
TEXTS = st.lists(st.sampled_from(MARKUP), min_size=1, max_size=3).map("".join)
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1", "cp1252", "shift_jis", "utf-7", "cp037"]


class Page(HTMLParser):
    """Collects what a page consists of."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.scripts, self.inside = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        self.inside.append(tag)

    def handle_endtag(self, tag):
        self.inside.append(None)

    def handle_data(self, data):
        if self.inside and self.inside[-1] == "script":
            self.scripts.append(data)

    def skeleton(self):
        """Return what must not depend on any label: tags, names of attributes, scripts."""
        return self.tags, [name for name, _ in self.attributes], self.scripts


def explained(worker, folder, models, labels, image="x"):
    """Explain a photo with a report; return the outcome and the page, None when there is none."""
    for path, data in zip(("m.xml", "m.bin"), models["patched_mean"], strict=True):
        (folder / path).write_bytes(data)
    (folder / "in").mkdir()
    picture = cv2.imencode(".png", np.full((8, 10, 3), 90, np.uint8))[1].tobytes()
    (folder / "in" / f"{image}.png").write_bytes(picture)
    (folder / "labels.txt").write_bytes(labels)
    command = "explain -m m.xml -i in -o out --classes all --report --labels labels.txt"
    outcome = worker.run(command.split(), folder)
    require_order(outcome)
    page = folder / "out" / "report.html"
    return outcome, page.read_text() if page.exists() else None


@pytest.fixture(scope="module")
def harmless(worker, models, tmp_path_factory):
    """Return the page of harmless labels."""
    return Page(explained(worker, tmp_path_factory.mktemp("plain"), models, b"a\nb\nc\nd\ne\n")[1])


@short_and_long(6, 100)
def test_markup_in_labels_and_names_is_shown_and_not_obeyed(worker, models, harmless, cases):
    names = TEXTS.filter(lambda text: "/" not in text and "\0" not in text)

    @check(cases, labels=st.lists(TEXTS, min_size=5, max_size=5), image=names)
    def _(labels, image):
        with tempfile.TemporaryDirectory() as folder:
            outcome, text = explained(worker, Path(folder), models, "\n".join(labels).encode(), image)
            if text is None:
                assert outcome.code in (2, 5)
                return
            page = Page(text)
            assert page.skeleton() == harmless.skeleton()
            sources = [value for name, value in page.attributes if name in ("src", "href", "xlink:href", "action")]
            assert all(value.startswith("data:image/jpeg;base64,") for value in sources)
            for line in (Path(folder) / "out" / "explanations.jsonl").read_text().splitlines():
                for name in json.loads(line)["files"]:
                    assert (Path(folder) / "out" / name).resolve().parent == (Path(folder) / "out").resolve()


@short_and_long(4, 100)
def test_label_files_of_any_encoding_are_read_or_refused(worker, models, cases):
    text = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
    separators = st.sampled_from(["\n", "\r\n", "\r", "\n\n", "\0"])

    @check(cases, words=st.lists(text, max_size=7), separator=separators, encoding=st.sampled_from(ENCODINGS))
    def _(words, separator, encoding):
        with tempfile.TemporaryDirectory() as folder:
            labels = separator.join(words).encode(encoding, "replace")
            outcome, _ = explained(worker, Path(folder), models, labels)
            assert outcome.code in (0, 2, 5, 7)


def test_the_check_of_a_page_finds_what_is_injected(harmless):
    """The oracle itself: a page with a script, a handler or a link differs from the harmless one."""
    for piece in ("<script>alert(1)</script>", "<b onclick='x'>", "<a href='javascript:x'>"):
        assert Page(f"<p>{piece}</p>").skeleton() != Page("<p>x</p>").skeleton()
    assert harmless.tags.count("script") == 1
    assert not [name for name, _ in harmless.attributes if name.startswith("on")]


def test_labels_inside_a_model_are_not_obeyed_either(worker, models, harmless, tmp_path):
    labels = ["<script>alert(1)</script>", '"onload="x', "</title>", "b", "c"]
    ov.save_model(insert(classifier("mean", activation="softmax"), labels=labels), tmp_path / "m.xml")
    picture = cv2.imencode(".png", np.full((8, 10, 3), 90, np.uint8))[1].tobytes()
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x.png").write_bytes(picture)
    outcome = worker.run("explain -m m.xml -i in -o out --classes all --report".split(), tmp_path)
    assert outcome.code == 0
    page = Page((tmp_path / "out" / "report.html").read_text())
    assert page.skeleton() == harmless.skeleton()
