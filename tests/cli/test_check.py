"""`ov-xai check`: what it prints, writes and returns."""

import dataclasses
import json
from xml.etree import ElementTree

import pytest

from ov_xai import insert, save
from ov_xai.checks import CATALOGUE, Outcome, Result, Verdict, as_junit, catalogue
from ov_xai.cli.main import run
from tests.checks import sabotage as wrong
from tests.models import classifier

CODES = [item.code for item in CATALOGUE]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a folder with an original, an honest and two wrong copies, and work there."""
    save(classifier("two_dense"), tmp_path / "model.xml")
    patched = insert(tmp_path / "model.xml")
    save(patched, tmp_path / "good.xml")
    save(wrong.broken(patched, wrong.shifted_map), tmp_path / "bad.xml")
    save(wrong.broken(patched, wrong.without_manifest), tmp_path / "bare.xml")
    (tmp_path / "text.xml").write_text("hello")
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.jpg").write_bytes(b"no image")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def printed(capfd):
    return capfd.readouterr().out.splitlines()


def test_an_honest_model_passes_with_a_line_per_check(folder, capfd):
    assert run("check model.xml good.xml --skip CST".split()) == 0
    *lines, summary = printed(capfd)
    assert [line.split()[0] for line in lines] == [code for code in CODES if not code.startswith("CST")]
    assert {line.split()[1] for line in lines} == {"pass", "skip"}
    assert len({line.index(title) for line, title in zip(lines, titles(), strict=True)}) == 1
    assert summary.startswith("ok: ")


def titles():
    return [item.title for item in CATALOGUE if not item.code.startswith("CST")]


def test_a_failed_check_says_why_and_how_to_fix_it(folder, capfd):
    assert run("check model.xml bad.xml --only PER001,MAN".split()) == 1
    lines = printed(capfd)
    at = next(index for index, line in enumerate(lines) if line.startswith("PER001"))
    check = next(item for item in CATALOGUE if item.code == "PER001")
    assert lines[at].split()[1] == "FAIL"
    assert lines[at + 1].split(maxsplit=1) == ["why", check.why]
    assert lines[at + 2].split(maxsplit=1) == ["fix", check.fix]
    assert lines[-1] == "NOT OK: 3 passed, 1 failed (PER001)"


def test_skipped_checks_say_why(folder, capfd):
    assert run("check model.xml bare.xml --only MAN,MAP002".split()) == 1
    lines = {line.split()[0]: line for line in printed(capfd)}
    for code in ("MAN002", "MAN003", "MAP002"):
        assert lines[code].split()[1] == "skip"
        assert lines[code].endswith("there is no manifest (MAN001)")


def test_json_holds_everything(folder, capfd):
    assert run("check model.xml bad.xml --json --only PER,OUT --skip OUT005".split()) == 1
    record = json.loads(capfd.readouterr().out)
    assert record["ok"] is False
    assert record["counts"] == {"passed": 4, "failed": 1, "skipped": 0, "error": 0}
    assert [item["code"] for item in record["results"]] == ["OUT001", "OUT002", "OUT003", "OUT004", "PER001"]
    assert record["results"][-1]["outcome"] == "failed"
    assert all(item["finding"] and item["why"] and item["fix"] for item in record["results"])


def test_a_check_that_breaks_is_an_error_of_its_own(folder, capfd, monkeypatch):
    def broken(subject):
        raise ZeroDivisionError("by zero\nand more")

    replaced = [dataclasses.replace(item, run=broken) if item.code == "OUT001" else item for item in CATALOGUE]
    monkeypatch.setattr(catalogue, "CATALOGUE", tuple(replaced))
    monkeypatch.delenv("OV_XAI_DEBUG", raising=False)
    assert run("check model.xml good.xml --only MAN001,OUT001,OUT002".split()) == 70
    out = capfd.readouterr().out
    assert "OUT001  ERROR  " in out
    assert "ZeroDivisionError: by zero and more" in out
    assert "OUT002  pass" in out
    assert "NOT OK: 2 passed, 1 error (OUT001)" in out
    assert run("check model.xml bare.xml --only MAN001,OUT001".split()) == 1


def test_junit_is_read_by_ci_systems(folder, capfd):
    assert run("check model.xml bad.xml --only MAN,PER,QLT --junit result.xml".split()) == 1
    root = ElementTree.parse(folder / "result.xml").getroot()
    suite = root.find("testsuite")
    assert suite.attrib | {"tests": "5", "failures": "1", "errors": "0", "skipped": "1"} == suite.attrib
    cases = {case.get("name").split()[0]: [item.tag for item in case] for case in suite.iter("testcase")}
    assert cases == {
        "MAN001": ["system-out"],
        "MAN002": ["system-out"],
        "MAN003": ["system-out"],
        "PER001": ["failure"],
        "QLT001": ["skipped"],
    }
    assert "255 levels" in suite.find(".//failure").get("message")
    assert [path.name for path in folder.glob("*.part")] + [path.name for path in folder.glob(".*.part")] == []


def test_junit_escapes_what_xml_cannot_hold():
    text = '<a> & "b" ]]> \x00\x1b \ud800 é'
    result = Result("OUT001", "title", Outcome.FAILED, text, "why <", "fix &")
    root = ElementTree.fromstring(as_junit(Verdict("<model>", "p", (result,))))
    expected = '<a> & "b" ]]> \ufffd\ufffd \ufffd é'
    assert root.find(".//failure").get("message") == expected
    assert root.find(".//failure").text.splitlines() == [expected, "why: why <", "fix: fix &"]
    assert root.find(".//property").get("value") == "<model>"


def test_the_list_and_the_explanation_of_a_check(folder, capfd):
    assert run(["check", "--list"]) == 0
    assert [line.split()[0] for line in printed(capfd)] == CODES
    assert run("check --explain per001".split()) == 0
    assert [line.split()[0] for line in printed(capfd)] == ["PER001", "tests", "why", "fix"]


def test_codes_are_unique_and_complete():
    assert len(set(CODES)) == len(CODES)
    for item in CATALOGUE:
        assert item.code[:3].isupper()
        assert item.code[3:].isdigit()
        assert all((item.title, item.tests, item.why, item.fix))
        assert item.fix.endswith(".")


MISTAKES = [
    ("check", 2, "check ORIGINAL PATCHED"),
    ("check model.xml", 2, "check ORIGINAL PATCHED"),
    ("check model.xml good.xml --only NOPE", 2, "NOPE"),
    ("check model.xml good.xml --only OUT --skip OUT", 2, "no check"),
    ("check model.xml good.xml --only ,", 2, "OUT,MAP003"),
    ("check model.xml good.xml --images 0", 2, "images is 0"),
    ("check model.xml good.xml --max-latency nan", 2, "max-latency"),
    ("check model.xml good.xml --max-memory 0", 2, "max-memory"),
    ("check model.xml good.xml --baseline b.json", 2, "--data"),
    ("check --explain NOPE", 2, "NOPE"),
    ("check missing.xml good.xml", 3, "does not exist"),
    ("check model.xml text.xml", 3, "not an OpenVINO IR"),
    ("check good.xml good.xml", 5, "ORIGINAL"),
    ("check model.xml good.xml --junit missing/out.xml", 6, "missing"),
    ("check model.xml good.xml --junit empty", 6, "folder"),
    ("check model.xml good.xml --data empty", 7, "No images that"),
    ("check model.xml good.xml --data broken", 7, "can be read"),
    ("check model.xml good.xml --data nowhere", 7, "nowhere"),
    ("check model.xml good.xml --device NOPE", 10, "NOPE"),
]


@pytest.mark.parametrize(("command", "code", "message"), MISTAKES, ids=[case[0] for case in MISTAKES])
def test_a_mistake_is_one_line_and_an_exit_code(folder, capfd, command, code, message):
    before = sorted(path.name for path in folder.iterdir())
    assert run(command.split()) == code
    captured = capfd.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("ov-xai: ")
    assert message in line
    assert sorted(path.name for path in folder.iterdir()) == before
