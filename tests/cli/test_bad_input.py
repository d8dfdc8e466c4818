"""A user's mistake is one line on stderr and the exit code of its kind; nothing is left behind."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import openvino as ov
import pytest

from ov_xai.cli.destination import choose_output
from ov_xai.cli.main import run
from tests.conftest import ROOT
from tests.models import classifier

CLASSIFIER = "classifier.xml"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a folder with a small classifier, and work there."""
    ov.save_model(classifier("mean"), tmp_path / CLASSIFIER, compress_to_fp16=False)
    (tmp_path / "labels.txt").write_text("a\nb\n")
    (tmp_path / "blank.txt").write_text("a\nb\n \nd\ne\n")
    (tmp_path / "text.xml").write_text("hello")
    (tmp_path / "empty.onnx").write_bytes(b"")
    (tmp_path / "noise.onnx").write_bytes(np.random.default_rng(0).bytes(4000))
    (tmp_path / "alone.xml").write_bytes((tmp_path / CLASSIFIER).read_bytes())
    (tmp_path / "short.xml").write_bytes((tmp_path / CLASSIFIER).read_bytes())
    (tmp_path / "short.bin").write_bytes((tmp_path / "classifier.bin").read_bytes()[:40])
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"no image")
    (tmp_path / "nothing").mkdir()
    os.mkfifo(tmp_path / "pipe.xml")
    monkeypatch.chdir(tmp_path)
    return tmp_path


CASES = [
    ("insert missing.xml", 3, "does not exist"),
    ("insert text.xml", 3, "not an OpenVINO IR"),
    ("insert alone.xml", 3, "weights 'alone.bin' are missing"),
    ("insert short.xml", 3, "shorter"),
    ("insert empty.onnx", 3, "empty"),
    ("insert noise.onnx", 3, "noise.onnx"),
    ("insert labels.txt", 3, "not a model"),
    ("insert nothing", 3, "folder"),
    ("insert .", 3, "'.' is a folder"),
    ("insert ..", 3, "'..' is a folder"),
    ("insert /", 3, "'/' is a folder"),
    ("insert pipe.xml", 3, "neither a regular file nor a folder"),
    ("remove .", 3, "'.' is a folder"),
    ("inspect .", 3, "'.' is a folder"),
    ("quantize . --data photos", 3, "'.' is a folder"),
    ("evaluate . --data photos", 3, "'.' is a folder"),
    ("check . classifier.xml", 3, "'.' is a folder"),
    ("explain -m . -i photos", 3, "'.' is a folder"),
    ("explain -m classifier.xml -i pipe.xml", 7, "neither a regular file nor a folder"),
    ("insert classifier.xml --method grad-cam", 2, "eigen-cam"),
    ("insert classifier.xml --top-k 0", 2, "top-k is 0"),
    ("insert classifier.xml --top-k six", 2, "six"),
    ("insert classifier.xml --top-k 6", 5, "5 classes"),
    ("insert classifier.xml --top-k 2 --method eigen-cam", 5, "one map per image"),
    ("insert classifier.xml --block 1", 5, "no attention"),
    ("insert classifier.xml --block 0", 2, "block is 0"),
    ("insert classifier.xml --block 1 --target-layer target", 2, "Drop one"),
    ("insert classifier.xml --grid 14", 2, "14x14"),
    ("insert classifier.xml --grid 1x1", 2, "more than one place"),
    ("insert classifier.xml --grid 9x9", 5, "4x5"),
    ("insert classifier.xml --labels labels.txt", 5, "2 labels"),
    ("insert classifier.xml --labels none.txt", 7, "none.txt"),
    ("insert classifier.xml --target-layer tarket", 5, "target"),
    ("insert classifier.xml --score-output scores", 5, "logits"),
    ("insert classifier.xml -o classifier.xml", 6, "--in-place"),
    ("insert classifier.xml -o nothing", 6, ".xml"),
    ("insert classifier.xml -o missing/out.xml", 6, "does not exist"),
    ("insert classifier.xml -o out.onnx", 6, ".xml"),
    ("insert noise.onnx --in-place", 6, "--in-place"),
    ("insert classifier.xml --labels blank.txt", 2, "Label 3"),
    ("explain -m classifier.xml -i photos --overlay-weight nan", 2, "weight"),
    ("explain -m classifier.xml -i photos --mean nan", 2, "finite"),
    ("explain -m classifier.xml -i photos -o photos", 6, "input folder"),
    ("insert", 2, "MODEL"),
    ("insert classifier.xml --nonsense", 2, "--nonsense"),
    ("remove classifier.xml", 5, "nothing to remove"),
    ("inspect missing.xml", 3, "does not exist"),
    ("explain -m classifier.xml -i nowhere", 7, "nowhere"),
    ("explain -m classifier.xml -i nothing", 7, "No images"),
    ("explain -m classifier.xml -i photos --device NOPE", 10, "NOPE"),
    ("explain -m classifier.xml -i photos --classes eagle", 5, "eagle"),
    ("explain -m classifier.xml -i photos --labels labels.txt", 5, "2 labels"),
    ("explain -m classifier.xml -i photos --confidence-threshold 3", 2, "threshold"),
    ("explain -m classifier.xml -i photos --mean 1,x", 2, "--mean"),
    ("explain -m classifier.xml -i photos --mean 1,2", 2, "2 values"),
    ("explain -m classifier.xml -i photos --scale 0", 2, "scale"),
    ("explain -m classifier.xml -i photos --report --no-process-saliency-maps", 2, "--report"),
    ("explain -m classifier.xml -i photos --classes all --explain-all-classes", 2, "Give one"),
    ("explain -m classifier.xml -i photos -o classifier.xml", 6, "classifier.xml"),
    ("explain -m missing.xml -i photos", 3, "missing.xml"),
    ("explain -m classifier.xml", 2, "--input"),
    ("unknown", 2, "unknown"),
]


