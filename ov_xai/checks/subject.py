"""The two models that are compared, and what several checks ask of them: computed once, when first asked for."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov

from ov_xai.analysis.dissection import Dissected
from ov_xai.annotations import read_annotations
from ov_xai.checks.baseline import Baseline, read_baseline
from ov_xai.checks.maps_of import Maps, maps_of
from ov_xai.checks.options import CheckOptions
from ov_xai.checks.reinsertion import Reinsertion, insert_again
from ov_xai.checks.samples import Sample, explained_samples, load_images
from ov_xai.checks.verdict import NotApplicableError
from ov_xai.errors import ModelMismatchError, ModelReadError
from ov_xai.graph.io import read_model, save_model
from ov_xai.graph.manifest import Manifest, read_manifest
from ov_xai.graph.outputs import SALIENCY_CLASSES, SALIENCY_MAP
from ov_xai.graph.trial import EXACT
from ov_xai.insertion import Source, remove
from ov_xai.plan import Plan
from ov_xai.request import Method
from ov_xai.runtime.device import compile_for

Array = npt.NDArray[Any]


class Runner:
    """A compiled model that is run on samples; results are copies."""

    def __init__(self, model: ov.Model, device: str, settings: dict[str, Any]) -> None:
        self._compiled = compile_for(model, device, settings)
        self._request = self._compiled.create_infer_request()
        self._index = {name: index for index, output in enumerate(model.outputs) for name in output.get_names()}

    def __call__(self, inputs: Sequence[Array]) -> list[Array]:
        """Return all outputs in order."""
        self._request.infer(list(inputs))
        return [np.array(tensor.data) for tensor in self._request.output_tensors]

    def seconds(self, inputs: Sequence[Array]) -> float:
        """Return the latency of one inference; inputs are copied before, outputs are left alone."""
        for index, values in enumerate(inputs):
            self._request.set_input_tensor(index, ov.Tensor(values))
        start = time.perf_counter()
        self._request.infer()
        return time.perf_counter() - start

    def named(self, inputs: Sequence[Array]) -> dict[str, Array]:
        """Return all outputs that have a name, by name."""
        results = self(inputs)
        return {name: results[index] for name, index in self._index.items()}


class Subject:
    """An original and a patched model under check; a context manager, which removes temporary files.

    Args:
        original: the plain model, a path or in memory.
        patched: the patched model, a path or in memory.
        options: what the checks are told.

    Raises:
        ModelReadError: a file cannot be read.
        ModelMismatchError: the original carries a saliency branch itself.
        InputError: no image of the folder, not the baseline, or not the annotations can be read.
    """

    def __init__(self, original: Source, patched: Source, options: CheckOptions) -> None:
        self.options = options
        self.images = {} if options.data is None else load_images(options.data, options.images)
        self.baseline = None if options.baseline is None else read_baseline(options.baseline)
        if options.annotations is not None:
            read_annotations(options.annotations)  # what is wrong with them is said before anything is measured
        #: Figures of quality, once they have been measured.
        self.figures: Baseline | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self.original_path = None if isinstance(original, ov.Model) else Path(original)
        self.patched_path = None if isinstance(patched, ov.Model) else Path(patched)
        self.original = original if isinstance(original, ov.Model) else read_model(original, safe=options.safe)
        self.patched = patched if isinstance(patched, ov.Model) else read_model(patched, safe=options.safe)
        if any(SALIENCY_MAP in output.get_names() for output in self.original.outputs):
            raise ModelMismatchError(
                "ORIGINAL has a saliency_map output itself; expected the plain model, then the patched one. "
                "`ov-xai remove` gives the plain model back."
            )

    def __enter__(self) -> Subject:
        return self

    def __exit__(self, *_: object) -> None:
        if self._folder is not None:
            self._folder.cleanup()

    # -- what the models are ---------------------------------------------------------------------------------------

    @cached_property
    def manifest(self) -> Manifest:
        """The manifest of the patched model.

        Raises:
            NotApplicableError: it has none that can be read.
        """
        try:
            found = read_manifest(self.patched)
        except ModelReadError as error:
            raise NotApplicableError("the manifest cannot be read (MAN001)") from error
        if found is None:
            raise NotApplicableError("there is no manifest (MAN001)")
        return found

    @property
    def class_wise(self) -> bool:
        """Whether there is one map per class."""
        return self.manifest.method in (Method.RECIPRO_CAM.value, Method.CLASS_PROBABILITY_MAP.value)

    def map_output(self) -> ov.Output:
        """Return the output with the maps.

        Raises:
            NotApplicableError: there is none.
        """
        found = self.new_output(SALIENCY_MAP)
        if found is None:
            raise NotApplicableError("there is no output saliency_map (CON001)")
        return found

    def new_output(self, name: str) -> ov.Output | None:
        """Return the output of the patched model with that name; None when there is none."""
        return next((output for output in self.patched.outputs if name in output.get_names()), None)

    @cached_property
    def plain(self) -> ov.Model:
        """The original, if its nodes have the names of the patched model's, else the latter without its branch.

        Readers of formats other than IR invent names.

        Raises:
            NotApplicableError: the branch is not one of ov-xai.
        """
        if _names(self.original) <= _names(self.patched):
            return self.original
        try:
            return remove(self.patched)
        except ModelMismatchError as error:
            raise NotApplicableError("no inserted output is named under ov_xai/ (CON009)") from error

    def require_same_inputs(self) -> None:
        """Refuse to run both models on the same samples when their inputs differ.

        Raises:
            NotApplicableError: they do.
        """
        if input_kinds(self.original) != input_kinds(self.patched):
            raise NotApplicableError("the models do not take the same inputs (OUT001)")

    @cached_property
    def again(self) -> Reinsertion:
        """The insertion that the manifest tells of, made again.

        Raises:
            NotMetError: the manifest tells of something that the model does not have.
            NotApplicableError: there is no manifest, or it names a card that is not known.
        """
        return insert_again(self.plain, self.patched, self.manifest)

    @property
    def dissection(self) -> tuple[Dissected, Plan]:
        """Anatomy of the model, and what was inserted.

        Raises:
            NotMetError: the maps do not come from where the manifest says.
            NotApplicableError: there is no manifest, or it names a card that is not known.
        """
        self.again.require_place()
        return self.again.done.anatomy, self.again.done.plan

    # -- running them ----------------------------------------------------------------------------------------------

    def runner(self, model: ov.Model, settings: dict[str, Any] | None = None) -> Runner:
        """Return a freshly compiled model, in single precision unless settings say otherwise."""
        return Runner(model, self.options.device, EXACT if settings is None else settings)

    @cached_property
    def run_original(self) -> Runner:
        """The original, in single precision."""
        return self.runner(self.original)

    @cached_property
    def run_patched(self) -> Runner:
        """The patched model, in single precision."""
        return self.runner(self.patched)

    @cached_property
    def samples(self) -> tuple[Sample, ...]:
        """What maps are judged on."""
        self.require_same_inputs()
        return explained_samples(self.original, self.images)

    @property
    def judged_on(self) -> str:
        """What maps are judged on, in words."""
        return f"{len(self.samples)} {'images' if self.images else 'made-up pictures'}"

    @cached_property
    def predictions(self) -> list[list[Array]]:
        """Outputs of the original for every sample."""
        return [self.run_original(sample.inputs) for sample in self.samples]

    def class_scores(self, outputs: Sequence[Array]) -> Array:
        """Return the class scores of a classifier among its outputs, [N, K].

        Raises:
            NotApplicableError: they are not where the manifest says.
        """
        index, classes = self.manifest.score_output, self.manifest.classes
        if index >= len(outputs) or outputs[index].size not in (classes, classes * len(outputs[index])):
            raise NotApplicableError(f"output {index} does not hold {classes} classes (MAN002)")
        return outputs[index].reshape(-1, classes)

    @cached_property
    def explained(self) -> list[Maps]:
        """Maps of the patched model for every sample.

        Raises:
            NotApplicableError: there are none.
        """
        return [self.maps(self.run_patched, sample.inputs) for sample in self.samples]

    def maps(self, run: Runner, inputs: Sequence[Array]) -> Maps:
        """Return the maps that a runner of the patched model gives.

        Raises:
            NotApplicableError: there are none of the shape that the manifest says.
        """
        self.map_output()
        if self.manifest.top_k is not None and self.new_output(SALIENCY_CLASSES) is None:
            raise NotApplicableError("there is no output saliency_classes (CON005)")
        outputs = run.named(inputs)
        depth = 4 if self.class_wise else 3
        if outputs[SALIENCY_MAP].ndim != depth:
            raise NotApplicableError(f"saliency_map does not have {depth} axes (CON004)")
        return maps_of(outputs, self.manifest)

    def require_live_predictions(self) -> None:
        """Refuse to judge maps by samples that the original itself does not tell apart.

        Raises:
            NotApplicableError: its outputs are the same for all samples.
        """
        first, *others = self.predictions
        if not any(_differ(old, new) for outputs in others for old, new in zip(first, outputs, strict=True)):
            raise NotApplicableError(
                f"the predictions are the same for all {self.judged_on}, so maps may be too; give images with --data"
            )

    # -- as files --------------------------------------------------------------------------------------------------

    @cached_property
    def original_ir(self) -> Path:
        """The original as an .xml file; one that is no IR is written into a temporary folder."""
        return self._as_ir(self.original, self.original_path, "original")

    @cached_property
    def patched_ir(self) -> Path:
        """The patched model as an .xml file."""
        return self._as_ir(self.patched, self.patched_path, "patched")

    def _as_ir(self, model: ov.Model, path: Path | None, name: str) -> Path:
        if path is not None and path.suffix.lower() == ".xml":
            return path
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="ov_xai_check_")
        written = Path(self._folder.name) / f"{name}.xml"
        save_model(model, written)
        return written


def input_kinds(model: ov.Model) -> list[tuple[list[str], str, str]]:
    """Return names, type and shape of each input."""
    return [
        (sorted(source.get_names()), source.get_element_type().to_string(), str(source.get_partial_shape()))
        for source in model.inputs
    ]


def _names(model: ov.Model) -> set[str]:
    return {str(node.get_friendly_name()) for node in model.get_ops()}


def _differ(old: Array, new: Array) -> bool:
    return old.shape != new.shape or not np.array_equal(old, new)
