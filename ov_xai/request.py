"""The words a caller may say: methods, masks, scores, and the request they make together."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any

from ov_xai.arguments import parse_word, texts, whole_number
from ov_xai.cards import Card, read_card
from ov_xai.errors import RequestError


class Method(str, Enum):
    """What a map shows."""

    RECIPRO_CAM = "recipro-cam"
    ACTIVATION_MAP = "activation-map"
    EIGEN_CAM = "eigen-cam"
    CLASS_PROBABILITY_MAP = "class-probability-map"
    CLASS_WISE = "class-wise"  # recipro-cam for a classifier, class-probability-map for a detector

    @property
    def class_wise(self) -> bool:
        """True when there is one map per class, False for one map per image."""
        return self not in (Method.ACTIVATION_MAP, Method.EIGEN_CAM)


class Mask(str, Enum):
    """How much of the target is kept around one place."""

    PIXEL = "pixel"
    GAUSSIAN = "gaussian"


class Score(str, Enum):
    """What a class-wise map explains; `contrast` is what speaks for a class and not for its rivals."""

    LOGIT = "logit"
    PROBABILITY = "probability"
    CONTRAST = "contrast"


class Combine(str, Enum):
    """How the levels of a feature pyramid make one map."""

    MEAN = "mean"
    MAX = "max"


class Compat(str, Enum):
    """Whose maps are reproduced: those of OTX 2.1 and later."""

    OTX = "otx"


class Normalise(str, Enum):
    """How raw maps become the output: `minmax` gives u8 0..255 per map, `none` gives f32 raw values."""

    MINMAX = "minmax"
    NONE = "none"


#: Names by which a method is known, lower case, without hyphens and underscores.
METHOD_ALIASES = {
    **{method.value.replace("-", ""): method for method in Method},
    "classwisesaliencymap": Method.CLASS_WISE,
}


def parse_grid(text: str) -> tuple[int, int]:
    """Return (rows, columns) of "HxW".

    Raises:
        RequestError: `text` is not two whole numbers joined by an x.
    """
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(part.strip().isdecimal() for part in parts):
        raise RequestError(f"grid '{text}' is not known; expected rows x columns, e.g. 14x14.")
    return int(parts[0]), int(parts[1])


#: Words for `map_level`.
MIDDLE, FINEST = "middle", "finest"


def parse_map_level(text: str | int) -> str | int:
    """Return "middle", "finest" or a level number from 0 (the finest).

    Raises:
        RequestError: `text` is none of these.
    """
    wanted = str(text).strip().lower()
    if wanted in (MIDDLE, FINEST):
        return wanted
    if not wanted.isdecimal():
        raise RequestError(
            f"map-level '{text}' is not known; expected middle, finest or a level number from 0 (the finest)."
        )
    return int(wanted)


def parse_method(text: str | Method | None) -> Method | None:
    """Return the method that `text` names (canonical or OTX name, any case); None for "auto".

    Raises:
        RequestError: `text` names no method.
    """
    if text is None or isinstance(text, Method):
        return text
    wanted = str(text).strip().lower()
    if wanted == "auto":
        return None
    key = wanted.replace("-", "").replace("_", "")
    if key in METHOD_ALIASES:
        return METHOD_ALIASES[key]
    allowed = ["auto", *(method.value for method in Method), "classwisesaliencymap", "activationmap", "eigencam"]
    close = difflib.get_close_matches(wanted, allowed, n=1)
    hint = f" Did you mean '{close[0]}'?" if close else ""
    raise RequestError(f"method '{text}' is not known; expected one of: {', '.join(allowed)}.{hint}")


def as_request(request: InsertionRequest | None, options: dict[str, Any]) -> InsertionRequest:
    """Return the request, or the one that options make.

    Raises:
        RequestError: both are given, or an option is not known.
    """
    if request is not None and options:
        raise RequestError("A request and options are given; put the options into the request.")
    unknown = set(options) - {field.name for field in fields(InsertionRequest)}
    if unknown:
        allowed = ", ".join(field.name for field in fields(InsertionRequest))
        raise RequestError(f"Option '{min(unknown)}' is not known; expected one of: {allowed}.")
    return request or InsertionRequest(**options)


@dataclass(frozen=True)
class InsertionRequest:
    """What the caller wants inserted; methods, masks and scores may be given by name, cards by path.

    Attributes:
        method: the map to compute; None chooses by the kind of model.
        target_layer: friendly name or tensor name of the node to mask; None finds the target.
        block: mask the tokens that enter this attention block, counted from the scores (1 is the last).
        grid: rows and columns of the tokens, for a model whose graph hides them; None reads them from the graph.
        mask: neighbourhood that is kept around a place; None chooses by the kind of model.
        score: what a class-wise map of a classifier explains; None for the logit.
        normalise: u8 maps scaled to their own range, or f32 raw maps.
        top_k: maps for the best `top_k` classes only; None for all.
        feature_vector: also emit the spatial mean of the target.
        score_output: name or index of the output that holds the class scores, for models with several.
        labels: one label per class, stored in the model's `model_info`; None leaves it as it is.
        combine: for detectors, how the pyramid levels make one map; None for the mean.
        map_level: for detectors, the level whose grid the maps have: "middle", "finest", or 0 (finest), 1, ...; None
            for the finest.
        compat: for detectors, reproduce the maps of another tool; it chooses mean and middle.
        card: knowledge about the family of the model; it precedes the shipped cards.

    Raises:
        RequestError: a value is not known, of the wrong type or out of range, or two contradict each other.
        CardError: the card cannot be read.
    """

    method: Method | None = None
    target_layer: str | None = None
    block: int | None = None
    grid: tuple[int, int] | None = None
    mask: Mask | None = None
    score: Score | None = None
    normalise: Normalise = Normalise.MINMAX
    top_k: int | None = None
    feature_vector: bool = False
    score_output: str | None = None
    labels: tuple[str, ...] | None = None
    combine: Combine | None = None
    map_level: str | int | None = None
    compat: Compat | None = None
    card: Card | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            convert, value = _CONVERTERS.get(field.name), getattr(self, field.name)
            if convert is not None and (value is not None or field.default is not None):
                object.__setattr__(self, field.name, convert(value))
        if self.block is not None and self.target_layer is not None:
            raise RequestError("--block and --target-layer both choose what is masked. Drop one.")
        if self.compat is not None and (self.combine is not None or self.map_level is not None):
            raise RequestError("--compat chooses how levels are combined, and where. Drop --combine and --map-level.")


def _grid(value: Any) -> tuple[int, int]:
    """Return rows and columns, given as "HxW" or as two whole numbers."""
    found = parse_grid(value) if isinstance(value, str) else value
    wrong = RequestError(f"grid is {value!r}; expected (rows, columns) with more than one place.")
    try:
        rows, columns = (whole_number(extent, "grid") for extent in found)
    except (TypeError, ValueError, RequestError):
        raise wrong from None
    if rows * columns == 1:
        raise wrong
    return rows, columns


def _labels(values: Any) -> tuple[str, ...]:
    labels = texts(values, "labels")
    for index, label in enumerate(labels):
        if not label.split() or not label.isprintable():
            raise RequestError(f"Label {index + 1} is {label!r}; expected printable text. Correct the label file.")
    return labels


def _text(name: str) -> Callable[[Any], str]:
    def convert(value: Any) -> str:
        if not isinstance(value, str):
            raise RequestError(f"{name} is {value!r}; expected the name of a node or tensor.")
        return value

    return convert


def _score_output(value: Any) -> str:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else _text("score-output")(value)


def _card(value: Any) -> Card:
    if isinstance(value, str | os.PathLike):
        return read_card(value)
    if not isinstance(value, Card):
        raise RequestError(f"card is {value!r}; expected a card, or the path of one.")
    return value


#: How what a caller gives for a field becomes its value; None stays None where it is the default.
_CONVERTERS: dict[str, Callable[[Any], Any]] = {
    "method": parse_method,
    "target_layer": _text("target-layer"),
    "block": lambda value: whole_number(value, "block", "1 (the last attention block) or more"),
    "grid": _grid,
    "mask": lambda value: parse_word(Mask, value),
    "score": lambda value: parse_word(Score, value),
    "normalise": lambda value: parse_word(Normalise, value),
    "top_k": lambda value: whole_number(value, "top-k", "a whole number from 1 to the number of classes"),
    "score_output": _score_output,
    "labels": _labels,
    "combine": lambda value: parse_word(Combine, value),
    "map_level": parse_map_level,
    "compat": lambda value: parse_word(Compat, value),
    "card": _card,
}
