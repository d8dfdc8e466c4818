"""OpenVINO operations in NumPy: what the saliency branch is made of, and nothing else.

`OPERATORS[type](node, inputs)` returns the list of outputs. Real inputs come as float32 or float64 and set the type in
which an operation computes, its sums included; whoever calls rounds the results.
"""

from functools import reduce

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.special import erf, expit

OPERATORS = {}


def operator(*kinds):
    """Register a function for operations of some types; it may return one array or a list."""

    def register(function):
        def listed(node, inputs):
            result = function(node, inputs)
            return result if isinstance(result, list) else [np.asarray(result)]

        OPERATORS.update(dict.fromkeys(kinds, listed))
        return function

    return register


def _unary(kind, function):
    operator(kind)(lambda node, inputs: function(inputs[0]))


def _binary(kind, function):
    operator(kind)(lambda node, inputs: function(inputs[0], inputs[1]))


def _divide(a, b):
    return a // b if np.issubdtype(a.dtype, np.integer) else a / b


def _gelu(x):
    return x * (1 + erf(x / np.sqrt(x.dtype.type(2)))) / 2


for _kind, _function in {
    "Abs": np.abs,
    "Erf": erf,
    "Negative": np.negative,
    "Relu": lambda x: np.maximum(x, 0),
    "Round": np.rint,
    "Sigmoid": expit,
    "Sqrt": np.sqrt,
    "Tanh": np.tanh,
    "HSwish": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "SoftPlus": lambda x: np.logaddexp(x, 0),
}.items():
    _unary(_kind, _function)
for _kind, _function in {
    "Add": np.add,
    "Subtract": np.subtract,
    "Multiply": np.multiply,
    "Divide": _divide,
    "Maximum": np.maximum,
    "Minimum": np.minimum,
    "Power": np.power,
    "Mod": np.fmod,
    "Equal": np.equal,
    "Less": np.less,
}.items():
    _binary(_kind, _function)
operator("Select")(lambda node, inputs: np.where(*inputs))


@operator("Gelu")
def gelu(node, inputs):
    x = inputs[0]
    if node.get_attributes()["approximation_mode"] == "ERF":
        return _gelu(x)
    return x * (1 + np.tanh(x.dtype.type(np.sqrt(2 / np.pi)) * (x + x.dtype.type(0.044715) * x**3))) / 2


@operator("Swish")
def swish(node, inputs):
    return inputs[0] * expit(inputs[0] * (inputs[1] if len(inputs) > 1 else 1))


@operator("Clamp")
def clamp(node, inputs):
    return np.clip(inputs[0], node.get_attributes()["min"], node.get_attributes()["max"]).astype(inputs[0].dtype)


@operator("FakeQuantize")
def fake_quantize(node, inputs):
    x, low, high, out_low, out_high = inputs
    steps = x.dtype.type(node.get_attributes()["levels"] - 1)
    inside = np.rint((np.clip(x, low, high) - low) / (high - low) * steps)
    return inside / steps * (out_high - out_low) + out_low


# -- shapes --------------------------------------------------------------------------------------------------------


def _axes(values):
    return tuple(int(axis) for axis in np.reshape(values, -1))


@operator("Convert")
def convert(node, inputs):
    kind = node.get_output_element_type(0).to_dtype()
    return inputs[0] if np.issubdtype(kind, np.floating) and inputs[0].dtype.kind == "f" else inputs[0].astype(kind)


@operator("ShapeOf")
def shape_of(node, inputs):
    return np.array(inputs[0].shape, np.int64)


@operator("Reshape")
def reshape(node, inputs):
    x, shape = inputs
    keep = node.get_attributes()["special_zero"]
    return x.reshape([x.shape[at] if extent == 0 and keep else int(extent) for at, extent in enumerate(shape)])


@operator("Squeeze")
def squeeze(node, inputs):
    return np.squeeze(inputs[0], _axes(inputs[1]) if len(inputs) > 1 else None)


operator("Unsqueeze")(lambda node, inputs: np.expand_dims(inputs[0], _axes(inputs[1])))
operator("Transpose")(lambda node, inputs: inputs[0].transpose(_axes(inputs[1]) or None))
operator("Concat")(lambda node, inputs: np.concatenate(inputs, node.get_attributes()["axis"]))
operator("Range")(lambda node, inputs: np.arange(*(int(part) for part in inputs), dtype=np.int64))
operator("Identity")(lambda node, inputs: inputs[0])


