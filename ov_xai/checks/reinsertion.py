"""The insertion that a manifest tells of, made again: what it should say, and where the maps come from."""

from __future__ import annotations

from dataclasses import dataclass, replace

import openvino as ov

from ov_xai.analysis.detectors.detector import Detector
from ov_xai.cards import shipped_cards
from ov_xai.checks.verdict import NotApplicableError, NotMetError
from ov_xai.errors import XaiError
from ov_xai.graph.emit import PREFIX
from ov_xai.graph.kinds import ROUNDING_OPS
from ov_xai.graph.manifest import Manifest, read_manifest
from ov_xai.graph.model_info import read_labels
from ov_xai.graph.outputs import FEATURE_VECTOR, has_output
from ov_xai.insertion import Patched, patch
from ov_xai.plan import DetectorPlan
from ov_xai.readout import find_readout, find_segments
from ov_xai.recall import stated_request, wordings
from ov_xai.request import InsertionRequest
from ov_xai.version import __version__

#: Entries that are facts about the model or the branch.
FACTS = (
    "task method target kept_tokens grid mask score classes top_k score_output activation strategy strategy_reason "
    "rounded shared card levels map_level combine compat unused_classes readout segments"
).split()
#: Those without which the maps are not where the manifest says.
_WHERE = frozenset("task target grid".split())
#: Those that another version of ov-xai may settle in another way, for equal maps.
_OF_A_VERSION = frozenset("strategy strategy_reason segments".split())


@dataclass(frozen=True)
class Difference:
    """An entry of a manifest that is not what is found.

    Attributes:
        entry: its name.
        told: what the manifest says.
        found: what is found.
    """

    entry: str
    told: object
    found: object

    def __str__(self) -> str:
        return f"{self.entry} is {self.told}, found is {self.found}"


@dataclass(frozen=True)
class Reinsertion:
    """What the insertion gives that a manifest tells of.

    Attributes:
        request: what led to it.
        done: a patched copy that was not checked, its anatomy and plan.
        differences: what the manifest says otherwise.
    """

    request: InsertionRequest
    done: Patched
    differences: tuple[Difference, ...]

    def require_place(self) -> None:
        """Refuse to judge maps that do not come from where the manifest says.

        Raises:
            NotMetError: task, target or grid are others.
        """
        wrong = [str(item) for item in self.differences if item.entry in _WHERE]
        if wrong:
            raise _wrong("; ".join(wrong))


def insert_again(plain: ov.Model, patched: ov.Model, manifest: Manifest) -> Reinsertion:
    """Return what the insertion gives that a manifest tells of.

    A manifest does not tell what was found from what was named, and what is known of the two differs: the insertion
    that fits the manifest is returned, or the one that differs least.

    Args:
        plain: the model without its branch.
        patched: the model with it.
        manifest: that of the latter.

    Raises:
        NotMetError: the model has no such target, task or grid.
        NotApplicableError: the manifest names a card that does not come with ov-xai, and without it the insertion gives
            something else.
    """
    found: list[Reinsertion] = []
    reason = ""
    try:
        stated = _stated(plain, patched, manifest)
    except XaiError as error:
        raise _wrong(str(error)) from error
    for request in wordings(stated):
        try:
            found.append(_inserted(plain, patched, manifest, request))
        except XaiError as error:
            reason = str(error)
            continue
        if not found[-1].differences:
            return found[-1]
    if manifest.card is not None and not is_shipped(manifest.card):
        return _without_card(found, manifest.card)
    if not found:
        raise _wrong(reason)
    return min(found, key=lambda made: len(made.differences))


def is_shipped(card: str) -> bool:
    """Return whether a card of this name comes with ov-xai."""
    return any(card == shipped.name for shipped in shipped_cards())


def _wrong(reason: str) -> NotMetError:
    return NotMetError(f"the manifest does not describe this model (MAN002): {reason}")


def _stated(plain: ov.Model, patched: ov.Model, manifest: Manifest) -> InsertionRequest:
    """Return the request that a manifest, and what came into the model besides the maps, tell of.

    Raises:
        ModelReadError: the manifest holds a word that no request has.
        RequestError: the labels are none.
    """
    labels = read_labels(patched)
    return replace(
        stated_request(manifest),
        feature_vector=has_output(patched, FEATURE_VECTOR),
        labels=None if labels == read_labels(plain) else labels,
        card=next((card for card in shipped_cards() if card.name == manifest.card), None),
    )


def _inserted(plain: ov.Model, patched: ov.Model, manifest: Manifest, request: InsertionRequest) -> Reinsertion:
    done = patch(plain, request, rounded=manifest.rounded)
    recorded = read_manifest(done.model)
    assert recorded is not None
    if isinstance(done.anatomy, Detector) and isinstance(done.plan, DetectorPlan):
        readout = find_readout(plain, done.anatomy, done.plan.ids, request)
        recorded = replace(recorded, readout=readout, segments=find_segments(done.anatomy, len(plain.outputs)))
    same_version = manifest.ov_xai == __version__
    if same_version and _roundings(done.model) != _roundings(patched):
        recorded = replace(recorded, rounded=not recorded.rounded)
    pairs = [
        Difference(entry, getattr(manifest, entry), getattr(recorded, entry))
        for entry in FACTS
        if same_version or entry not in _OF_A_VERSION
    ]
    if same_version and _taps(done.model).intersection(manifest.target) - _taps(patched):
        pairs.append(Difference("target", manifest.target, "a branch that does not read it"))
    return Reinsertion(request, done, tuple(pair for pair in pairs if pair.told != pair.found))


def _taps(model: ov.Model) -> set[str]:
    """Return the friendly names of the nodes that inserted ones read."""
    inserted = [node for node in model.get_ops() if node.get_friendly_name().startswith(PREFIX)]
    return {str(source.get_node().get_friendly_name()) for node in inserted for source in node.input_values()}


def _roundings(model: ov.Model) -> int:
    """Return how many inserted ops round activations."""
    ops = [node for node in model.get_ops() if node.get_type_name() in ROUNDING_OPS]
    return sum(node.get_friendly_name().startswith(PREFIX) for node in ops)


def _without_card(found: list[Reinsertion], card: str) -> Reinsertion:
    """Return an insertion that differs by its card alone.

    Raises:
        NotApplicableError: there is none.
    """
    for made in found:
        if all(item.entry == "card" and item.found is None for item in made.differences):
            return replace(made, differences=())
    raise NotApplicableError(f"patched with a card that does not come with ov-xai, '{card}'")
