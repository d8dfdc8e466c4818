"""The methods that are compared, by name: `model`, `METHOD[:MASK[:SCORE]]`, `rise` and the baselines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from ov_xai.arguments import parse_word
from ov_xai.errors import RequestError
from ov_xai.evaluation.metric_names import unknown
from ov_xai.request import InsertionRequest, Mask, Method, Score, parse_method

MODEL, RISE, RANDOM, CENTRE = "model", "rise", "random", "centre-gaussian"
ALL, AUTO = "all", "auto"
#: Maps that know nothing of the model: what a figure has to be held against.
BASELINES = (RANDOM, CENTRE)
#: Methods that keep a place of the target and thus have a mask and a choice of scores.
_MASKING = (Method.RECIPRO_CAM, Method.CLASS_WISE)


@dataclass(frozen=True)
class MethodSpec:
    """A method that is measured.

    Attributes:
        name: in results.
        request: what to insert for its maps; None where nothing is inserted.
        required: whether the caller named it; otherwise it is left out where the model does not have it.
    """

    name: str
    request: InsertionRequest | None = None
    required: bool = True

    @property
    def baseline(self) -> bool:
        """Return whether the maps know nothing of the model."""
        return self.name in BASELINES


def parse_methods(names: Sequence[str], *, classifier: bool, patched: bool, rise: bool) -> tuple[MethodSpec, ...]:
    """Return the methods that names ask for, without repetition; the baselines are always among them.

    Args:
        names: "auto", "all", "model", "rise", "METHOD[:MASK[:SCORE]]", or baselines.
        classifier: whether the model is one; chooses what "all" means.
        patched: whether the model makes maps by itself, which "all" then includes.
        rise: whether RISE joins.

    Raises:
        RequestError: a name is not known, or "rise" is asked for without masks.
    """
    specs: list[MethodSpec] = []
    for name in names:
        word = name.strip().lower().replace("_", "-")
        if word == RISE and not rise:
            raise RequestError("RISE needs a number of masks. Add --rise 2000 (`rise_masks` in Python).")
        specs += _all(classifier, patched) if word == ALL else [_parse(word)]
    specs += [MethodSpec(RISE, required=False)] if rise else []
    specs += [MethodSpec(name) for name in BASELINES]
    unique = {spec.name: spec for spec in reversed(specs)}
    ordered = [unique.pop(spec.name) for spec in specs if spec.name in unique]
    return tuple(sorted(ordered, key=lambda spec: spec.baseline))


def _parse(word: str) -> MethodSpec:
    if word in (RISE, *BASELINES):
        return MethodSpec(word)
    if word in (MODEL, AUTO):
        return MethodSpec(MODEL, InsertionRequest())
    text, *rest = word.split(":")
    try:
        method = parse_method(text)
    except RequestError as error:
        allowed = [AUTO, ALL, MODEL, *(item.value for item in Method), RISE, *BASELINES]
        raise RequestError(unknown("method", text, allowed)) from error
    if method is None or len(rest) > 2:
        raise RequestError(f"Method '{word}' is not known; expected METHOD, METHOD:MASK or METHOD:MASK:SCORE.")
    if rest and method not in _MASKING:
        raise RequestError(f"Method '{word}' names a mask, which {method.value} does not have. Write {method.value}.")
    return _spec(method, *rest)


def _spec(method: Method, mask: str | None = None, score: str | None = None, *, required: bool = True) -> MethodSpec:
    request = InsertionRequest(
        method=method,
        mask=None if mask is None else parse_word(Mask, mask),
        score=None if score is None else parse_word(Score, score),
    )
    said = [word.value for word in (request.mask, request.score) if word]
    return MethodSpec(":".join([method.value, *said]), request, required)


def _all(classifier: bool, patched: bool) -> list[MethodSpec]:
    own = [MethodSpec(MODEL, InsertionRequest())] if patched else []
    if classifier:
        wise = [
            _spec(Method.RECIPRO_CAM, mask.value, score.value, required=False) for mask, score in product(Mask, Score)
        ]
    else:
        wise = [_spec(Method.CLASS_PROBABILITY_MAP, required=False)]
    return [*own, *wise, *(_spec(method, required=False) for method in (Method.ACTIVATION_MAP, Method.EIGEN_CAM))]
