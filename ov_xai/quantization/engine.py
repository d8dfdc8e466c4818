"""NNCF, called without its messages, its progress bars and its telemetry."""

from __future__ import annotations

import inspect
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Any

import openvino as ov

from ov_xai.errors import MissingExtraError, UnsupportedModelError, XaiError
from ov_xai.graph.reason import reason_of

#: Environment variable under which NNCF loads without telemetry.
_NO_TELEMETRY = "NNCF_CI"


class Preset(str, Enum):
    """How activations are quantised: symmetric, or asymmetric, which is more accurate and may be slower."""

    PERFORMANCE = "performance"
    MIXED = "mixed"


@dataclass(frozen=True)
class Control:
    """What is measured to control the accuracy.

    Attributes:
        items: labelled photos.
        feed: makes the input of the model of an item.
        measure: compiled model and items -> accuracy and scores.
        max_drop: how much accuracy may be lost, 0..1.
    """

    items: Sequence[Any]
    feed: Callable[[Any], Any]
    measure: Callable[[ov.CompiledModel, Any], Any]
    max_drop: float


def require_nncf() -> None:
    """Load NNCF.

    Raises:
        MissingExtraError: it is not installed.
    """
    with _silence():
        _nncf()


def quantized(
    model: ov.Model,
    photos: Sequence[Any],
    feed: Callable[[Any], Any],
    *,
    preset: Preset | None,
    transformer: bool,
    exact_layers: Sequence[str] = (),
    accurate_bias: bool = False,
    control: Control | None = None,
) -> ov.Model:
    """Return a quantised copy of a model; the same input gives the same names and bytes.

    Args:
        model: the model.
        photos: photos for calibration, all of which are used.
        feed: makes the input of the model of a photo.
        preset: None for NNCF's choice: `mixed` for transformers, else `performance`.
        transformer: treat what surrounds attention the way NNCF does in transformers.
        exact_layers: friendly names of layers that stay in floating point.
        accurate_bias: correct biases layer by layer, on the activations of the quantised layers before.
        control: what keeps the accuracy; None quantises every layer.

    Raises:
        MissingExtraError: NNCF is not installed.
        UnsupportedModelError: NNCF cannot quantise the model.
    """
    with _silence():
        nncf = _nncf()
        options = {
            "subset_size": len(photos),
            "preset": None if preset is None else nncf.QuantizationPreset(preset.value),
            "model_type": nncf.ModelType.TRANSFORMER if transformer else None,
            "fast_bias_correction": not accurate_bias,
            "ignored_scope": nncf.IgnoredScope(names=sorted(exact_layers)) if exact_layers else None,
        }
        data = nncf.Dataset(photos, feed)
        try:
            if control is None:
                result = _untracked(nncf.quantize)(model.clone(), data, **options)
            else:
                validation = nncf.Dataset(control.items, control.feed)
                result = _untracked(nncf.quantize_with_accuracy_control)(
                    model.clone(), data, validation, control.measure, max_drop=control.max_drop, **options
                )
        except XaiError:
            raise
        except Exception as error:  # NNCF documents no errors: whatever it raises, it cannot quantise this model
            raise UnsupportedModelError(
                f"NNCF cannot quantise the model: {reason_of(error)}",
                remedy="A model of dynamic size may fit few sizes only: fix it first with `ov.Model.reshape`.",
            ) from error
    _name_nodes(result, {node.get_friendly_name() for node in model.get_ops()})
    return result


def _untracked(function: Callable[..., ov.Model]) -> Callable[..., ov.Model]:
    """Return a function of NNCF below the decorators that report its use, also where NNCF was loaded by others."""
    plain: Callable[..., ov.Model] = inspect.unwrap(function)
    return plain


def _name_nodes(model: ov.Model, known: set[str]) -> None:
    """Number the nodes that were left without a name; their default one holds a counter of the process."""
    count = 0
    for node in model.get_ordered_ops():
        if node.get_friendly_name() == node.get_name() and node.get_friendly_name() not in known:
            node.set_friendly_name(f"quantised/{node.get_type_name()}_{count}")
            count += 1


def _nncf() -> Any:
    before = os.environ.get(_NO_TELEMETRY)
    os.environ[_NO_TELEMETRY] = "1"
    try:
        import nncf  # noqa: PLC0415 - an optional package that takes a second to load
    except ImportError as error:
        raise MissingExtraError("nncf", "quantize") from error
    finally:
        if before is None:
            del os.environ[_NO_TELEMETRY]
        else:
            os.environ[_NO_TELEMETRY] = before
    return nncf


@contextmanager
def _silence() -> Iterator[None]:
    """Keep NNCF from printing: messages are logged, bars are drawn by rich on its global console."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    console = _console()
    quiet = getattr(console, "quiet", None)
    if console is not None:
        console.quiet = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
        if console is not None:
            console.quiet = quiet


def _console() -> Any:
    try:
        import rich  # noqa: PLC0415 - comes with NNCF
    except ImportError:
        return None
    return rich.get_console()
