"""rt_info `model_info`: what an exporter says about labels and preprocessing, in the keys Model API uses."""

from __future__ import annotations

from collections.abc import Sequence

import openvino as ov

_ROOT = "model_info"


def info_value(model: ov.Model, key: str) -> str | None:
    """Return one entry as text; None when it is absent or empty."""
    if not model.has_rt_info([_ROOT, key]):
        return None
    text = str(model.get_rt_info([_ROOT, key]).astype(str)).strip()
    return text or None


def set_info(model: ov.Model, key: str, value: str) -> None:
    """Store one entry."""
    model.set_rt_info(value, [_ROOT, key])


def read_labels(model: ov.Model) -> tuple[str, ...] | None:
    """Return the labels, underscores as spaces; None when there are none.

    Model API separates labels by spaces and writes a space within a label as an underscore.
    """
    text = info_value(model, "labels")
    return None if text is None else tuple(label.replace("_", " ") for label in text.split())


def write_labels(model: ov.Model, labels: Sequence[str]) -> None:
    """Store labels the way Model API reads them."""
    set_info(model, "labels", " ".join("_".join(label.split()) for label in labels))


def is_true(text: str | None) -> bool:
    """Return whether an entry says yes, in any of the spellings exporters use."""
    return text is not None and text.strip().lower() in ("true", "yes", "1", "on")
