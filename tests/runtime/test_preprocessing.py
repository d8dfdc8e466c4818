"""What is done with a photo before the model sees it."""

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from ov_xai import InputError, Resize, Session, UnsupportedModelError, insert
from ov_xai.runtime.embedding import embedded
from ov_xai.runtime.model_preprocessing import preprocessing_of
from ov_xai.runtime.overrides import Overrides
from tests.helpers import run


def classifier_of(shape, layout="NCHW"):
    """Return a classifier of images of a shape: a convolution, the mean over places, four classes."""
    image = ops.parameter(ov.PartialShape(shape), np.float32)
    image.set_layout(ov.Layout(layout))
    channels = shape[1]
    kernel = np.random.default_rng(0).standard_normal((4, channels, 4, 4)).astype(np.float32)
    features = ops.convolution(image, ops.constant(kernel), [4, 4], [0, 0], [0, 0], [1, 1])
    return ov.Model([ops.reduce_mean(ops.relu(features), ops.constant(np.array([2, 3])), False)], [image], "m")


def photo_of(width, height, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("channels", [2, 6])
def test_a_stored_layout_with_channels_of_no_image_is_refused(channels):
    model = classifier_of([1, channels, 16, 16])
    with pytest.raises(UnsupportedModelError, match=rf"NCHW, gives it {channels} channels; expected 1, 3 or 4"):
        preprocessing_of(model)
    with pytest.raises(UnsupportedModelError, match=f"{channels} channels"):
        Session(insert(model))


@pytest.mark.parametrize(
    ("shape", "input_wh", "said"),
    [
        ([1, 3, 16, -1], (32, 16), "height 16 in the photo's own shape"),
        ([1, 3, -1, 16], (16, 8), "width 16 in the photo's own shape"),
        ([1, 3, -1, -1], (40, 20), "the photo's own size"),
        ([1, 3, 16, 24], (24, 16), "resize crop of 1 to 24x16"),
    ],
)
def test_a_side_that_the_model_leaves_open_follows_the_photo(shape, input_wh, said):
    preprocessing = preprocessing_of(classifier_of(shape), Overrides(resize=Resize.CROP))
    tensor, placement = preprocessing(photo_of(40, 20))
    assert tensor.shape == (1, input_wh[1], input_wh[0], 3)
    assert placement.input_wh == input_wh
    assert said in preprocessing.describe()
    if -1 in shape:
        assert placement.source_xyxy == (0, 0, 40, 20)
        assert placement.content_xyxy == (0, 0, *input_wh)


@pytest.mark.parametrize(
    ("photo_wh", "input_wh"),
    [
        ((100, 40), (100, 40)),  # fits
        ((500, 250), (128, 64)),  # too large: made smaller
        ((16, 40), (20, 50)),  # too narrow: made larger
        ((1000, 20), (128, 24)),  # fits at no scale: stretched
        ((20, 1000), (20, 64)),
        ((1, 1), (24, 24)),
    ],
)
def test_a_photo_is_brought_within_the_bounds_of_the_model(photo_wh, input_wh):
    model = classifier_of([1, 3, ov.Dimension(24, 64), ov.Dimension(20, 128)])
    preprocessing = preprocessing_of(model)
    assert preprocessing.place(*photo_wh).input_wh == input_wh
    assert "(width 20..128, height 24..64)" in preprocessing.describe()
    (scores,) = run(model, [preprocessing.plain(photo_of(*photo_wh))])
    assert scores.shape == (1, 4)


def test_one_bounded_side_is_brought_within_its_bounds():
    preprocessing = preprocessing_of(classifier_of([1, 3, 16, ov.Dimension(20, 40)]))
    assert [preprocessing.place(*size).input_wh for size in ((30, 16), (10, 10), (90, 10))] == [
        (30, 16),
        (20, 16),
        (40, 16),
    ]
    assert "the model takes 20..40 of the other side" in preprocessing.describe()


def test_a_model_of_bounded_size_explains_photos_of_any_size():
    session = Session(insert(classifier_of([1, 3, ov.Dimension(24, 64), ov.Dimension(20, 128)]), self_check=False))
    shapes = [next(iter(session(photo_of(*size)).maps.values())).shape for size in ((500, 250), (1, 1), (40, 40))]
    assert shapes == [(16, 32), (6, 6), (10, 10)]


def test_a_model_with_one_open_side_runs_on_photos_of_any_shape():
    session = Session(insert(classifier_of([1, 3, 16, -1])))
    shapes = [session(photo_of(*size)).maps for size in ((40, 20), (21, 33), (200, 50))]
    assert [next(iter(maps.values())).shape for maps in shapes] == [(4, 8), (4, 2), (4, 16)]


def test_an_open_side_that_would_be_too_long_is_refused():
    preprocessing = preprocessing_of(classifier_of([1, 3, 2000, -1]))
    with pytest.raises(InputError, match=r"140000x1 makes an input of 280000000x2000"):
        preprocessing.place(140000, 1)


def test_the_plain_tensor_is_what_the_embedded_steps_make():
    model = classifier_of([1, 3, 16, 24])
    preprocessing = preprocessing_of(model, Overrides(mean=(1.0, 2.0, 3.0), scale=(4.0,)))
    photo = photo_of(40, 20)
    (inside,) = run(embedded(model.clone(), preprocessing), [preprocessing(photo)[0]])
    (outside,) = run(model, [preprocessing.plain(photo)])
    np.testing.assert_allclose(inside, outside, rtol=1e-5)
