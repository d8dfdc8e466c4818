"""Patched models that are wrong in one way each, made by graph surgery on an honest one.

Every function takes a patched model and changes it in place; the original is not touched.
"""

import json

import numpy as np
import openvino as ov
from openvino import opset13 as ops

MAP, CLASSES, VECTOR = "saliency_map", "saliency_classes", "feature_vector"


def node(model, name):
    """Return the result that has a name."""
    return model.output(name).get_node()


def broken(patched, sabotage):
    """Return a copy that is wrong in one way; what it gains is named as inserted nodes are."""
    model = patched.clone()
    before = {node.get_friendly_name() for node in model.get_ops()}
    sabotage(model)
    for index, made in enumerate(model.get_ordered_ops()):
        if made.get_friendly_name() not in before and sabotage is not node_of_another_name:
            made.set_friendly_name(f"ov_xai/sabotage_{index}")
    return model


def put(model, name, value):
    """Let an output have another value."""
    result = node(model, name)
    old = set(result.output(0).get_names())
    result.input_value(0).set_names(set())
    result.input(0).replace_source_output(value.output(0) if isinstance(value, ov.Node) else value)
    result.input_value(0).set_names(old)
    model.validate_nodes_and_infer_types()


def value_of(model, name):
    return node(model, name).input_value(0)


def typed(number, like):
    return ops.constant(np.array(number, like.get_element_type().to_dtype()))


def shape_of(output):
    return [int(extent) for extent in output.get_shape()]


def rt(model, **changes):
    """Change entries of the manifest."""
    record = json.loads(model.get_rt_info(["ov_xai", "manifest"]).astype(str))
    record.update(changes)
    model.set_rt_info(json.dumps(record), ["ov_xai", "manifest"])


# -- manifest ----------------------------------------------------------------------------------------------------------


def without_manifest(model):
    del model.rt_info["ov_xai"]


def manifest_of_a_later_schema(model):
    rt(model, schema=99)


def lie(**entries):
    """Return a sabotage that changes entries of the manifest."""

    def told(model):
        rt(model, **entries)

    told.__name__ = "lie_" + "_".join(f"{name}={value}" for name, value in entries.items())
    return told


def manifest_of_another_grid(model):
    rt(model, grid=[99, 98])


def manifest_of_an_earlier_layer(model):
    """Name a layer of the same grid that could be masked and is not."""
    layer = next(node for node in model.get_ordered_ops() if node.get_type_name() == "Convolution")
    rt(model, target=[layer.get_friendly_name()])


def manifest_of_an_unknown_target(model):
    rt(model, target=["no such node"])


def manifest_of_other_classes(model):
    rt(model, classes=7777)


def manifest_of_another_file(model):
    rt(model, source_sha256="0" * 64)


# -- outputs -----------------------------------------------------------------------------------------------------------


def first_name(model):
    return sorted(model.outputs[0].get_names())[0]


def renamed_input(model):
    model.inputs[0].set_names({"another"})


def renamed_output(model):
    model.outputs[0].set_names({"another"})


def reordered_outputs(model):
    first, second = model.get_results()[:2]
    a, b = first.input_value(0), second.input_value(0)
    first.input(0).replace_source_output(b)
    second.input(0).replace_source_output(a)
    model.validate_nodes_and_infer_types()


def output_of_another_type(model):
    put(model, first_name(model), ops.convert(value_of(model, first_name(model)), "f16"))


def slightly_other_output(model):
    value = value_of(model, first_name(model))
    put(model, first_name(model), ops.multiply(value, typed(1 + 1e-6, value)))


def output_that_differs_for_bright_inputs(model, threshold):
    """Change the first output only where the mean of the input is above a threshold."""
    value = value_of(model, first_name(model))
    put(model, first_name(model), ops.select(bright(model, threshold), ops.multiply(value, typed(1.01, value)), value))


def bright(model, threshold):
    """Return whether the mean of the input is above a threshold."""
    image = model.inputs[0].get_node()
    axes = ops.constant(np.arange(len(image.get_output_partial_shape(0))))
    return ops.greater(ops.reduce_mean(image, axes, False), ops.constant(np.float32(threshold)))


# -- contract ----------------------------------------------------------------------------------------------------------


def second_name_of_the_map(model):
    model.output(MAP).add_names({"second"})


def one_more_output(model):
    result = ops.result(ops.convert(value_of(model, MAP), "f32"))
    result.set_friendly_name("ov_xai/extra")
    result.input_value(0).get_node().set_friendly_name("ov_xai/extra_value")
    result.output(0).set_names({"extra"})
    model.add_results([result])


def map_of_another_type(model):
    put(model, MAP, ops.convert(value_of(model, MAP), "f32" if is_u8(model) else "f64"))


def is_u8(model):
    return model.output(MAP).get_element_type() == ov.Type.u8


def map_without_its_last_class(model):
    value = value_of(model, MAP)
    ends = [ops.constant(np.array([item], np.int64)) for item in (0, shape_of(value)[1] - 1, 1, 1)]
    put(model, MAP, ops.slice(value, *ends))


def classes_of_another_type(model):
    put(model, CLASSES, ops.convert(value_of(model, CLASSES), "i32"))


def vector_of_another_rank(model):
    put(model, VECTOR, ops.unsqueeze(value_of(model, VECTOR), ops.constant(np.array([1], np.int64))))


