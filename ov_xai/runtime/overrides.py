"""What the caller says about preprocessing, and its words."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ov_xai.arguments import numbers, parse_word


class Resize(str, Enum):
    """How a photo is brought to the size of the input; the names are those of Model API."""

    STANDARD = "standard"
    FIT_TO_WINDOW = "fit_to_window"
    LETTERBOX = "fit_to_window_letterbox"
    CROP = "crop"


class InputColor(str, Enum):
    """Order of the channels the model expects."""

    RGB = "rgb"
    BGR = "bgr"


@dataclass(frozen=True)
class Overrides:
    """What the caller says about preprocessing; None leaves it to the model. Words may be given by name.

    Attributes:
        mean: one number or one per channel, in units of 0..255.
        scale: the same; values are divided by it.
        resize: how the photo is resized.
        input_color: channel order of the input.
    """

    mean: tuple[float, ...] | None = None
    scale: tuple[float, ...] | None = None
    resize: Resize | None = None
    input_color: InputColor | None = None

    def __post_init__(self) -> None:
        for name in ("mean", "scale"):
            given = getattr(self, name)
            object.__setattr__(self, name, None if given is None else numbers(given, name))
        for name, kind in (("resize", Resize), ("input_color", InputColor)):
            given = getattr(self, name)
            object.__setattr__(self, name, None if given is None else parse_word(kind, given, name))
