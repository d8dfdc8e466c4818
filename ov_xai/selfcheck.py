"""The proof that comes before saving: same predictions, and a branch that equals the literal perturbation."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov

from ov_xai.analysis.anatomy import Anatomy
from ov_xai.analysis.axes import PLACE_ROLES, Axis, Role, factors, place_axes
from ov_xai.analysis.demand import on_grid
from ov_xai.analysis.scores import Activation
from ov_xai.errors import SelfCheckError, UnsupportedModelError
from ov_xai.graph.view import sizes
from ov_xai.plan import Plan
from ov_xai.request import Mask, Method

Array = npt.NDArray[Any]

#: Closed form and literal mosaic may differ by this part of a map's range.
MAP_TOLERANCE = 1e-4
#: Rounding of FP32 logits, as a part of a logit and of the largest of them: the branch sums in another order than the
#: head, and among hundreds of tokens one place moves the logits by little more.
OWN_ROUNDING, LARGEST_ROUNDING = 4e-6, 1e-6
#: Where bits cannot be kept, an original output may differ by this part of its range.
OUTPUT_TOLERANCE = 1e-5
#: Places whose literal perturbation is computed.
SAMPLED_PLACES = 6
#: Extents that stand in for dynamic ones.
_SAMPLE_BATCH, _SAMPLE_SIZE = 2, 224

_EXACT = {"INFERENCE_PRECISION_HINT": "f32"}


def check_outputs(original: ov.Model, patched: ov.Model) -> bool:
    """Compare the original outputs before and after on a random input, bit for bit.

    Both are run in FP32 and, where the CPU's default is something else, at that too.

    Returns:
        True when all bits are equal; False when they differ by at most `OUTPUT_TOLERANCE` of the output's range.

    Raises:
        SelfCheckError: an output differs by more.
    """
    core = ov.Core()
    default = core.get_property("CPU", "INFERENCE_PRECISION_HINT")
    configs: list[dict[str, Any]] = [_EXACT] if default == ov.Type.f32 else [_EXACT, {}]
    sample = sample_inputs(original)
    exact = True
    with ThreadPoolExecutor(2) as pool:
        models = (original, patched)
        runs = [pool.submit(_outputs, core, model, sample, config) for config in configs for model in models]
        results = [run.result() for run in runs]
    for before, after in zip(results[::2], results[1::2], strict=True):
        for index, (old, new) in enumerate(zip(before, after, strict=False)):
            if old.shape != new.shape or old.dtype != new.dtype:
                raise SelfCheckError(f"Output {index} changed from {old.dtype}{old.shape} to {new.dtype}{new.shape}.")
            if old.tobytes() == new.tobytes():
                continue
            exact = False
            _require_close(index, old, new)
    return exact


def _require_close(index: int, old: Array, new: Array) -> None:
    span = float(np.ptp(old)) or 1.0
    worst = float(np.max(np.abs(old.astype(np.float64) - new.astype(np.float64))))
    if not worst <= OUTPUT_TOLERANCE * span:
        raise SelfCheckError(
            f"Output {index} of the patched model differs by {worst / span:.1e} of its range; at most "
            f"{OUTPUT_TOLERANCE:.0e} is allowed. Choose another --target-layer; nothing was written."
        )


def _outputs(core: ov.Core, model: ov.Model, sample: list[Array], config: dict[str, Any]) -> list[Array]:
    compiled = core.compile_model(model, "CPU", config)
    result = compiled(sample)
    return [np.array(result[index]) for index in range(len(compiled.outputs))]


def sample_inputs(model: ov.Model, seed: int = 0) -> list[Array]:
    """Return one random array per input; dynamic extents become a small batch and an ordinary image size."""
    random = np.random.default_rng(seed)
    arrays: list[Array] = []
    for source in model.inputs:
        extents = sizes(source) or []
        shape = [
            extent if extent is not None else (_SAMPLE_BATCH if index == 0 else _SAMPLE_SIZE)
            for index, extent in enumerate(extents)
        ]
        dtype = source.get_element_type().to_dtype()
        if np.issubdtype(dtype, np.integer):
            arrays.append(random.integers(0, 256 if dtype == np.uint8 else 2, shape).astype(dtype))
        else:
            arrays.append(random.standard_normal(shape).astype(dtype))
    return arrays


# -- the branch ----------------------------------------------------------------------------------------------------


def check_branch(probe: ov.Model, anatomy: Anatomy, plan: Plan) -> None:
    """Compare the raw maps with the literal perturbation of a random target at a few places.

    Args:
        probe: the patched model with raw maps.
        anatomy: anatomy of the patched model.
        plan: what was inserted.

    Raises:
        SelfCheckError: they differ by more than `MAP_TOLERANCE` of a map's range.
        UnsupportedModelError: the scores do not depend on the target's places.
    """
    if plan.method is not Method.RECIPRO_CAM:
        return
    head = _Head(probe, anatomy)
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
        literal = _activate(head.logits(target * head.mask(plan.mask, target.shape, y, x)), plan.activation)
        seen.append(literal)
        if classes is not None:
            literal = np.take_along_axis(literal, classes, 1)
        gap = np.abs(maps[:, :, y, x] - literal)
        size = np.abs(literal)
        allowed = MAP_TOLERANCE * span + OWN_ROUNDING * size + LARGEST_ROUNDING * size.max()
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


def _activate(logits: Array, activation: Activation) -> Array:
    if activation is Activation.SIGMOID:
        return np.asarray(1 / (1 + np.exp(-logits)))
    if activation is Activation.SOFTMAX:
        shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))
    return logits


class _Head:
    """The part of a patched model behind the target, with the target as an input."""

    def __init__(self, probe: ov.Model, anatomy: Anatomy) -> None:
        self._layout = anatomy.target.layout
        self._classes = anatomy.scores.classes
        model = probe.clone()
        target = _twin(model, anatomy.target.output)
        logits = _twin(model, anatomy.scores.logits)
        stand_in = ov.opset13.parameter(target.get_partial_shape(), target.get_element_type())
        for reader in list(target.get_target_inputs()):
            if reader.get_node().get_type_name() != "Result":
                reader.replace_source_output(stand_in.output(0))
        outputs = [logits, *(result.input_value(0) for result in model.get_results() if _is_inserted(result))]
        results = [ov.opset13.result(output) for output in outputs]
        inputs = _reachable_parameters(results)
        cut = ov.Model(results, inputs, "head")
        self._own = inputs.index(stand_in) if stand_in in inputs else _position(inputs, stand_in)
        self._shape = sizes(stand_in.output(0)) or []
        self._others = sample_inputs(cut)
        self._request = ov.Core().compile_model(cut, "CPU", _EXACT).create_infer_request()

    def random_target(self) -> Array:
        """Return random activations of the shape of the target."""
        shape = [
            extent if extent is not None else _stand_in_extent(axis)
            for axis, extent in zip(self._layout, self._shape, strict=True)
        ]
        return np.random.default_rng(2).standard_normal(shape).astype(self._others[self._own].dtype)

    def _run(self, target: Array) -> list[Array]:
        inputs = list(self._others)
        inputs[self._own] = target
        self._request.infer(inputs)
        return [np.array(tensor.data) for tensor in self._request.output_tensors]

    def maps(self, target: Array) -> tuple[Array, Array | None]:
        """Return raw maps [N, K or T, h, w] and, with top-k, the classes [N, T]."""
        results = self._run(target)
        return results[1], results[2] if len(results) > 2 else None

    def depends_on_the_rest(self, target: Array) -> bool:
        """Return whether the logits depend on the other inputs; with weights of zero they depend on nothing."""
        before, others = self.logits(target), self._others
        self._others = [np.flip(values) for values in others]
        after = self.logits(target)
        self._others = others
        return not np.array_equal(before, after)

    def logits(self, target: Array) -> Array:
        """Return the logits [N, K]."""
        return self._run(target)[0].reshape(-1, self._classes)

    def mask(self, mask: Mask, shape: tuple[int, ...], y: int, x: int) -> Array:
        """Return M_p for place (y, x), broadcastable against the target."""
        places = place_axes(self._layout)
        height, width = _grid_of(self._layout, shape)
        picture = np.zeros((height, width), np.float32)
        weights = {Mask.PIXEL: {0: 1.0}, Mask.GAUSSIAN: {0: 0.5, 1: 0.25}}[mask]
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                if 0 <= y + dy < height and 0 <= x + dx < width:
                    picture[y + dy, x + dx] = weights.get(abs(dy), 0.0) * weights.get(abs(dx), 0.0)
        broadcast = [shape[axis] if axis in places else 1 for axis in range(len(shape))]
        if len(places) > 1:
            return picture.reshape(broadcast)
        tokens = on_grid(self._layout[places[0]])
        row = np.ones(shape[places[0]], np.float32)
        row[slice(None) if tokens is None else tokens] = picture.reshape(-1)
        return row.reshape(broadcast)


def _twin(clone: ov.Model, output: ov.Output) -> ov.Output:
    name = output.get_node().get_friendly_name()
    node = next(node for node in clone.get_ordered_ops() if node.get_friendly_name() == name)
    return node.output(output.get_index())


def _is_inserted(result: ov.Node) -> bool:
    return bool(result.get_friendly_name().startswith("ov_xai/"))


def _reachable_parameters(results: list[ov.Node]) -> list[ov.Node]:
    pending, seen, found = list(results), set(), []
    while pending:
        node = pending.pop()
        key = node.get_instance_id()
        if key in seen:
            continue
        seen.add(key)
        if node.get_type_name() == "Parameter":
            found.append(node)
        pending.extend(source.get_node() for source in node.input_values())
    return sorted(found, key=lambda node: node.get_friendly_name())


def _position(inputs: list[ov.Node], node: ov.Node) -> int:
    return next(index for index, item in enumerate(inputs) if item.get_instance_id() == node.get_instance_id())


def _stand_in_extent(axis: Axis) -> int:
    roles = {factor.role for factor in factors(axis)}
    return _SAMPLE_BATCH if Role.BATCH in roles else 7


def _grid_of(layout: tuple[Axis, ...], shape: tuple[int, ...]) -> tuple[int, int]:
    extents: dict[Role, int] = {}
    for axis, extent in zip(layout, shape, strict=True):
        parts = [factor for factor in factors(axis) if factor.role in PLACE_ROLES]
        for part in parts:
            extents[part.role] = part.size if part.size is not None else extent
    return extents[Role.Y], extents[Role.X]
