"""Explaining a folder in one call."""

import cv2
import numpy as np
import openvino as ov
import pytest

from ov_xai import ClassChoice, ExplainOptions, RenderOptions, RequestError, explain, insert, save
from ov_xai.runtime.records import read_records
from tests.models import classifier


@pytest.fixture
def folder(tmp_path):
    ov.save_model(classifier("two_dense"), tmp_path / "model.xml", compress_to_fp16=False)
    save(insert(tmp_path / "model.xml"), tmp_path / "patched.xml")
    (tmp_path / "in").mkdir()
    for index in range(3):
        pixels = np.random.default_rng(index).integers(0, 256, (20, 30, 3), dtype=np.uint8)
        cv2.imwrite(str(tmp_path / "in" / f"{index}.png"), pixels)
    (tmp_path / "in" / "broken.png").write_bytes(b"no image")
    return tmp_path


@pytest.mark.parametrize("model", ["model.xml", "patched.xml"])
def test_one_call_leaves_pictures_records_and_a_page(folder, model):
    sessions, records = [], []
    summary = explain(
        str(folder / model),
        str(folder / "in"),
        str(folder / "out"),
        choice=ClassChoice("all"),
        labels=list("abcde"),
        report=True,
        begin=sessions.append,
        progress=records.append,
    )
    assert (summary.explained, summary.kept, [path for path, _ in summary.skipped]) == (3, 0, ["broken.png"])
    assert summary.report == folder / "out" / "report.html"
    assert summary.report.exists()
    assert len(list((folder / "out").glob("*_saliency_map.png"))) == 3 * 5
    assert [session.labels for session in sessions] == [tuple("abcde")]
    assert records == list(read_records(folder / "out" / "explanations.jsonl"))


def test_a_second_call_goes_on_behind_the_first(folder):
    options = ExplainOptions(method="EigenCAM", resume=True)
    first, again = (explain(folder / "model.xml", folder / "in", folder / "out", options) for _ in range(2))
    assert (first.explained, first.kept) == (3, 0)
    assert (again.explained, again.kept) == (0, 3)
    assert {path.name for path in (folder / "out").glob("0_*")} == {
        "0_eigen-cam_saliency_map.png",
        "0_eigen-cam_overlay_img.png",
    }
    other = explain(folder / "model.xml", folder / "in", folder / "out", method="activation-map", resume=True)
    assert (other.explained, other.kept) == (3, 0)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"algorithm": "eigen-cam"}, "Option 'algorithm' is not known; expected one of: method"),
        ({"method": "gradcam"}, "method 'gradcam' is not known"),
        ({"labels": "abcde"}, "labels is 'abcde'"),
        ({"requests": 0}, "requests is 0"),
        ({"report": True, "render": RenderOptions(rendered=False)}, "--report shows rendered maps"),
        ({"render": RenderOptions(rendered=False, per_detection=True)}, "--per-detection shows rendered maps"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_read(tmp_path, settings, said):
    with pytest.raises(RequestError, match=said):
        explain(tmp_path / "nowhere.xml", tmp_path, tmp_path / "out", **settings)


def test_options_and_settings_exclude_each_other(tmp_path):
    with pytest.raises(RequestError, match="put the settings into the options"):
        explain(tmp_path / "nowhere.xml", tmp_path, tmp_path / "out", ExplainOptions(), resume=True)
