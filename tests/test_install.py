"""Plain, editable and wheel installs all carry the data, the cards and the command."""

import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.conftest import ROOT

PROBE = """
import ov_xai
from ov_xai.assets import asset_folder
for name in ("data", "model_patches"):
    assert (asset_folder(name) / "README.md").is_file(), name
assert (asset_folder("data") / "models" / "efficientnet_lite0.xml").is_file()
print(ov_xai.__file__)
"""


@pytest.fixture
def source(tmp_path):
    """Return a copy of the checkout, without what version control and tools leave in it."""
    folder = tmp_path / "source"
    kept = ["ov_xai", "data", "model_patches", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"]
    folder.mkdir()
    for name in kept:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture
def environment(tmp_path):
    """Return the interpreter of a virtual environment that sees the dependencies of this one."""
    folder = tmp_path / "environment"
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    paths = subprocess.check_output([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True)
    (Path(paths.strip()) / "zz_dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def pip(*arguments):
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True)


@pytest.mark.parametrize("kind", ["plain", "editable", "wheel"])
def test_an_install_is_complete(kind, source, environment, tmp_path):
    common = ["--no-deps", "--no-build-isolation", "--no-index"]
    if kind == "wheel":
        pip("wheel", *common, "-w", tmp_path, source)
        (what,) = tmp_path.glob("*.whl")
        shutil.rmtree(source)
    else:
        what = source
    edit = ["-e"] if kind == "editable" else []
    pip("--python", environment, "install", "--force-reinstall", *common, *edit, what)
    where = subprocess.check_output([environment, "-c", PROBE], cwd=tmp_path, text=True).strip()
    expected = source if kind == "editable" else environment.parent.parent
    assert Path(where).is_relative_to(expected)
    shown = subprocess.check_output([environment.with_name("ov-xai"), "--version"], cwd=tmp_path, text=True)
    assert shown.startswith("ov-xai, version ")
