"""Which input is the image, and what its axes are."""

from __future__ import annotations

import openvino as ov

from ov_xai.errors import UnsupportedModelError
from ov_xai.graph.view import rank, shape_text, sizes

#: Extents that an image's channel axis has: grey, colour, colour with alpha.
CHANNEL_EXTENTS = (1, 3, 4)


def find_image_input(model: ov.Model) -> tuple[ov.Output, str]:
    """Return the image input and its layout, one of "NCHW", "NHWC", "CHW", "HWC".

    The layout stored with the parameter wins; otherwise the channel axis is the one of extent 1, 3 or 4.

    Raises:
        UnsupportedModelError: no input looks like an image.
    """
    found = [(source, letters) for source in model.inputs if (letters := _letters(source)) is not None]
    if not found:
        inputs = ", ".join(f"{_name(source)} {shape_text(source)}" for source in model.inputs) or "none"
        raise UnsupportedModelError(
            f"The model has no image input: its inputs are {inputs}, an image is [N, C, H, W] or [N, H, W, C] "
            "with 1, 3 or 4 channels",
            remedy="Maps show places in an image; models of text, audio or tables have none.",
        )
    return max(found, key=lambda item: len(item[1]))


def _name(source: ov.Output) -> str:
    names = sorted(source.get_names())
    return str(names[0] if names else source.get_node().get_friendly_name())


def _letters(source: ov.Output) -> str | None:
    stored = source.get_node().layout
    text = stored.to_string().strip("[]").replace(",", "").upper() if not stored.empty else ""
    depth = rank(source)
    if depth == len(text) and set(text) in ({"N", "C", "H", "W"}, {"C", "H", "W"}):
        return text
    extents = sizes(source)
    if extents is None:
        return None
    if len(extents) == 4:
        order = _channel_order(extents[1:], CHANNEL_EXTENTS)
        return None if order is None else "N" + order
    # Without a batch axis only a colour image tells itself from a spectrogram.
    return _channel_order(extents, (3,)) if len(extents) == 3 and None not in extents else None


def _channel_order(extents: list[int | None], channels: tuple[int, ...]) -> str | None:
    if extents[0] in channels and 1 not in extents[1:]:
        return "CHW"
    if extents[2] in channels and 1 not in extents[:2]:
        return "HWC"
    return "CHW" if extents == [None, None, None] else None
