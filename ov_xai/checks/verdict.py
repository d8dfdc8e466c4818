"""What a check says, and what all of them say together."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from ov_xai.errors import EXIT_CHECK_FAILED, EXIT_INTERNAL, EXIT_OK


class Outcome(str, Enum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    ERROR = "error"


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes:
        outcome: how it ended.
        text: one line with figures; of a skipped check the reason.
    """

    outcome: Outcome
    text: str


def passed(text: str) -> Finding:
    """Return the finding of a check that is met."""
    return Finding(Outcome.PASSED, text)


def failed(text: str) -> Finding:
    """Return the finding of a check that is not met."""
    return Finding(Outcome.FAILED, text)


def judged(good: bool, text: str) -> Finding:
    """Return the finding of a check that is met or not."""
    return Finding(Outcome.PASSED if good else Outcome.FAILED, text)


class NotApplicableError(Exception):
    """A check does not apply to this model or to these options; the message is the reason."""


class NotMetError(Exception):
    """A check is not met, whatever else it would look at; the message says what is wrong."""


@dataclass(frozen=True)
class Result:
    """One check and what it found.

    Attributes:
        code: e.g. "OUT001".
        title: what holds when the check passes.
        outcome: how it ended.
        finding: one line with figures; of a skipped check the reason.
        why: why it matters.
        fix: what to do when it fails.
    """

    code: str
    title: str
    outcome: Outcome
    finding: str
    why: str
    fix: str


@dataclass(frozen=True)
class Verdict:
    """What all checks found, in the order of the catalogue.

    Attributes:
        original: name of the plain model.
        patched: name of the patched model.
        results: one per check that was asked for.
    """

    original: str
    patched: str
    results: tuple[Result, ...]

    @property
    def ok(self) -> bool:
        """Return whether no check failed or broke; skipped ones do not count."""
        return self.exit_code == EXIT_OK

    @property
    def exit_code(self) -> int:
        """Return the exit code of the command line: a failed check outweighs one that broke."""
        outcomes = {result.outcome for result in self.results}
        if Outcome.FAILED in outcomes:
            return EXIT_CHECK_FAILED
        return EXIT_INTERNAL if Outcome.ERROR in outcomes else EXIT_OK

    def count(self, outcome: Outcome) -> int:
        """Return how many checks ended so."""
        return Counter(result.outcome for result in self.results)[outcome]

    def of(self, outcome: Outcome) -> tuple[str, ...]:
        """Return the codes of the checks that ended so."""
        return tuple(result.code for result in self.results if result.outcome == outcome)

    def to_dict(self) -> dict[str, Any]:
        """Return the verdict as JSON-ready data."""
        counts = {outcome.value: self.count(outcome) for outcome in Outcome}
        return {"schema": 1, "ok": self.ok, "counts": counts, **asdict(self)}
