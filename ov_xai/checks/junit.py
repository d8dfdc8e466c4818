"""A verdict as JUnit XML, the form that CI systems read."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from ov_xai.checks.verdict import Outcome, Result, Verdict

_SUITE = "ov-xai check"
_ELEMENTS = {Outcome.FAILED: "failure", Outcome.ERROR: "error", Outcome.SKIPPED: "skipped"}
#: What XML 1.0 cannot hold, escaped or not.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def as_junit(verdict: Verdict) -> bytes:
    """Return one test suite with a test case per check, UTF-8."""
    counts = {
        "tests": len(verdict.results),
        "failures": verdict.count(Outcome.FAILED),
        "errors": verdict.count(Outcome.ERROR),
        "skipped": verdict.count(Outcome.SKIPPED),
    }
    numbers = {name: str(count) for name, count in counts.items()}
    root = ElementTree.Element("testsuites", numbers)
    suite = ElementTree.SubElement(root, "testsuite", {"name": _SUITE, **numbers})
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in (("original", verdict.original), ("patched", verdict.patched)):
        ElementTree.SubElement(properties, "property", {"name": name, "value": _text(value)})
    for result in verdict.results:
        _add_case(suite, result)
    ElementTree.indent(root)
    text: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _add_case(suite: ElementTree.Element, result: Result) -> None:
    name = {"classname": f"{_SUITE}.{result.code[:3]}", "name": f"{result.code} {result.title}"}
    case = ElementTree.SubElement(suite, "testcase", name)
    element = _ELEMENTS.get(result.outcome)
    if element is None:
        ElementTree.SubElement(case, "system-out").text = _text(result.finding)
        return
    found = ElementTree.SubElement(case, element, {"message": _text(result.finding)})
    if result.outcome is not Outcome.SKIPPED:
        found.set("type", result.code)
        found.text = _text(f"{result.finding}\nwhy: {result.why}\nfix: {result.fix}")


def _text(value: str) -> str:
    """Return a text with what XML cannot hold replaced."""
    return _FORBIDDEN.sub("\ufffd", value)
