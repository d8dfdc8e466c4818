"""Cards: what is known about families of models that their graphs do not tell.

A card is a TOML file in `model_patches/` (see the README there). It says how a family is recognised and what its
scores and predictions mean; it never names a single model.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal, get_args

import msgspec

from ov_xai.assets import asset_folder
from ov_xai.errors import CardError

Text = Annotated[str, msgspec.Meta(min_length=1)]
Count = Annotated[int, msgspec.Meta(ge=1)]
Column = Annotated[int, msgspec.Meta(ge=0)]
ActivationWord = Literal["none", "sigmoid", "softmax"]
BoxFormat = Literal["xyxy", "yxyx", "cxcywh", "xywh"]
BoxUnit = Literal["pixels", "relative"]


class Match(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a family is recognised; every condition that is given must hold.

    Attributes:
        made_by: activation in the graph that made the scores; "none" for logits.
        shared_weights: whether all pyramid levels are scored by the same weights.
        alone: whether the model's outputs hold nothing but the tables with the scores.
        min_levels: least number of pyramid levels.
        min_anchors: least number of anchors per place.
        columns: number of columns of the tables, or of channels per place.
        ops: the graph has at least one op of these types.
        outputs: the model has outputs of all these names.
        info: entries of the model's `model_info` and their values, in any case.
    """

    made_by: ActivationWord | None = None
    shared_weights: bool | None = None
    alone: bool | None = None
    min_levels: Count = 1
    min_anchors: Count = 1
    columns: Count | None = None
    ops: tuple[Text, ...] = ()
    outputs: tuple[Text, ...] = ()
    info: dict[str, str] = msgspec.field(default_factory=dict)


class ScoreFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the scores of a family mean; what is left out is read from the graph.

    Attributes:
        activation: makes probabilities of the scores in the graph; "none" when they are probabilities.
        background: which class means "nothing".
        first_column: the first column of the classes, in tables that hold more.
        classes: how many columns from there on are classes; all when left out.
        objectness_column: the column that all classes are multiplied with; "none" when no column is.
        anchors: boxes per place, in tables that do not divide them.
    """

    activation: ActivationWord | None = None
    background: Literal["none", "first", "last"] | None = None
    first_column: Column | None = None
    classes: Count | None = None
    objectness_column: Column | Literal["none"] | None = None
    anchors: Count | None = None


class BoxFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the boxes of a family are written; both entries, or neither: then it is read from the numbers.

    Attributes:
        format: order of the four numbers.
        unit: pixels of the model's input, or parts of its sides.

    Raises:
        ValueError: one entry is given without the other.
    """

    format: BoxFormat | None = None
    unit: BoxUnit | None = None

    def __post_init__(self) -> None:
        for missing, given, words in (("unit", "format", get_args(BoxUnit)), ("format", "unit", get_args(BoxFormat))):
            if getattr(self, missing) is None and getattr(self, given) is not None:
                raise ValueError(f"`{missing}` is missing beside `{given}`; expected one of {', '.join(words)}")


class Card(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Knowledge about a family.

    Attributes:
        name: short name.
        title: what people call the family.
        match: how it is recognised.
        scores: what its scores mean.
        boxes: how its boxes are written.
        model_api: `model_type` under which Model API reads such a model.
    """

    name: Text
    title: Text
    match: Match
    scores: ScoreFacts = ScoreFacts()
    boxes: BoxFacts = BoxFacts()
    model_api: Text | None = None


def shipped_cards() -> tuple[Card, ...]:
    """Return the cards of `model_patches/`, by name."""
    return tuple(read_card(path) for path in sorted(asset_folder("model_patches").glob("*.toml")))


def cards_with(own: Card | None) -> tuple[Card, ...]:
    """Return the shipped cards, preceded by a caller's own where there is one."""
    return shipped_cards() if own is None else (own, *shipped_cards())


def read_card(path: str | os.PathLike[str]) -> Card:
    """Return the card in a file.

    Raises:
        CardError: the file cannot be read, or an entry is unknown, missing or of the wrong type.
    """
    try:
        return msgspec.toml.decode(Path(path).read_bytes(), type=Card)
    except (OSError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or "it is nested too deeply"
        raise CardError(f"Card '{path}' cannot be read: {reason}. Check the path.") from error
    except (ValueError, msgspec.ValidationError) as error:
        detail = str(error).replace("Object ", "The card ").replace("`$.", "`")
        raise CardError(f"Card '{path}' does not fit: {detail}. `ov-xai cards` shows valid ones.") from error
