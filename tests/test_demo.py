"""What the demo shows: the evidence lies where a person would point."""

import cv2
import numpy as np
import pytest

from ov_xai import Method, Session, insert
from ov_xai.cli.main import run


def peak(explanation, label):
    """Return the (x, y) of the highest value of a map, in pixels of the photo."""
    saliency = explanation.saliency_map(label)
    y, x = np.unravel_index(saliency.argmax(), saliency.shape)
    return int(x), int(y)


def inside(point, box):
    (x, y), (x0, y0, x1, y1) = point, box
    return x0 <= x < x1 and y0 <= y < y1


@pytest.mark.parametrize(
    ("photo", "label", "box_xyxy"),
    [
        ("chelsea.png", "tiger cat", (110, 20, 340, 290)),  # the cat's face
        ("chelsea.png", "Egyptian cat", (110, 20, 340, 290)),
        ("coffee.png", "espresso", (170, 20, 410, 240)),  # the cup
        ("camera.png", "tripod", (150, 100, 440, 500)),  # camera and tripod
    ],
)
@pytest.mark.parametrize("mask", ["pixel", "gaussian"])
def test_the_map_peaks_on_the_object(data, photo, label, box_xyxy, mask):
    session = Session(insert(data / "models" / "efficientnet_lite0.xml", mask=mask, top_k=5, self_check=False))
    explanation = session(data / "photos" / photo)
    assert label in {prediction.label for prediction in explanation.predictions}
    assert inside(peak(explanation, label), box_xyxy), peak(explanation, label)


@pytest.mark.parametrize("method", [Method.ACTIVATION_MAP, Method.EIGEN_CAM])
def test_every_method_gives_a_map_that_varies(data, method):
    session = Session(insert(data / "models" / "efficientnet_lite0.xml", method=method, self_check=False))
    saliency = session(data / "photos" / "coffee.png").saliency_map(method.value)
    assert (saliency.min(), saliency.max() > 250) == (0, True)


def test_the_demo_leaves_pictures_and_a_page(tmp_path, capsys):
    assert run(["demo", "-o", str(tmp_path)]) == 0
    assert "chelsea.png: tiger cat" in capsys.readouterr().out
    for stem, size in (("chelsea_tiger-cat", (300, 451)), ("coffee_espresso", (400, 600))):
        for kind in ("saliency_map", "overlay_img"):
            assert cv2.imread(str(tmp_path / f"{stem}_{kind}.png")).shape[:2] == size
    assert (tmp_path / "report.html").stat().st_size > 100_000
    assert (tmp_path / "efficientnet_lite0_xai.xml").exists()


def test_the_demo_shows_the_detector(tmp_path, capsys):
    assert run(["demo", "--detector", "-o", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "chelsea.png: cat" in said
    assert "rocket.jpg: nothing found" in said
    for kind in ("saliency_map", "overlay_img"):
        assert cv2.imread(str(tmp_path / f"chelsea_cat_{kind}.png")).shape[:2] == (300, 451)
    assert (tmp_path / "report.html").read_text().count("<svg") > 8
    assert (tmp_path / "nanodet_g_xai.xml").exists()
    assert not list(tmp_path.glob("rocket*"))