def map_out_of_a_softmax(model):
    put(model, MAP, ops.softmax(value_of(model, MAP), 1))


def half_as_bright_maps(model):
    value = value_of(model, MAP)
    put(model, MAP, ops.divide(value, typed(2, value)))


def node_of_another_name(model):
    value_of(model, MAP).get_node().set_friendly_name("a_node")


def copied_weights(model, count=50_000):
    """Add a large constant that does not change the map."""
    ballast = ops.constant(np.arange(count, dtype=np.float32) + 1)
    put(model, MAP, plus_nothing(value_of(model, MAP), ballast))


def plus_nothing(value, ballast):
    """Return a value after adding whether the largest of some positive numbers is below zero."""
    axes = ops.constant(np.arange(len(ballast.output(0).get_partial_shape())))
    negative = ops.less(ops.reduce_max(ballast, axes, False), ops.constant(np.float32(0)))
    return ops.add(value, ops.convert(negative, value.get_element_type().to_string()))


def dropped_rt_info(model):
    del model.rt_info["model_info"]


# -- maps --------------------------------------------------------------------------------------------------------------


def random_map(model):
    """Numbers that have nothing to do with the input, scaled as they should be."""
    shape = shape_of(value_of(model, MAP))
    values = np.random.default_rng(0).permuted(
        np.broadcast_to(np.linspace(0, 255, shape[-2] * shape[-1]).round(), (*shape[:-2], shape[-2] * shape[-1])),
        axis=-1,
    )
    put(model, MAP, ops.constant(values.reshape(shape).astype(value_of(model, MAP).get_element_type().to_dtype())))


def constant_map(model):
    value = value_of(model, MAP)
    put(model, MAP, ops.constant(np.zeros(shape_of(value), value.get_element_type().to_dtype())))


def nan_map(model):
    value = value_of(model, MAP)
    put(model, MAP, ops.divide(ops.subtract(value, value), ops.subtract(value, value)))


def class_independent_map(model):
    value = value_of(model, MAP)
    first = ops.gather(value, ops.constant(np.array([0], np.int64)), ops.constant(np.int64(1)))
    put(model, MAP, ops.tile(first, ops.constant(np.array([1, shape_of(value)[1], 1, 1], np.int64))))


def classes_from_zero(model):
    value = value_of(model, CLASSES)
    put(model, CLASSES, ops.constant(np.broadcast_to(np.arange(shape_of(value)[1]), shape_of(value)).astype(np.int64)))


def shifted_map(model):
    """Every row one place further down, the last one first."""
    put(model, MAP, ops.roll(value_of(model, MAP), ops.constant(np.int64(1)), ops.constant(np.int64(-2))))


def flipped_map(model):
    """Strong where it should be weak."""
    value = value_of(model, MAP)
    put(model, MAP, ops.subtract(typed(255, value), value))


def map_that_is_flipped_for_bright_inputs(model, threshold):
    """Strong where it should be weak, only where the mean of the input is above a threshold."""
    value = value_of(model, MAP)
    flipped = ops.subtract(typed(255 if is_u8(model) else 0, value), value)
    put(model, MAP, ops.select(bright(model, threshold), flipped, value))


def doubled_vector(model):
    value = value_of(model, VECTOR)
    put(model, VECTOR, ops.multiply(value, typed(2, value)))


# -- consistency -------------------------------------------------------------------------------------------------------


def map_of_another_image(model):
    """Of a batch, every map is that of the next image."""
    put(model, MAP, ops.roll(value_of(model, MAP), ops.constant(np.int64(1)), ops.constant(np.int64(0))))


def map_scaled_over_the_batch(model):
    """Raw maps relative to the strongest image of the batch."""
    value = value_of(model, MAP)
    places = ops.constant(np.array([1, 2, 3], np.int64))
    own = ops.reduce_max(ops.abs(value), places, True)
    strongest = ops.reduce_max(own, ops.constant(np.array([0], np.int64)), True)
    put(model, MAP, ops.multiply(value, ops.divide(own, strongest)))


def noisy_map(model):
    """A map of random numbers, other ones at each inference."""
    value = value_of(model, MAP)
    low, high = ops.constant(np.float32(0)), ops.constant(np.float32(255))
    noise = ops.random_uniform(ops.shape_of(value), low, high, "f32", 0, 0)
    put(model, MAP, ops.convert(noise, value.get_element_type().to_string()))


# -- sanity and cost ---------------------------------------------------------------------------------------------------


def head_of_its_own(model):
    """Weights of the branch are numbers of its own, nearly those of the head."""
    for constant in model.get_ordered_ops():
        large = constant.get_type_name() == "Constant" and constant.get_byte_size() > 64
        if large and constant.get_friendly_name().startswith("ov_xai/") and constant.get_element_type().is_real():
            values = constant.get_data() * np.float32(1 + 1e-6)
            constant.output(0).replace(ops.constant(values).output(0))


def greedy_branch(model, count=80_000_000):
    """Fill 320 MB that depend on the input."""
    mean = ops.abs(ops.reduce_mean(model.inputs[0].get_node(), ops.constant(np.arange(4)), False))
    ballast = ops.cum_sum(ops.broadcast(mean, ops.constant(np.array([count], np.int64))), ops.constant(np.int64(0)))
    put(model, MAP, plus_nothing(value_of(model, MAP), ballast))
