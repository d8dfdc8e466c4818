"""SAN: maps must change with the weights that they explain.

Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018, arXiv 1810.03292. The weights of the last layers in
front of the class scores are shuffled in a copy of the patched model. Shuffling keeps their distribution, and the
scales of quantised weights with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov

from ov_xai.analysis.classifier import Classifier
from ov_xai.checks.coded import Check
from ov_xai.checks.maps_of import Maps
from ov_xai.checks.subject import Subject
from ov_xai.checks.verdict import Finding, NotApplicableError, judged
from ov_xai.errors import MissingExtraError
from ov_xai.graph.emit import PREFIX
from ov_xai.graph.layers import constant_root, nearest_layers
from ov_xai.graph.trial import with_constant
from ov_xai.graph.view import GraphView, is_weight
from ov_xai.metrics import rank_correlation
from ov_xai.plan import DetectorPlan

Array = npt.NDArray[Any]

#: Maps count as changed up to this mean rank correlation with those before.
_CHANGED = 0.9
#: Shufflings, of which the one that changes most counts, and maps per image that are compared.
_SHUFFLES, _MAPS = 3, 20


def _maps_follow_the_weights(subject: Subject) -> Finding:
    names = _weights(subject)
    figures = []
    try:
        for seed in range(_SHUFFLES):
            run = subject.runner(_shuffled(subject, names, seed))
            figures.append(
                _correlation(subject.explained, [subject.maps(run, item.inputs) for item in subject.samples])
            )
    except MissingExtraError as error:
        raise NotApplicableError(str(error)) from error
    known = [figure for figure in figures if figure is not None]
    if not known:
        raise NotApplicableError("no class has a map both before and after the weights are shuffled")
    how = f"after shuffling the weights of {len(names)} layers, at most {_CHANGED} is allowed"
    return judged(min(known) <= _CHANGED, f"rank correlation {min(known):.2f} {how}")


def _weights(subject: Subject) -> list[str]:
    """Return the friendly names of the weights of the last layers in front of the class scores."""
    if not subject.class_wise:
        raise NotApplicableError(
            f"{subject.manifest.method} does not read the scores, so it says nothing of their weights"
        )
    anatomy, plan = subject.dissection
    if isinstance(plan, DetectorPlan) and plan.head is not None:
        ends = [level.table.output for level in (*plan.head.levels, *plan.head.objectness_levels)]
    else:
        assert isinstance(anatomy, Classifier)
        ends = [anatomy.scores.logits]
    layers = nearest_layers(end.get_node() for end in ends).values()
    sources = [source for layer in layers for source in layer.input_values()[:2]]
    roots = [constant_root(source) for source in sources if is_weight(source)]
    names = {root.get_friendly_name() for root in roots if root is not None and np.ptp(root.get_data())}
    if not names:
        raise NotApplicableError("no layer with weights of its own leads to the class scores")
    return sorted(names)


def _shuffled(subject: Subject, names: Sequence[str], seed: int) -> ov.Model:
    """Return a copy of the patched model with the entries of some weights in another order.

    The branch has copies of the weights, which hold the same bytes. With --top-k these alone are shuffled where there
    are some, so that the same classes stay the best.
    """
    random = np.random.default_rng(seed)
    model = subject.patched.clone()
    constants = [node for node in GraphView(model).ops if node.get_type_name() == "Constant"]
    for name in names:
        values = next(node.get_data().copy() for node in constants if node.get_friendly_name() == name)
        same = [node for node in constants if _holds(node, values)]
        copies = [node for node in same if node.get_friendly_name().startswith(PREFIX)]
        other = random.permutation(values.reshape(-1)).reshape(values.shape)
        for node in copies if copies and subject.manifest.top_k is not None else same:
            with_constant(node, other)
    return model


def _holds(node: ov.Node, values: Array) -> bool:
    """Return whether a constant has these values, in the same shape or another."""
    return bool(
        node.get_byte_size() == values.nbytes
        and node.get_data().dtype == values.dtype
        and np.array_equal(node.get_data().reshape(-1), values.reshape(-1))
    )


def _correlation(before: Sequence[Maps], after: Sequence[Maps]) -> float | None:
    """Return the mean rank correlation of maps of the same class; None when there is none that varies."""
    figures = []
    for old, new in zip(before, after, strict=True):
        for image in range(len(old.values)):
            figures += [rank_correlation(*pair) for pair in _pairs(old, new, image)]
    # A map that has become constant has no ranks any more: it has changed.
    return float(np.mean(np.nan_to_num(figures))) if figures else None


def _pairs(old: Maps, new: Maps, image: int) -> list[tuple[Array, Array]]:
    """Return maps of the same class before and after, those that varied before."""
    varying = old.used[image] & (np.ptp(old.values[image], axis=(-2, -1)) > 0)
    indices = [int(index) for index in np.flatnonzero(varying)]
    if old.classes is None or new.classes is None:
        found = [(index, index) for index in indices]
    else:
        places = {int(label): index for index, label in enumerate(new.classes[image])}
        labels = {index: int(old.classes[image, index]) for index in indices}
        found = [(index, places[label]) for index, label in labels.items() if label in places]
    step = max(1, len(found) // _MAPS)
    return [(old.values[image, one], new.values[image, other]) for one, other in found[::step]]


CHECKS = (
    Check(
        "SAN001",
        "maps follow the weights",
        "Rank correlation of maps before and after the weights of the last layers in front of the class scores are "
        "shuffled in a copy (Adebayo et al. 2018).",
        "Maps that stay the same whatever the network has learned are edge detectors, not explanations.",
        "Choose a later --target-layer or another --method; check that the branch reads the weights of the head.",
        _maps_follow_the_weights,
    ),
)
