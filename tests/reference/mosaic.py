"""Recipro-CAM, literally: the head runs once per mask."""

import numpy as np
import openvino as ov
from openvino import opset13 as ops

F32 = {"INFERENCE_PRECISION_HINT": "f32"}
#: The plugin rounds what is multiplied by 8-bit weights unless it is told not to.
NO_ROUNDING = {"DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"}
#: What is kept of a place and its neighbours; "blank" keeps nothing.
PROFILES = {"pixel": {0: 1.0}, "gaussian": {0: 0.5, 1: 0.25}, "blank": {}}


def mask_pictures(kind, height, width):
    """Return all masks as [P, h, w]."""
    weights = PROFILES[kind]
    pictures = np.zeros((height * width, height, width), np.float32)
    for place in range(height * width):
        y, x = divmod(place, width)
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                if 0 <= y + dy < height and 0 <= x + dx < width:
                    pictures[place, y + dy, x + dx] = weights.get(abs(dy), 0.0) * weights.get(abs(dx), 0.0)
    return pictures


def node_named(model, name):
    return next(node for node in model.get_ordered_ops() if node.get_friendly_name() == name)


def strip_activation(output):
    while output.get_node().get_type_name() in ("Reshape", "Squeeze", "Softmax", "Sigmoid"):
        node = output.get_node()
        if node.get_type_name() in ("Softmax", "Sigmoid"):
            return node.input_value(0)
        source = node.input_value(0).get_node()
        if source.get_type_name() not in ("Reshape", "Squeeze", "Softmax", "Sigmoid"):
            return output
        output = node.input_value(0)
    return output


def _leave_out_rounding(node):
    """Let what follows a node read what enters each FakeQuantize."""
    for output in node.outputs():
        for reader in list(output.get_target_inputs()):
            after = reader.get_node()
            _leave_out_rounding(after)
            if after.get_type_name() == "FakeQuantize":
                for later in list(after.output(0).get_target_inputs()):
                    later.replace_source_output(after.input_value(0))


def _before(node):
    """Return the ids of the nodes that a node depends on."""
    pending, seen = [node], set()
    while pending:
        current = pending.pop()
        if current.get_instance_id() not in seen:
            seen.add(current.get_instance_id())
            pending.extend(source.get_node() for source in current.input_values())
    return seen


def target_values(model, name, inputs):
    """Return the activations of a layer, in FP32."""
    model = model.clone()
    model.add_results([ops.result(node_named(model, name).output(0))])
    compiled = ov.Core().compile_model(model, "CPU", F32)
    return np.array(compiled(inputs)[len(compiled.outputs) - 1])


def literal_logits(model, name, inputs, kind, places, score_output=0, grid=None, kept=(0, 0), masks=None, rounded=True):
    """Return the logits [P, N, K] and the grid when only the neighbourhood of one place of a layer is kept.

    Args:
        model: the plain model.
        name: friendly name of the masked layer.
        inputs: the model's inputs.
        kind: "pixel" or "gaussian".
        places: indices of the axes of the layer that hold places: two, or one of flattened tokens.
        score_output: index of the output that is explained.
        grid: rows and columns of flattened tokens; None for a square.
        masks: indices of the masks to try; None for all.
        kept: how many tokens before and behind the grid no mask touches.
        rounded: round activations where the model does.
    """
    values = target_values(model, name, inputs)
    if len(places) == 2:
        height, width = (values.shape[axis] for axis in places)
    else:
        height, width = grid or (round((values.shape[places[0]] - sum(kept)) ** 0.5),) * 2
    head = model.clone()
    target = node_named(head, name).output(0)
    logits = strip_activation(head.outputs[score_output].get_node().input_value(0))
    stand_in = ops.parameter(list(values.shape), target.get_element_type())
    for reader in list(target.get_target_inputs()):
        reader.replace_source_output(stand_in.output(0))
    if not rounded:
        _leave_out_rounding(stand_in)
    needed = _before(logits.get_node())
    others = [index for index, node in enumerate(head.get_parameters()) if node.get_instance_id() in needed]
    parameters = [stand_in, *(head.get_parameters()[index] for index in others)]
    compiled = ov.Core().compile_model(ov.Model([ops.result(logits)], parameters, "head"), "CPU", F32 | NO_ROUNDING)
    rest = [inputs[index] for index in others]
    request = compiled.create_infer_request()
    shape = [values.shape[axis] if axis in places else 1 for axis in range(values.ndim)]
    rows = []
    pictures = mask_pictures(kind, height, width)
    for picture in pictures if masks is None else pictures[masks]:
        row = np.pad(picture.reshape(-1), kept, constant_values=1) if len(places) == 1 else picture
        request.infer([values * row.reshape(shape), *rest])
        rows.append(np.array(request.get_output_tensor(0).data).reshape(values.shape[0], -1))
    return np.stack(rows), (height, width)


def maps_from_logits(logits, grid, activation=None):
    """Return raw maps [N, K, h, w] from logits [P, N, K]."""
    scores = logits.astype(np.float64)
    if activation == "softmax":
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        scores /= scores.sum(-1, keepdims=True)
    if activation == "sigmoid":
        scores = 1 / (1 + np.exp(-scores))
    return scores.transpose(1, 2, 0).reshape(scores.shape[1], scores.shape[2], *grid)


def contrast_from_logits(logits, blank, prediction, grid):
    """Return contrast maps [N, K, h, w].

    Args:
        logits: of every mask, [P, N, K].
        blank: of the mask that keeps nothing, [N, K].
        prediction: probabilities of the whole image, [N, K]; None where classes have no rivals.
        grid: rows and columns.
    """
    moved = logits.astype(np.float64) - blank
    if prediction is not None:
        moved -= (prediction * moved).sum(-1, keepdims=True)
    return maps_from_logits(np.maximum(moved, 0), grid)


def to_u8(maps):
    """Return each map scaled to its own full range, u8."""
    low, high = maps.min((-2, -1), keepdims=True), maps.max((-2, -1), keepdims=True)
    span = np.where(high > low, high - low, 1)
    return np.rint(255 * (maps - low) / span).astype(np.uint8)
