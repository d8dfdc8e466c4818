"""Readers that are gone and streams that are closed do not stop the work."""

import os
import subprocess
import sys

import cv2
import numpy as np
import openvino as ov
import pytest

from ov_xai.errors import EXIT_OK, EXIT_PARTIAL
from tests.conftest import ROOT
from tests.models import classifier


@pytest.fixture
def folder(tmp_path):
    ov.save_model(classifier("mean"), tmp_path / "model.xml", compress_to_fp16=False)
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("a", "c"):
        cv2.imwrite(str(photos / f"{name}.png"), np.full((8, 10, 3), 90, np.uint8))
    (photos / "b.png").write_text("no image")
    return tmp_path


def start(folder, command, **streams):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, "-m", "ov_xai", *command.split()], cwd=folder, env=environment, **streams)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("explain -m model.xml -i photos -o out", EXIT_PARTIAL),
        ("inspect model.xml --json", EXIT_OK),
        ("cards --json", EXIT_OK),
        ("--help", EXIT_OK),
        ("", 2),
        ("insert missing.xml", 3),
    ],
)
def test_a_reader_that_is_gone_does_not_change_the_exit_code(folder, command, code):
    reader, writer = os.pipe()
    os.close(reader)
    process = start(folder, command, stdout=writer, stderr=writer)
    os.close(writer)
    assert process.wait(120) == code
    if code == EXIT_PARTIAL:
        assert len((folder / "out" / "explanations.jsonl").read_text().splitlines()) == 3


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_closed_streams_are_opened_onto_nothing(folder, closed):
    process = start(
        folder,
        "insert model.xml",
        preexec_fn=lambda: [os.close(number) for number in closed],
        # What is left open goes elsewhere than into the pipes of the test run.
        **({"stdout": subprocess.DEVNULL} if 1 not in closed else {}),
    )
    assert process.wait(120) == EXIT_OK
    assert ov.Core().read_model(folder / "model_xai.xml").output("saliency_map") is not None
    assert (folder / "model.xml").read_bytes().startswith(b"<?xml")


def test_telemetry_without_a_home_is_silent(folder):
    # Stands for a home that cannot be written, whoever runs the tests.
    (folder / "home").write_text("no folder")
    done = subprocess.run(
        [sys.executable, "-m", "ov_xai", "cards"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(folder / "home")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
