"""SciPy is needed by some metrics only."""

import subprocess
import sys

import pytest

from ov_xai import metrics

WITHOUT_SCIPY = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "scipy":
            raise ModuleNotFoundError("No module named 'scipy'", name="scipy")

sys.meta_path.insert(0, Absent())
import numpy as np
from ov_xai import metrics
from ov_xai.errors import MissingExtraError

image, values = np.random.default_rng(0).random((8, 8, 1)), np.random.default_rng(1).random((8, 8))
predict = lambda images: images.mean((1, 2))
metrics.insertion(predict, image, values, 0)
metrics.rank_correlation(values, values.T)
metrics.measure_adcc(predict, lambda image, index: values, image, 0)
metrics.rise_maps(predict, image, [0], masks=4)
for call in (
    lambda: metrics.road(predict, image, values, 0),
    lambda: metrics.bootstrap_interval([1, 2]),
    lambda: metrics.bootstrap_interval([1]),
    lambda: metrics.paired_difference([1, 2], [2, 4]),
):
    try:
        call()
    except MissingExtraError as error:
        print(error)
"""


def test_a_missing_scipy_is_named_where_it_is_needed():
    done = subprocess.run([sys.executable, "-c", WITHOUT_SCIPY], capture_output=True, text=True, check=True)
    message = "scipy is needed for this and is not installed. Run: pip install 'ov-xai[evaluate]'"
    assert done.stdout.splitlines() == [message] * 4


def test_importing_the_metrics_imports_no_scipy():
    code = "import sys, ov_xai.metrics; print([name for name in sys.modules if name.startswith('scipy')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_public_names():
    assert metrics.__all__ == sorted(metrics.__all__)
    assert set(metrics.__all__) == {
        "AdccResult",
        "Curve",
        "Explain",
        "Interval",
        "Predict",
        "Substrate",
        "adcc",
        "average_drop",
        "bootstrap_interval",
        "centre_gaussian",
        "coherency",
        "complexity",
        "deletion",
        "energy_pointing_game",
        "insertion",
        "measure_adcc",
        "paired_difference",
        "pointing_game",
        "random_map",
        "rank_correlation",
        "rise_maps",
        "road",
        "sparsity",
    }


@pytest.mark.parametrize("name", [name for name in metrics.__all__ if name[0].islower()])
def test_every_metric_has_a_docstring(name):
    assert len(getattr(metrics, name).__doc__) > 200
