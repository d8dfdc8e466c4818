"""Options that several verbs share, and what they become."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

import click

from ov_xai.arguments import parse_word
from ov_xai.cards import read_card
from ov_xai.errors import RequestError
from ov_xai.request import (
    Combine,
    Compat,
    InsertionRequest,
    Mask,
    Method,
    Normalise,
    Score,
    parse_grid,
    parse_method,
)
from ov_xai.runtime.labels import read_label_file
from ov_xai.runtime.overrides import InputColor, Overrides, Resize

Function = TypeVar("Function", bound=Callable[..., Any])


class MethodType(click.ParamType[Any]):
    """A method by its canonical or OTX name, in any case."""

    name = "method"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Method | None:
        """Return the method; None for "auto"."""
        return parse_method(value)

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """Return what the help shows."""
        return "[auto|" + "|".join(method.value for method in Method) + "]"


METHOD = MethodType()

#: Of every verb that reads a model.
safe_option = click.option(
    "--safe",
    is_flag=True,
    help="For models that are not trusted: first read, compile and run the model in a process of its own, with limits "
    "on time (5 minutes) and memory (half of the machine's); one that crashes it is refused with exit code 3.",
)


def _words(kind: type[Enum]) -> click.Choice[str]:
    return click.Choice([member.value for member in kind], case_sensitive=False)


def insertion_options(function: Function) -> Function:
    """Add the options that make an `InsertionRequest`."""
    for option in reversed(
        (
            click.option("--method", type=METHOD, default="auto", help="Saliency method; OTX names work too."),
            click.option("--target-layer", metavar="NAME", help="Layer to mask; `inspect` lists the candidates."),
            click.option("--block", type=int, metavar="N", help="Mask what enters the N-th attention from the end."),
            click.option("--grid", metavar="HxW", help="Rows and columns of the tokens, where the graph hides them."),
            click.option("--mask", type=_words(Mask), help="Neighbourhood kept around a place.  [default: by model]"),
            click.option("--score", type=_words(Score), help="Classifiers: what is explained.  [default: logit]"),
            click.option(
                "--normalise",
                "--normalize",
                type=_words(Normalise),
                default="minmax",
                show_default=True,
                help="u8 maps scaled to their own range, or f32 raw maps.",
            ),
            click.option("--top-k", type=int, metavar="T", help="Maps for the T best classes only."),
            click.option("--feature-vector", is_flag=True, help="Also output the spatial mean of the target."),
            click.option("--score-output", metavar="NAME", help="Output with the class scores: name or index."),
            click.option(
                "--combine", type=_words(Combine), help="Detectors: how levels make one map.  [default: mean]"
            ),
            click.option(
                "--map-level",
                metavar="middle|finest|N",
                help="Detectors: the level whose grid the maps have; 0 is the finest.  [default: finest]",
            ),
            click.option("--compat", type=_words(Compat), help="Detectors: reproduce the maps of OTX 2.1."),
            click.option(
                "--card",
                type=click.Path(path_type=Path),
                metavar="FILE",
                help="What is known about the model's family.",
            ),
            click.option(
                "--labels", type=click.Path(path_type=Path), metavar="FILE", help="One label a line, in output order."
            ),
        )
    ):
        function = option(function)
    return function


def preprocessing_options(function: Function) -> Function:
    """Add the options that make `Overrides`."""
    for option in reversed(
        (
            click.option("--mean", metavar="M,...", help="Subtracted from 0..255 values: 1 number, or 1 per channel."),
            click.option("--scale", metavar="S,...", help="Divided by: 1 number, or 1 per channel."),
            click.option("--resize", type=_words(Resize), help="How a photo is brought to the input's size."),
            click.option("--input-color", type=_words(InputColor), help="Channel order the model expects."),
        )
    ):
        function = option(function)
    return function


def make_overrides(mean: str | None, scale: str | None, resize: str | None, input_color: str | None) -> Overrides:
    """Return the overrides these options make.

    Raises:
        RequestError: numbers are expected and something else is given.
    """
    return Overrides(
        parse_numbers("--mean", mean),
        parse_numbers("--scale", scale),
        None if resize is None else Resize(resize),
        None if input_color is None else InputColor(input_color),
    )


def parse_numbers(option: str, text: str | None) -> tuple[float, ...] | None:
    """Return numbers separated by commas or spaces.

    Raises:
        RequestError: something else is among them.
    """
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.replace(",", " ").split())
    except ValueError as error:
        raise RequestError(
            f"{option} is '{text}'; expected numbers separated by commas, e.g. 123.7,116.3,103.5."
        ) from error


def make_request(
    *,
    method: Method | None = None,
    target_layer: str | None = None,
    block: int | None = None,
    grid: str | None = None,
    mask: str | None = None,
    score: str | None = None,
    normalise: str = Normalise.MINMAX.value,
    top_k: int | None = None,
    feature_vector: bool = False,
    score_output: str | None = None,
    labels: Path | None = None,
    combine: str | None = None,
    map_level: str | None = None,
    compat: str | None = None,
    card: Path | None = None,
) -> InsertionRequest:
    """Return the request these options make.

    Raises:
        RequestError: a value is out of range.
        InputError: the label file cannot be read.
        CardError: the card cannot be read.
    """
    return InsertionRequest(
        method=method,
        target_layer=target_layer,
        block=block,
        grid=None if grid is None else parse_grid(grid),
        mask=None if mask is None else parse_word(Mask, mask),
        score=None if score is None else parse_word(Score, score),
        normalise=parse_word(Normalise, normalise),
        top_k=top_k,
        feature_vector=feature_vector,
        score_output=score_output,
        labels=None if labels is None else read_label_file(labels),
        combine=None if combine is None else parse_word(Combine, combine),
        map_level=map_level,
        compat=None if compat is None else parse_word(Compat, compat),
        card=None if card is None else read_card(card),
    )
