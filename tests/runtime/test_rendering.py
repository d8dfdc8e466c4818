"""Placing maps on photos, and the files they become."""

import cv2
import numpy as np
import pytest

from ov_xai import RequestError, Resize
from ov_xai.runtime.explanation import RenderOptions
from ov_xai.runtime.overrides import InputColor
from ov_xai.runtime.placement import Placement
from ov_xai.runtime.png import encode_indexed, encode_rgb
from ov_xai.runtime.preprocessing import Preprocessing
from ov_xai.runtime.rendering import COLORMAPS, blend, palette, place_map, to_u8


def preprocessing(resize, input_wh=(64, 64), fraction=1.0):
    return Preprocessing(0, "NCHW", input_wh, 3, (0.0,) * 3, (1.0,) * 3, resize, InputColor.RGB, 0, fraction)


def interpolated(grid, x, y):
    """Interpolate linearly at places x and y of an input of size 1 x 1, cell centres at half cells, edges repeated."""
    rows, columns = grid.shape
    y, x = np.clip(y * rows - 0.5, 0, rows - 1), np.clip(x * columns - 0.5, 0, columns - 1)
    top, left = np.floor(y).astype(int), np.floor(x).astype(int)
    bottom, right = np.minimum(top + 1, rows - 1), np.minimum(left + 1, columns - 1)
    fy, fx = (y - top)[:, None], (x - left)[None]
    grid = grid.astype(float)
    upper = grid[top][:, left] * (1 - fx) + grid[top][:, right] * fx
    lower = grid[bottom][:, left] * (1 - fx) + grid[bottom][:, right] * fx
    return upper * (1 - fy) + lower * fy


def placed(grid, placement):
    """Return what the map is at the centre of every pixel of the photo, 0 where the model did not look."""
    width, height = placement.photo_wh
    x0, y0, x1, y1 = placement.source_xyxy
    left, top, right, bottom = placement.content_xyxy
    x = (left + (np.arange(x1 - x0) + 0.5) * (right - left) / (x1 - x0)) / placement.input_wh[0]
    y = (top + (np.arange(y1 - y0) + 0.5) * (bottom - top) / (y1 - y0)) / placement.input_wh[1]
    canvas = np.zeros((height, width))
    canvas[y0:y1, x0:x1] = interpolated(grid, x, y)
    return canvas


GRID = np.random.default_rng(0).integers(0, 256, (7, 5), dtype=np.uint8)


@pytest.mark.parametrize("shape", [(7, 5), (1, 1), (2, 90)])
@pytest.mark.parametrize("photo_wh", [(900, 60), (60, 900), (300, 200), (64, 64), (1, 500), (3000, 2), (640, 480)])
@pytest.mark.parametrize("resize", list(Resize))
def test_a_map_lies_on_the_photo_with_half_pixel_centres(resize, photo_wh, shape):
    grid = np.random.default_rng(0).choice(np.array([0, 255, 100], np.uint8), shape)
    placement = preprocessing(resize, (64, 48)).place(*photo_wh)
    found = place_map(grid, placement)
    assert found.shape == photo_wh[::-1]
    assert np.abs(found - placed(grid, placement)).max() <= 1


def test_a_whole_padded_map_is_stretched_over_the_photo():
    placement = preprocessing(Resize.LETTERBOX).place(90, 40)
    whole = preprocessing(Resize.STANDARD).place(90, 40)
    assert np.abs(place_map(GRID, placement, crop_padding=False) - placed(GRID, whole)).max() <= 1


def test_a_cropped_map_lies_where_the_model_looked():
    placement = preprocessing(Resize.CROP, fraction=0.5).place(100, 80)
    assert placement.source_xyxy == (30, 20, 70, 60)
    found = place_map(np.full((7, 7), 9, np.uint8), placement)
    assert (found[20:60, 30:70] == 9).all()
    assert found.sum() == 9 * 40 * 40


@pytest.mark.parametrize("photo_wh", [(3000, 1), (1, 3000), (1, 1), (451, 300)])
@pytest.mark.parametrize("resize", list(Resize))
def test_extreme_photos_have_an_input_and_a_map(resize, photo_wh):
    step = preprocessing(resize)
    photo = np.zeros((photo_wh[1], photo_wh[0], 3), np.uint8)
    tensor, placement = step(photo)
    assert tensor.shape == (1, 64, 64, 3)
    assert place_map(GRID, placement).shape == photo.shape[:2]


def test_padding_has_the_pad_value_and_lies_on_both_sides():
    step = Preprocessing(0, "NCHW", (8, 8), 3, (0.0,) * 3, (1.0,) * 3, Resize.LETTERBOX, InputColor.RGB, 114)
    tensor, placement = step(np.full((4, 8, 3), 7, np.uint8))
    assert placement.content_xyxy == (0, 2, 8, 6)
    assert (tensor[0, 2:6] == 7).all()
    assert (tensor[0, :2] == 114).all()
    assert (tensor[0, 6:] == 114).all()


def test_raw_maps_are_scaled_to_their_range():
    np.testing.assert_array_equal(to_u8(np.array([[-1.0, 0.0], [1.0, 3.0]])), [[0, 64], [128, 255]])
    assert not to_u8(np.full((2, 2), 5.0)).any()
    assert to_u8(GRID) is GRID


def test_red_means_more_attention():
    colours = palette("jet")
    assert colours[255][0] > colours[255][2]
    assert colours[0][2] > colours[0][0]
    with pytest.raises(RequestError, match="jet"):
        palette("rainbow")


@pytest.mark.parametrize("name", ["Viridis", "TURBO"])
def test_colour_maps_are_known_in_any_case(name):
    np.testing.assert_array_equal(palette(name), palette(name.lower()))
    assert RenderOptions(colormap=name) == RenderOptions(colormap=name.lower())
    with pytest.raises(RequestError, match="Rainbow"):
        RenderOptions(colormap="Rainbow")


@pytest.mark.parametrize("name", COLORMAPS)
def test_png_files_hold_what_was_encoded(name):
    colours = palette(name)
    random = np.random.default_rng(1)
    for shape in ((1, 1), (7, 3), (50, 64)):
        photo = random.integers(0, 256, (*shape, 3), dtype=np.uint8)
        picture = random.integers(0, 256, shape, dtype=np.uint8)
        decoded = cv2.imdecode(np.frombuffer(encode_rgb(photo), np.uint8), cv2.IMREAD_COLOR_RGB)
        np.testing.assert_array_equal(decoded, photo)
        decoded = cv2.imdecode(np.frombuffer(encode_indexed(picture, colours), np.uint8), cv2.IMREAD_COLOR_RGB)
        np.testing.assert_array_equal(decoded, colours[picture])


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_an_overlay_is_a_weighted_mean_where_the_model_looked(weight):
    random = np.random.default_rng(2)
    photo = random.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    saliency = random.integers(0, 256, (20, 30), dtype=np.uint8)
    colours = palette("turbo")
    seen = Placement((30, 20), (5, 0, 25, 20), (64, 64), (0, 0, 64, 64))
    found = blend(photo, saliency, weight, colours, seen)
    expected = weight * colours[saliency].astype(float) + (1 - weight) * photo
    assert np.abs(found[:, 5:25] - expected[:, 5:25]).max() <= 1
    np.testing.assert_array_equal(found[:, :5], photo[:, :5])
    np.testing.assert_array_equal(found[:, 25:], photo[:, 25:])