@operator("Broadcast")
def broadcast(node, inputs):
    assert node.get_attributes()["mode"] in ("bidirectional", "numpy")
    return np.broadcast_to(inputs[0], np.broadcast_shapes(inputs[0].shape, _axes(inputs[1])))


@operator("Pad")
def pad(node, inputs):
    assert node.get_attributes()["pad_mode"] == "constant"
    widths = list(zip(_axes(inputs[1]), _axes(inputs[2]), strict=True))
    return np.pad(inputs[0], widths, constant_values=inputs[3] if len(inputs) > 3 else 0)


@operator("Gather")
def gather(node, inputs):
    assert node.get_attributes()["batch_dims"] == 0
    return np.take(inputs[0], inputs[1], int(inputs[2]))


@operator("GatherElements")
def gather_elements(node, inputs):
    return np.take_along_axis(inputs[0], inputs[1], node.get_attributes()["axis"])


@operator("OneHot")
def one_hot(node, inputs):
    indices, depth, on, off = inputs
    assert node.get_attributes()["axis"] == indices.ndim
    return np.where(indices[..., None] == np.arange(int(depth)), on, off)


@operator("Slice")
def cut(node, inputs):
    x, starts, stops, steps = inputs[:4]
    where = _axes(inputs[4]) if len(inputs) > 4 else range(len(starts))
    chosen = [slice(None)] * x.ndim
    for axis, start, stop, step in zip(where, starts, stops, steps, strict=True):
        chosen[axis] = slice(*slice(int(start), int(stop), int(step)).indices(x.shape[axis]))
        if chosen[axis].stop < 0:
            chosen[axis] = slice(chosen[axis].start, None, int(step))
    return x[tuple(chosen)]


@operator("StridedSlice")
def strided_slice(node, inputs):
    x, begins, ends = inputs[:3]
    steps = inputs[3] if len(inputs) > 3 else np.ones_like(begins)
    masks = node.get_attributes()
    assert not any(masks["new_axis_mask"])
    assert not any(masks["ellipsis_mask"])
    chosen = []
    for at in range(len(begins)):
        whole = [at < len(masks[f"{side}_mask"]) and masks[f"{side}_mask"][at] for side in ("begin", "end")]
        if at < len(masks["shrink_axis_mask"]) and masks["shrink_axis_mask"][at]:
            chosen.append(int(begins[at]))
            continue
        start, stop = (None if skip else int(side[at]) for skip, side in zip(whole, (begins, ends), strict=True))
        chosen.append(slice(start, stop, int(steps[at])))
    return x[tuple(chosen)]


@operator("Split")
def split(node, inputs):
    return list(np.split(inputs[0], node.get_attributes()["num_splits"], int(inputs[1])))


@operator("VariadicSplit")
def variadic_split(node, inputs):
    return list(np.split(inputs[0], np.cumsum(inputs[2])[:-1], int(inputs[1])))


# -- reductions ----------------------------------------------------------------------------------------------------


def _reduction(kind, function):
    @operator(kind)
    def reduced(node, inputs):
        return function(inputs[0], axis=_axes(inputs[1]), keepdims=node.get_attributes()["keep_dims"])


for _kind, _function in {
    "ReduceMax": np.max,
    "ReduceMin": np.min,
    "ReduceMean": np.mean,
    "ReduceSum": np.sum,
    "ReduceProd": np.prod,
}.items():
    _reduction(_kind, _function)


@operator("ReduceL2")
def reduce_l2(node, inputs):
    return np.sqrt(np.sum(inputs[0] ** 2, axis=_axes(inputs[1]), keepdims=node.get_attributes()["keep_dims"]))


@operator("Softmax")
def softmax(node, inputs):
    axis = node.get_attributes()["axis"]
    grown = np.exp(inputs[0] - inputs[0].max(axis, keepdims=True))
    return grown / grown.sum(axis, keepdims=True)


@operator("MVN")
def mvn(node, inputs):
    x, attributes = inputs[0], node.get_attributes()
    centred = x - x.mean(_axes(inputs[1]), keepdims=True)
    if not attributes["normalize_variance"]:
        return centred
    variance, eps = (centred**2).mean(_axes(inputs[1]), keepdims=True), x.dtype.type(attributes["eps"])
    return centred / (np.sqrt(variance + eps) if attributes["eps_mode"] == "INSIDE_SQRT" else np.sqrt(variance) + eps)


