"""Fixtures that several rooms share."""

import importlib.util
import os
import shutil
from pathlib import Path

import pytest

from ov_xai import insert

ROOT = Path(__file__).parent.parent


def zoo_folder():
    """Return the folder of the packed architectures."""
    return Path(os.environ.get("OV_XAI_ZOO") or ROOT.parent / "shared" / "zoo")


def pytest_configure():
    """Give each worker processors of its own: to wait for threads of another costs a fifth of the time."""
    worker, count = os.environ.get("PYTEST_XDIST_WORKER"), os.environ.get("PYTEST_XDIST_WORKER_COUNT")
    if worker and count and hasattr(os, "sched_setaffinity"):
        processors = sorted(os.sched_getaffinity(0))
        first = int(worker.removeprefix("gw")) % len(processors)
        os.sched_setaffinity(0, processors[first :: int(count)])


def pytest_collection_modifyitems(items):
    """Skip what needs the zoo where it is absent."""
    folder = zoo_folder()
    if (folder / "unpack_ir.py").exists():
        return
    reason = pytest.mark.skip(reason=f"no exported architectures in {folder}; set OV_XAI_ZOO")
    for item in items:
        if item.get_closest_marker("zoo"):
            item.add_marker(reason)


@pytest.fixture
def zoo(tmp_path):
    """Return a function that unpacks one architecture and returns its path; it is deleted after the test."""
    spec = importlib.util.spec_from_file_location("unpack_ir", zoo_folder() / "unpack_ir.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    folder = tmp_path / "zoo"
    yield lambda name: Path(module.unpack(zoo_folder() / f"{name}.xml", folder))
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def data():
    """Return the folder of demo models and photos."""
    return ROOT / "data"


@pytest.fixture(scope="session")
def patched_classifier(data):
    """Return the bundled classifier, patched with the defaults."""
    return insert(data / "models" / "efficientnet_lite0.xml")
