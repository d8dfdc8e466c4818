"""`ov-xai check`: does a patched model predict what the original does, and are its maps right?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ov_xai.checks import CATALOGUE, Check, CheckOptions, Outcome, Result, Verdict, as_junit, choose
from ov_xai.checks import check as run_checks
from ov_xai.cli.console import say, say_json
from ov_xai.cli.options import safe_option
from ov_xai.errors import EXIT_OK, RequestError
from ov_xai.runtime.files import require_place, write_result

_WORDS = {Outcome.PASSED: "pass", Outcome.FAILED: "FAIL", Outcome.SKIPPED: "skip", Outcome.ERROR: "ERROR"}
#: Widths of the columns; the titles are those of the catalogue.
_CODE, _WORD = 8, 7
_TITLE = max(len(item.title) for item in CATALOGUE) + 2


class CodesType(click.ParamType[Any]):
    """Codes or groups of checks, separated by commas."""

    name = "codes"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Return the codes."""
        if isinstance(value, tuple):
            return value
        codes = tuple(word.strip() for word in value.split(",") if word.strip())
        if not codes:
            self.fail(f"'{value}' names no check; expected codes separated by commas, e.g. OUT,MAP003.", param, ctx)
        return codes


@click.command()
@click.argument("original", required=False, type=click.Path(path_type=Path))
@click.argument("patched", required=False, type=click.Path(path_type=Path))
@click.option("--data", type=click.Path(path_type=Path), metavar="DIR", help="Images to decide on, or one image.")
@click.option("--images", type=int, default=8, show_default=True, metavar="N", help="Look at most at N images.")
@click.option("--baseline", type=click.Path(path_type=Path), metavar="FILE", help="Figures of quality to compare with.")
@click.option(
    "--write-baseline", type=click.Path(path_type=Path), metavar="FILE", help="Write the figures when all checks pass."
)
@click.option("--annotations", type=click.Path(path_type=Path), metavar="FILE|DIR", help="Boxes, for the baseline.")
@click.option(
    "--max-latency", type=float, metavar="RATIO", help="Largest patched / plain latency.  [default: 2.5, or 1 ms more]"
)
@click.option(
    "--max-memory",
    type=float,
    metavar="RATIO",
    help="Largest patched / plain peak memory.  [default: 2.0, or 64 MiB more]",
)
@click.option("--device", default="CPU", show_default=True, help="OpenVINO device.")
@click.option("--only", type=CodesType(), default=(), metavar="CODE,...", help="Run these checks or groups only.")
@click.option("--skip", type=CodesType(), default=(), metavar="CODE,...", help="Leave out these checks or groups.")
@safe_option
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON.")
@click.option("--junit", type=click.Path(path_type=Path), metavar="FILE", help="Also write JUnit XML.")
@click.option("--list", "list_all", is_flag=True, help="List the checks and stop.")
@click.option("--explain", metavar="CODE", help="Say what a check tests, why, and how to fix it, and stop.")
def check(
    *,
    original: Path | None,
    patched: Path | None,
    only: tuple[str, ...],
    skip: tuple[str, ...],
    as_json: bool,
    junit: Path | None,
    list_all: bool,
    explain: str | None,
    **options: Any,
) -> int:
    """Check that PATCHED predicts what ORIGINAL does, and that its maps are right.

    ORIGINAL is in any format OpenVINO reads, PATCHED an IR made by `ov-xai insert`. Returns 1 when a check fails. A
    check that does not apply is skipped and says why.
    """
    if list_all or explain is not None:
        _show(choose() if explain is None else choose((explain,)), whole=explain is not None)
        return EXIT_OK
    if original is None or patched is None:
        raise RequestError("Two models are compared. Run: ov-xai check ORIGINAL PATCHED.")
    settings = CheckOptions(**options)
    for path in (junit, settings.write_baseline):
        if path is not None:
            require_place(path)
    progress = None if as_json else _print
    verdict = run_checks(original, patched, settings, only=only, skip=skip, progress=progress)
    if junit is not None:
        write_result(junit, as_junit(verdict))
    if as_json:
        say_json(verdict.to_dict())
    else:
        say(_summary(verdict))
    if settings.write_baseline is not None:
        done = "baseline written to" if verdict.ok else "not all checks pass, so no baseline is written to"
        say(f"{done} {settings.write_baseline}", err=True)
    return verdict.exit_code


def _show(checks: tuple[Check, ...], whole: bool) -> None:
    for item in checks:
        say(f"{item.code:<{_CODE}}{item.title}")
        if whole:
            for name, text in (("tests", item.tests), ("why", item.why), ("fix", item.fix)):
                say(f"{'':<{_CODE}}{name:<{_WORD}}{text}")


def _print(result: Result) -> None:
    word = _WORDS[result.outcome]
    say(f"{result.code:<{_CODE}}{word:<{_WORD}}{result.title:<{_TITLE}}{result.finding}")
    if result.outcome in (Outcome.FAILED, Outcome.ERROR):
        say(f"{'':<{_CODE}}{'why':<{_WORD}}{result.why}")
        say(f"{'':<{_CODE}}{'fix':<{_WORD}}{result.fix}")


def _summary(verdict: Verdict) -> str:
    counts = ", ".join(f"{verdict.count(outcome)} {outcome.value}" for outcome in Outcome if verdict.count(outcome))
    bad = [*verdict.of(Outcome.FAILED), *verdict.of(Outcome.ERROR)]
    named = f" ({', '.join(bad)})" if bad else ""
    return f"{'ok' if verdict.ok else 'NOT OK'}: {counts}{named}"
