"""Checks of a patched model against its original: one command for a CI job."""

from ov_xai.checks.catalogue import CATALOGUE, choose
from ov_xai.checks.coded import Check
from ov_xai.checks.junit import as_junit
from ov_xai.checks.options import CheckOptions
from ov_xai.checks.running import check
from ov_xai.checks.verdict import Outcome, Result, Verdict

__all__ = [
    "CATALOGUE",
    "Check",
    "CheckOptions",
    "Outcome",
    "Result",
    "Verdict",
    "as_junit",
    "check",
    "choose",
]
