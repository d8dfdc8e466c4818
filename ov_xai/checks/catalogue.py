"""All checks, in the order in which they are run and reported."""

from __future__ import annotations

from collections.abc import Collection

from ov_xai.checks import consistency, contract, cost, manifest, maps, outputs, perturbation, quality, sanity, vectors
from ov_xai.checks.coded import Check
from ov_xai.errors import RequestError

CATALOGUE: tuple[Check, ...] = (
    *manifest.CHECKS,
    *outputs.CHECKS,
    *contract.CHECKS,
    *maps.CHECKS,
    *perturbation.CHECKS,
    *vectors.CHECKS,
    *consistency.CHECKS,
    *sanity.CHECKS,
    *cost.CHECKS,
    *quality.CHECKS,
)


def choose(only: Collection[str] = (), skip: Collection[str] = ()) -> tuple[Check, ...]:
    """Return the checks that are asked for, in the order of the catalogue.

    Args:
        only: codes ("OUT001") or groups ("OUT"), in any case; empty for all.
        skip: codes or groups that are left out.

    Raises:
        RequestError: a code is not known, or nothing is left.
    """
    wanted, unwanted = _codes(only), _codes(skip)
    chosen = tuple(check for check in CATALOGUE if (not only or check.code in wanted) and check.code not in unwanted)
    if not chosen:
        raise RequestError("--only and --skip leave no check. Name fewer codes.")
    return chosen


def _codes(words: Collection[str]) -> set[str]:
    codes: set[str] = set()
    for word in words:
        found = {check.code for check in CATALOGUE if word.upper() in (check.code, check.code[:3])}
        if not found:
            groups = ", ".join(dict.fromkeys(check.code[:3] for check in CATALOGUE))
            raise RequestError(f"Check '{word}' is not known; `ov-xai check --list` lists codes. Groups: {groups}.")
        codes |= found
    return codes
