"""From the outputs of one inference to an explanation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import openvino as ov

from ov_xai.graph.manifest import Manifest
from ov_xai.graph.outputs import SALIENCY_CLASSES, SALIENCY_MAP
from ov_xai.graph.readout import Readout
from ov_xai.runtime.choice import ALL, ClassChoice
from ov_xai.runtime.explanation import Explanation
from ov_xai.runtime.images import Image
from ov_xai.runtime.instance_masks import INSTANCE_MASKS, read_instance_masks
from ov_xai.runtime.labels import label_of, safe_labels
from ov_xai.runtime.placement import Placement
from ov_xai.runtime.predictions import Array, Reader, Reading
from ov_xai.runtime.rendering import to_u8


@dataclass(frozen=True)
class Prepared:
    """A photo on its way to the model.

    Attributes:
        photo: u8 [H, W, 3], RGB.
        tensor: u8 [1, h, w, C].
        placement: where the input lies in the photo.
    """

    photo: Image
    tensor: Image
    placement: Placement


@dataclass(frozen=True)
class Explainer:
    """Turns the outputs of a finished request into an explanation.

    It knows nothing of the queue: a callback that held the session could be the last to let go of it, and would then
    destroy the queue it runs in.

    Attributes:
        manifest: that of the patched model.
        choice: which classes are explained.
        labels: by class index.
        safe_names: label -> the same as part of a file name.
        wanted: the classes the caller names; None for all or the predicted ones.
        read: finds the predictions in the outputs.
        outputs: how many outputs the patched model has.
        index: name of an output -> its index.
        masks: index of the output with the masks that take the place of the maps; None for the maps.
    """

    manifest: Manifest
    choice: ClassChoice
    labels: Sequence[str]
    safe_names: Mapping[str, str]
    wanted: Sequence[int] | None
    read: Reader
    outputs: int
    index: Mapping[str, int]
    masks: int | None

    @property
    def method(self) -> str:
        """Return the name of what the maps show."""
        return self.manifest.method if self.masks is None else INSTANCE_MASKS

    def explain(self, request: ov.InferRequest, prepared: Prepared) -> Explanation:
        """Return the explanation of a finished request; results are copied out of its tensors."""
        outputs = [np.asarray(request.get_output_tensor(index).data) for index in range(self.outputs)]
        reading = self.read(outputs, prepared.placement)
        maps, shown = self._maps(outputs, reading, prepared.placement)
        safe = {name: self.safe_names.get(name) or safe_labels([name])[0] for name in maps} if self._class_wise else {}
        return Explanation(
            prepared.photo, reading.predictions, maps, shown, prepared.placement, safe, self.method, request.latency
        )

    @property
    def _class_wise(self) -> bool:
        return self.masks is not None or self.manifest.score is not None

    def _maps(
        self, outputs: Sequence[Array], reading: Reading, placement: Placement
    ) -> tuple[dict[str, Array], dict[str, float]]:
        """Return the maps and the confidences of their classes, both by label."""
        if not self._class_wise:
            return {self.manifest.method: outputs[self.index[SALIENCY_MAP]][0].copy()}, {}
        if self.masks is not None:
            maps = self._mask_maps(outputs, self.masks, reading, placement)
        else:
            maps = self._model_maps(outputs, reading)
        known = {k: reading.confidences[k] for k in maps if k in reading.confidences}
        return (
            {label_of(self.labels, k): item for k, item in maps.items()},
            {label_of(self.labels, k): item for k, item in known.items()},
        )

    def _model_maps(self, outputs: Sequence[Array], reading: Reading) -> dict[int, Array]:
        """Return class -> map, best first, out of the tensor of maps [K or T, h, w]."""
        maps = outputs[self.index[SALIENCY_MAP]][0]
        unused = set(self.manifest.unused_classes)
        best = outputs[self.index[SALIENCY_CLASSES]][0].tolist() if SALIENCY_CLASSES in self.index else None
        listed = range(self.manifest.classes) if best is None else best
        rows = {k: row for row, k in enumerate(listed) if k not in unused}
        return {k: maps[rows[k]].copy() for k in self._chosen(rows, reading)}

    def _mask_maps(
        self, outputs: Sequence[Array], masks: int, reading: Reading, placement: Placement
    ) -> dict[int, Array]:
        """Return class -> map, best first, out of the masks of its instances."""
        readout: Any = self.manifest.readout
        assert isinstance(readout, Readout)
        found = read_instance_masks(outputs, masks, readout, placement.input_wh)
        raw = {k: found.of_class(k) for k in self._chosen(found.classes, reading)}
        return raw if self.manifest.normalise == "none" else {k: to_u8(item) for k, item in raw.items()}

    def _chosen(self, available: Sequence[int] | Mapping[int, int], reading: Reading) -> list[int]:
        """Return the classes to explain, best first, of those that have a map."""
        if self.wanted is not None:
            classes = list(self.wanted)
        elif self.choice.classes == ALL:
            classes = sorted(available, key=lambda k: (-reading.confidences.get(k, 0.0), k))
        else:
            classes = list(dict.fromkeys(item.index for item in reading.predictions))
        return [k for k in classes if k in available][: self.choice.limit]