def listing(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize(("command", "code", "message"), CASES, ids=[case[0] for case in CASES])
def test_one_line_and_an_exit_code(folder, capfd, command, code, message):
    before = listing(folder)
    assert run(command.split()) == code
    error = capfd.readouterr().err.splitlines()
    lines = [line for line in error if not line.startswith("preprocessing:")]
    assert len(lines) == 1, error
    assert lines[0].startswith("ov-xai: ")
    assert message in lines[0]
    left = [name for name in listing(folder) if name not in before and not name.startswith("saliency_dump")]
    assert not left


@pytest.mark.parametrize("verb", ["insert", "remove", "inspect"])
def test_an_empty_path_is_the_folder_here(folder, capfd, verb):
    assert run([verb, ""]) == 3
    assert "is a folder" in capfd.readouterr().err


def test_a_saved_model_here_is_written_beside_it_under_the_name_of_its_folder():
    assert choose_output(Path(), None, "_xai", in_place=False) == Path.cwd().with_name(f"{Path.cwd().name}_xai.xml")


def test_skipped_images_are_reported(folder, capfd):
    assert run("explain -m classifier.xml -i photos -o out".split()) == 9
    captured = capfd.readouterr()
    assert "broken.jpg" in captured.err
    assert "1 skipped" in captured.out


def test_a_full_disk_leaves_nothing_behind(folder, monkeypatch, capfd):
    free = [3 << 20]

    def full(*_, **__):
        free[0] = 0
        raise RuntimeError("basic_ios::clear: iostream error")

    monkeypatch.setattr(ov, "save_model", full)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free[0]))
    before = listing(folder)
    assert run(["insert", CLASSIFIER]) == 6
    assert "cannot be written: 3.0 MiB are free there" in capfd.readouterr().err
    assert listing(folder) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_without_permission(folder, capfd):
    (folder / "nothing").chmod(0o500)
    assert run(["insert", CLASSIFIER, "-o", "nothing/out.xml"]) == 6
    assert "nothing" in capfd.readouterr().err


def test_the_installed_command_shows_no_traceback(folder):
    done = subprocess.run(
        [sys.executable, "-m", "ov_xai.cli.main", "insert", "text.xml"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 3
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
