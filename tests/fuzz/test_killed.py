"""A process that is killed leaves whole files only."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import openvino as ov
import pytest

from ov_xai import insert, save
from ov_xai.cli.main import run
from tests.conftest import ROOT
from tests.fuzz.dying import run_dying
from tests.helpers import run as run_model
from tests.models import classifier, random_image

KILLED = -signal.SIGKILL


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a folder with a plain and a patched model and photos; work there."""
    model = classifier("two_dense", activation="softmax")
    save(model, tmp_path / "plain.xml")
    save(insert(model), tmp_path / "patched.xml")
    (tmp_path / "in").mkdir()
    for name in "ab":
        pixels = np.random.default_rng(ord(name)).integers(0, 256, (20, 30, 3), dtype=np.uint8)
        cv2.imwrite(str(tmp_path / "in" / f"{name}.png"), pixels)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def scores(path):
    """Return the number of outputs of a model and the first one for a fixed image."""
    found = run_model(ov.Core().read_model(path), [random_image()])
    return len(found), found[0].tobytes()


def moments(short, changes):
    """Let a test be run for one change of files in the normal run, and for each of them under `nightly`.

    The moment behind the last change is one of them: there the command ends in peace.
    """
    every = [(at, KILLED if at <= changes else 0) for at in range(1, changes + 2)]
    marked = [pytest.param(*item, marks=[] if item[0] == short else pytest.mark.nightly) for item in every]
    return pytest.mark.parametrize(("at", "ends"), marked)


#: The model that is written over, the command, and how many outputs it has afterwards.
OVERWRITING = [
    ("plain", "insert plain.xml --in-place", 2),
    ("patched", "remove patched.xml --in-place", 1),
    ("patched", "insert plain.xml -o patched.xml --method eigen-cam", 2),
]


@pytest.mark.parametrize(("name", "command", "outputs"), OVERWRITING, ids=[item[1] for item in OVERWRITING])
@moments(short=12, changes=15)
def test_a_model_that_is_written_over_is_the_old_one_or_the_new_one(folder, name, command, outputs, at, ends):
    path = folder / f"{name}.xml"
    before = scores(path)
    done = run_dying(command.split(), folder, "SIGKILL", at=at)
    assert done.returncode == ends, done.stderr
    assert scores(path) in (before, (outputs, before[1]))
    assert run(command.split() + (["--replace"] if "--in-place" in command and outputs == 2 else [])) in (0, 5)
    assert scores(path) == (outputs, before[1])
    left = {item.name for item in folder.iterdir()} - {"in", "plain.xml", "plain.bin", "patched.xml", "patched.bin"}
    assert all(item.startswith(".ov-xai.") and item.endswith(".part") for item in left)
    assert len(left) <= (done.returncode == KILLED)


@moments(short=5, changes=6)
def test_a_new_model_is_whole_or_absent(folder, at, ends):
    done = run_dying(["insert", "plain.xml"], folder, "SIGKILL", at=at)
    assert done.returncode == ends, done.stderr
    if (folder / "plain_xai.xml").exists():
        assert scores(folder / "plain_xai.xml")[0] == 2
    assert run(["insert", "plain.xml"]) == 0


def require_whole(output):
    """Fail unless every file of a run is whole, or is on the way and has a name that says so."""
    for path in output.rglob("*"):
        if path.name.endswith(".part"):
            assert path.name.startswith(".")
        elif path.suffix == ".png":
            assert cv2.imread(str(path)) is not None
        elif path.suffix == ".jsonl":
            for line in path.read_text().splitlines(keepends=True):
                assert not line.endswith("\n") or all((output / name).exists() for name in json.loads(line)["files"])
        else:
            assert path.name == "report.html"
            assert path.read_text().endswith("</html>\n") or path.read_text().endswith("</html>")


EXPLAIN = "explain -m plain.xml -i in -o out --classes all --report"


def require_resumed(folder):
    """Fail unless another run with `--resume` gives what a run without interruption gives."""
    assert run([*EXPLAIN.split(), "--resume"]) == 0
    assert run(EXPLAIN.replace("out", "fresh").split()) == 0
    names = sorted(path.name for path in (folder / "fresh").iterdir())
    found = [path.name for path in (folder / "out").iterdir() if not path.name.endswith(".part")]
    assert sorted(found) == names
    for name in names:
        if name.endswith(".png"):
            assert (folder / "out" / name).read_bytes() == (folder / "fresh" / name).read_bytes()


@moments(short=20, changes=49)
def test_a_run_that_is_killed_leaves_whole_files_and_goes_on(folder, at, ends):
    done = run_dying(EXPLAIN.split(), folder, "SIGKILL", at=at)
    assert done.returncode == ends, done.stderr
    if (folder / "out").exists():
        require_whole(folder / "out")
    require_resumed(folder)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(40))
def test_killed_at_any_time(folder, seed):
    """Native code writes files too, where no audit event tells."""
    delay = random.Random(seed).uniform(0.8, 2.5)
    name, command, outputs = OVERWRITING[seed % 3]
    before = scores(folder / f"{name}.xml")
    for arguments in (command.split(), EXPLAIN.split()):
        process = subprocess.Popen(
            [sys.executable, "-m", "ov_xai", *arguments],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        time.sleep(delay)
        process.kill()
        process.wait()
    assert scores(folder / f"{name}.xml") in (before, (outputs, before[1]))
    if (folder / "out").exists():
        require_whole(folder / "out")
