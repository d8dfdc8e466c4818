"""Ctrl-C gives one line and exit code 130, from the start."""

import pytest

from ov_xai.errors import EXIT_INTERRUPTED
from tests.fuzz.dying import run_dying


@pytest.mark.parametrize("module", ["ov_xai.cli.main", "click", "numpy", "openvino", "cv2", "ov_xai.runtime.session"])
def test_an_interrupt_during_the_imports_is_one_line(tmp_path, module):
    done = run_dying(["inspect", "none.xml"], tmp_path, "SIGINT", module=module)
    assert done.returncode == EXIT_INTERRUPTED
    assert done.stderr == "ov-xai: interrupted; nothing was begun.\n"
    assert done.stdout == ""


def test_an_interrupt_while_a_model_is_written_is_one_line(tmp_path, data):
    for name in ("shapes_detector.xml", "shapes_detector.bin"):
        (tmp_path / name).write_bytes((data / "models" / name).read_bytes())
    done = run_dying(["insert", "shapes_detector.xml"], tmp_path, "SIGINT", at=2)
    assert done.returncode == EXIT_INTERRUPTED
    # Click ends the line that the terminal shows ^C on.
    assert done.stderr == "\nov-xai: interrupted; files written so far are whole.\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shapes_detector.bin", "shapes_detector.xml"]