@operator("NormalizeL2")
def normalize_l2(node, inputs):
    x, attributes = inputs[0], node.get_attributes()
    squares, eps = np.sum(x**2, _axes(inputs[1]), keepdims=True), x.dtype.type(attributes["eps"])
    return x / np.sqrt(squares + eps if attributes["eps_mode"] == "add" else np.maximum(squares, eps))


@operator("TopK")
def top_k(node, inputs):
    attributes = node.get_attributes()
    assert (attributes["mode"], attributes["sort"]) == ("max", "value")
    order = np.argsort(-inputs[0], attributes["axis"], kind="stable")
    best = np.take(order, np.arange(int(inputs[1])), attributes["axis"])
    return [np.take_along_axis(inputs[0], best, attributes["axis"]), best.astype(np.int64)]


# -- products ------------------------------------------------------------------------------------------------------


@operator("MatMul")
def matmul(node, inputs):
    flags = node.get_attributes()
    sides = [
        np.swapaxes(x, -1, -2) if flags[flag] and x.ndim > 1 else x
        for x, flag in zip(inputs, ("transpose_a", "transpose_b"), strict=True)
    ]
    return np.matmul(*sides)


@operator("Einsum")
def einsum(node, inputs):
    return np.einsum(node.get_attributes()["equation"], *inputs)


@operator("ScaledDotProductAttention")
def attention(node, inputs):
    query, key, value = inputs[:3]
    assert not node.get_attributes()["causal"]
    scores = np.matmul(query / np.sqrt(query.dtype.type(query.shape[-1])), np.swapaxes(key, -1, -2))
    if len(inputs) > 3 and inputs[3].ndim:
        scores = scores + inputs[3]
    assert len(inputs) < 5
    grown = np.exp(scores - scores.max(-1, keepdims=True))
    return np.matmul(grown / grown.sum(-1, keepdims=True), value)


@operator("Convolution")
def convolution(node, inputs):
    x, kernel = inputs
    return np.einsum("ncyxij,kcij->nkyx", _windows(node, x, kernel.shape[-2:]), kernel, optimize=True)


@operator("GroupConvolution")
def group_convolution(node, inputs):
    x, kernel = inputs
    groups = kernel.shape[0]
    windows = _windows(node, x, kernel.shape[-2:])
    windows = windows.reshape(len(x), groups, -1, *windows.shape[2:])
    products = np.einsum("ngcyxij,gkcij->ngkyx", windows, kernel, optimize=True)
    return products.reshape(len(x), -1, *products.shape[3:])


@operator("AvgPool")
def avg_pool(node, inputs):
    attributes = node.get_attributes()
    assert not any(attributes["pads_begin"])
    assert not any(attributes["pads_end"])
    return _windows(node, inputs[0], attributes["kernel"]).mean((-2, -1))


def _windows(node, x, extents):
    """Return the windows of x [N, C, h, w] as [N, C, h', w', i, j]."""
    attributes = node.get_attributes()
    assert attributes["auto_pad"] == "explicit"
    assert not any(step != 1 for step in attributes.get("dilations", []))
    around = [(0, 0), (0, 0), *zip(attributes["pads_begin"], attributes["pads_end"], strict=True)]
    down, right = attributes["strides"]
    return sliding_window_view(np.pad(x, around), tuple(extents), (2, 3))[:, :, ::down, ::right]


@operator("Interpolate")
def interpolate(node, inputs):
    attributes = node.get_attributes()
    wanted = {"shape_calculation_mode": "sizes", "coordinate_transformation_mode": "half_pixel", "antialias": False}
    assert attributes["mode"] == "linear_onnx"
    assert wanted.items() <= attributes.items()
    x, extents, axes = inputs[0], inputs[1], _axes(inputs[-1])
    return reduce(_stretched, zip(axes, extents, strict=True), x)


def _stretched(x, axis_and_extent):
    axis, extent = axis_and_extent
    before = x.shape[axis]
    centre = np.clip((np.arange(extent) + 0.5) * before / extent - 0.5, 0, before - 1)
    left = np.floor(centre).astype(int)
    share = (centre - left).astype(x.dtype).reshape(-1, *(1,) * (x.ndim - axis - 1))
    right = np.minimum(left + 1, before - 1)
    return np.take(x, left, axis) * (1 - share) + np.take(x, right, axis) * share
