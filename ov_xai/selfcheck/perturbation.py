"""The maps of a classifier against the literal perturbation."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov

from ov_xai.analysis.classifier import Classifier
from ov_xai.errors import SelfCheckError, UnsupportedModelError
from ov_xai.plan import ClassifierPlan
from ov_xai.request import Method
from ov_xai.selfcheck.head import Head

Array = npt.NDArray[Any]

#: Closed form and literal mosaic may differ by this part of a map's range.
MAP_TOLERANCE = 1e-4
#: Rounding of FP32 logits, as a part of a logit and of the largest of them: the branch sums in another order than the
#: head, and among hundreds of tokens one place moves the logits by little more.
OWN_ROUNDING, LARGEST_ROUNDING = 4e-6, 1e-6
#: The same, of the largest logit, of models in half precision: so are constants of their branch, such as 1/P.
HALF_ROUNDING = 2**-10
#: Places whose literal perturbation is computed.
SAMPLED_PLACES = 6


def check_perturbation(probe: ov.Model, anatomy: Classifier, plan: ClassifierPlan) -> None:
    """Compare the raw maps with the literal perturbation of a random target at a few places.

    Args:
        probe: the patched model with raw maps.
        anatomy: anatomy of the patched model.
        plan: what was inserted.

    Raises:
        SelfCheckError: they differ by more than `MAP_TOLERANCE` of a map's range.
        UnsupportedModelError: the scores do not depend on the target's places, or are not finite.
    """
    if plan.method is not Method.RECIPRO_CAM:
        return
    head = Head(probe, anatomy, plan.rounded)
    target = head.random_target()
    maps, classes = head.maps(target)
    if not np.isfinite(maps).all():  # a head that takes roots or logarithms is meant for activations above zero
        target = np.abs(target)
        maps, classes = head.maps(target)
    height, width = maps.shape[-2:]
    places = np.random.default_rng(1).permutation(height * width)[:SAMPLED_PLACES]
    span = np.ptp(maps, axis=(-2, -1))
    seen: list[Array] = []
    for place in places:
        y, x = divmod(int(place), width)
        literal, size = head.scores(target, plan, y, x)
        if not np.isfinite(literal).all():
            raise UnsupportedModelError(
                "The model gives scores that are not finite when only one place of the target is kept",
                node=anatomy.target.name,
                remedy="Where it gives NaN for photos as well, mend its weights; else use --method activation-map.",
            )
        seen.append(literal)
        if classes is not None:
            literal, size = (np.take_along_axis(values, classes, 1) for values in (literal, size))
        gap = np.abs(maps[:, :, y, x] - literal)
        largest = HALF_ROUNDING if target.dtype == np.float16 else LARGEST_ROUNDING
        allowed = MAP_TOLERANCE * span + OWN_ROUNDING * size + largest * size.max()
        if not np.all(gap <= allowed):
            worst = float(np.max(gap / np.maximum(span, 1e-12)))
            raise SelfCheckError(
                f"The saliency branch differs from the literal perturbation by {worst:.1e} of a map's range at place "
                f"({y}, {x}); at most {MAP_TOLERANCE:.0e} is allowed. Nothing was written; choose another "
                "--target-layer, and please report the model."
            )
    if len(seen) > 1 and not np.ptp(np.stack(seen), axis=0).any() and head.depends_on_the_rest(target):
        raise UnsupportedModelError(
            "The scores do not depend on the places of the target: every mask gives the same",
            node=anatomy.target.name,
            remedy="Choose a layer the scores are computed from with --target-layer.",
        )
