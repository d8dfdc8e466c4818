"""The JSON that a patched model carries about its own patch."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Annotated

import msgspec
import openvino as ov

from ov_xai.errors import ModelReadError
from ov_xai.graph.readout import Readout, SegmentReadout

#: Path of the manifest in the model's rt_info.
RT_INFO_PATH = ["ov_xai", "manifest"]
SCHEMA = 1
#: Entries that say nothing about a classifier.
_OF_DETECTORS = frozenset("card levels map_level combine compat unused_classes readout segments".split())

Count = Annotated[int, msgspec.Meta(ge=0)]
Extent = Annotated[int, msgspec.Meta(ge=1)]
Grid = Annotated[list[Extent | None], msgspec.Meta(min_length=2, max_length=2)]
Names = Annotated[list[str], msgspec.Meta(min_length=1)]


@dataclass(frozen=True)
class Manifest:
    """What was inserted.

    Attributes:
        schema: version of this record.
        ov_xai: version of the package that patched the model.
        task: "classification", "detection" or "segmentation".
        method: canonical name.
        target: friendly names of the masked nodes; of detectors, of those that hold the class scores.
        kept_tokens: number of tokens no mask touches.
        grid: [rows, columns]; null where dynamic.
        mask: "pixel" or "gaussian"; null for methods without masks.
        score: "logit", "probability" or "contrast"; null for maps per image.
        normalise: "minmax" or "none".
        classes: number of classes K.
        top_k: number of classes per map tensor, null for all.
        strategy: "closed-form" or "mosaic".
        strategy_reason: the op that forced the mosaic, null in closed form.
        score_output: index of the output whose scores are explained.
        activation: what that output has been through: "softmax", "log_softmax", "sigmoid" or "none".
        exact_outputs: whether the original outputs are bit-equal; false means equal within 1e-5 of their range.
        source_sha256: hash of the model that was patched.
        rounded: whether the masked runs round activations where a quantised model does.
        shared: friendly names of feature maps that end in other branches and are not masked.
        card: name of the card that was used; null for none.
        levels: [rows, columns] of each pyramid level, finest first; empty for classifiers.
        map_level: index of the level whose grid the maps have.
        combine: "mean" or "max" over the levels; null for classifiers.
        compat: the tool whose maps are reproduced; null for none.
        readout: where the predictions of a detector stand in the outputs; null when they are not to be read.
        segments: which output of a segmentation model holds the classes; null when it is not known.
        unused_classes: label ids that no class has, such as a background; their maps are zero.
    """

    schema: int
    ov_xai: str
    task: str
    method: str
    target: Names
    kept_tokens: Count
    grid: Grid
    mask: str | None
    score: str | None
    normalise: str
    classes: Count
    top_k: Extent | None
    strategy: str
    strategy_reason: str | None
    score_output: Count
    activation: str
    exact_outputs: bool
    source_sha256: str
    rounded: bool = True
    shared: list[str] = field(default_factory=list)
    card: str | None = None
    levels: list[Grid] = field(default_factory=list)
    map_level: Count | None = None
    combine: str | None = None
    compat: str | None = None
    unused_classes: list[Count] = field(default_factory=list)
    readout: Readout | None = None
    segments: SegmentReadout | None = None

    def to_json(self) -> str:
        """Return one line of JSON."""
        record = asdict(self)
        if self.task == "classification":
            record = {key: value for key, value in record.items() if key not in _OF_DETECTORS}
        return json.dumps(record, separators=(",", ":"), ensure_ascii=True)


def write_manifest(model: ov.Model, manifest: Manifest) -> None:
    """Store the manifest in the model's rt_info."""
    model.set_rt_info(manifest.to_json(), RT_INFO_PATH)


def read_manifest(model: ov.Model) -> Manifest | None:
    """Return the manifest of a patched model, None for any other.

    Raises:
        ModelReadError: there is a manifest, but this version cannot read it.
    """
    if not model.has_rt_info(RT_INFO_PATH):
        return None
    try:
        manifest = msgspec.json.decode(model.get_rt_info(RT_INFO_PATH).astype(str), type=Manifest)
    except (ValueError, TypeError, RuntimeError) as error:
        raise _unreadable(str(error)) from error
    if manifest.schema != SCHEMA:
        raise _unreadable(f"schema {manifest.schema}")
    return manifest


def _unreadable(found: str) -> ModelReadError:
    return ModelReadError(
        f"The manifest of the patched model cannot be read: {found}; expected schema {SCHEMA}. Patch the original "
        "model again with this version."
    )


def drop_manifest(model: ov.Model) -> None:
    """Remove the manifest from the model's rt_info."""
    if RT_INFO_PATH[0] in model.rt_info:
        del model.rt_info[RT_INFO_PATH[0]]
