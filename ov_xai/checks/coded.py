"""A check as data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ov_xai.checks.subject import Subject
from ov_xai.checks.verdict import Finding


@dataclass(frozen=True)
class Check:
    """One thing that must hold for a patched model.

    Attributes:
        code: three letters for the subject, three digits; never used again for another check.
        title: what holds when the check passes.
        tests: how it is tested.
        why: what goes wrong in use when it does not hold.
        fix: what to do about it.
        run: returns what is found; raises `NotApplicableError` with the reason where there is nothing to test.
    """

    code: str
    title: str
    tests: str
    why: str
    fix: str
    run: Callable[[Subject], Finding]
