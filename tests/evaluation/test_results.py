"""Figures of a method over all images."""

import numpy as np
import pytest

from ov_xai.evaluation.results import MethodResult


def test_metrics_that_were_never_measured_have_no_interval():
    result = MethodResult("a", {"adcc": np.full(3, np.nan), "road": np.array([0.1, np.nan, 0.3])})
    intervals = result.intervals()
    assert set(intervals) == {"road"}
    assert intervals["road"].mean == pytest.approx(0.2)
    assert result.counts() == {"adcc": 0, "road": 2}
