"""Run the checks on a model and its patched copy."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from typing import Any

import openvino as ov

from ov_xai.arguments import options_of
from ov_xai.checks.baseline import write_baseline
from ov_xai.checks.catalogue import choose
from ov_xai.checks.coded import Check
from ov_xai.checks.options import CheckOptions
from ov_xai.checks.quality import measured
from ov_xai.checks.subject import Subject
from ov_xai.checks.verdict import Finding, NotApplicableError, NotMetError, Outcome, Result, Verdict, failed
from ov_xai.errors import XaiError
from ov_xai.insertion import Source
from ov_xai.runtime.device import require_device

#: Findings are one line of at most so many characters.
_LONGEST_FINDING = 400

Progress = Callable[[Result], None]


def check(
    original: Source,
    patched: Source,
    options: CheckOptions | None = None,
    *,
    only: Collection[str] = (),
    skip: Collection[str] = (),
    progress: Progress | None = None,
    **settings: Any,
) -> Verdict:
    """Check that a patched model predicts what the original does, and that its maps are what they should be.

    Args:
        original: the plain model in any format OpenVINO reads, a path or in memory.
        patched: the patched model, a path or in memory.
        options: images, baseline, device and limits; None for the defaults.
        only: codes ("OUT001") or groups ("OUT") to run; empty for all.
        skip: codes or groups to leave out.
        progress: called with each result.
        settings: fields of `CheckOptions`, instead of options.

    Returns:
        What each check found; `ok` and `exit_code` sum it up. A check that does not apply is skipped with the reason,
        one that breaks is an error of that check alone.

    Raises:
        RequestError: a code or an option is not known.
        ModelReadError: a model cannot be read.
        ModelMismatchError: the original carries a saliency branch.
        DeviceError: the device is not available.
        InputError: there are no images in `data`, or the baseline or the annotations cannot be read.
        OutputError: the baseline cannot be written.
        MissingExtraError: a baseline is to be written, and what measures it is not installed.
    """
    options = options_of(CheckOptions, options, settings)
    chosen = choose(only, skip)
    require_device(ov.Core(), options.device)
    results = []
    with Subject(original, patched, options) as subject:
        for item in chosen:
            results.append(_result(item, subject))
            if progress is not None:
                progress(results[-1])
        verdict = Verdict(_name(original), _name(patched), tuple(results))
        if options.write_baseline is not None and verdict.ok:
            write_baseline(measured(subject), options.write_baseline)
    return verdict


def _result(item: Check, subject: Subject) -> Result:
    """Run one check; whatever breaks in it is an error of this check, and the others go on."""
    try:
        found = item.run(subject)
    except NotApplicableError as error:
        found = Finding(Outcome.SKIPPED, str(error))
    except NotMetError as error:
        found = failed(str(error))
    except XaiError as error:
        found = Finding(Outcome.ERROR, str(error))
    except Exception as error:
        if os.environ.get("OV_XAI_DEBUG"):
            raise
        found = Finding(Outcome.ERROR, f"broke while testing whether {item.title}: {type(error).__name__}: {error}")
    text = " ".join(found.text.split())[:_LONGEST_FINDING]
    return Result(item.code, item.title, found.outcome, text, item.why, item.fix)


def _name(source: Source) -> str:
    return "model in memory" if isinstance(source, ov.Model) else os.fspath(source)
