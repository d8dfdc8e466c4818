"""rt_info `model_info`: what an exporter says about labels and preprocessing, in the keys Model API uses."""

from __future__ import annotations

from collections.abc import Sequence

import openvino as ov

_ROOT = "model_info"
#: Where the labels stay that a saliency branch replaced; goes with its manifest.
_OWN_LABELS = ["ov_xai", "own_labels"]


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


def replace_labels(model: ov.Model, labels: Sequence[str]) -> None:
    """Store other labels; `restore_labels` takes that back."""
    model.set_rt_info(info_value(model, "labels") or "", _OWN_LABELS)
    write_labels(model, labels)


def replaced_labels(model: ov.Model) -> tuple[str, ...] | None:
    """Return the labels that were given to a model by `replace_labels`; None when none were."""
    return read_labels(model) if model.has_rt_info(_OWN_LABELS) else None


def restore_labels(model: ov.Model) -> None:
    """Store the labels that a model had before others were given to it, or none where it had none."""
    if not model.has_rt_info(_OWN_LABELS):
        return
    own = str(model.get_rt_info(_OWN_LABELS).astype(str))
    if own:
        set_info(model, "labels", own)
    else:
        _drop(model, "labels")


def _drop(model: ov.Model, key: str) -> None:
    """Remove one entry; OpenVINO removes whole trees only."""
    entries = {name: value.value for name, value in model.rt_info[_ROOT].items() if name != key}
    del model.rt_info[_ROOT]
    for name, value in entries.items():
        model.set_rt_info(value, [_ROOT, name])


def is_true(text: str | None) -> bool:
    """Return whether an entry says yes, in any of the spellings exporters use."""
    return text is not None and text.strip().lower() in ("true", "yes", "1", "on")
