"""What is not quantised, and how NNCF is called."""

import subprocess
import sys

import pytest

from ov_xai import quantize
from ov_xai.errors import InputError, MissingExtraError, ModelMismatchError, RequestError
from tests.models import classifier
from tests.quantization.common import NOISE, PHOTOS, bundled, patched_int8, pictures, plain_int8


def test_a_quantised_model_is_not_quantised_again():
    for model in (plain_int8("shapes_vit"), patched_int8("shapes_vit")):
        with pytest.raises(ModelMismatchError, match="quantised already"):
            quantize(model, pictures("shapes_vit"))


def test_a_folder_without_images(tmp_path):
    with pytest.raises(InputError, match="No image"):
        quantize(classifier("mean"), tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        quantize(classifier("mean"), tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"subset_size": 0}, "subset-size"),
        ({"max_drop": 2}, "max-drop"),
        ({"preset": "fast"}, "preset"),
        ({"presets": "mixed"}, "'presets' is not known"),
    ],
)
def test_options_out_of_range(options, reason):
    with pytest.raises(RequestError, match=reason):
        quantize(classifier("mean"), NOISE, **options)


def test_without_nncf_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(MissingExtraError, match=r"ov-xai\[quantize\]"):
        quantize(classifier("mean"), NOISE)


def test_nncf_is_loaded_when_it_is_used():
    code = "import sys, ov_xai, ov_xai.cli.main; sys.exit('nncf' in sys.modules or 'rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


REPORTING = """
import sys
import openvino, openvino_telemetry
calls = []
for name in ("start_session", "send_event", "end_session"):
    setattr(openvino_telemetry.Telemetry, name, lambda *_, name=name, **__: calls.append(name))
if sys.argv[1] == "loaded":
    import nncf
    {probe}
from ov_xai import quantize
quantize({model!r}, {photos!r})
print(len(calls))
"""


@pytest.mark.parametrize("state", ["loaded", "fresh"])
def test_nothing_is_reported_and_nothing_is_printed(state):
    """Also where others loaded NNCF before, with its telemetry on."""
    model, photos = str(bundled("shapes_vit")), str(PHOTOS)
    code = REPORTING.format(model=model, photos=photos, probe="sys.stdout.flush()")
    done = subprocess.run([sys.executable, "-c", code, state], capture_output=True, text=True, check=True)
    own = [line for line in done.stdout.splitlines() if not line.startswith("INFO:nncf:NNCF initialized")]
    assert own == ["0"]


def test_the_telemetry_test_would_notice():
    probe = (
        "import numpy as np, openvino as ov; m = ov.Core().read_model({!r}); "
        "nncf.quantize(m, nncf.Dataset([np.zeros((1, 3, 96, 96), np.float32)])); print(len(calls)); sys.exit()"
    )
    model = str(bundled("shapes_vit"))
    code = REPORTING.format(model=model, photos=str(PHOTOS), probe=probe.format(model))
    done = subprocess.run([sys.executable, "-c", code, "loaded"], capture_output=True, text=True, check=True)
    assert int(done.stdout.splitlines()[-1]) > 0
