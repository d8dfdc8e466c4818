"""How the checks are run, whatever they find."""

import dataclasses

import pytest

from ov_xai import check, insert
from ov_xai.checks import CATALOGUE, Outcome, catalogue
from tests.models import classifier


@pytest.fixture
def broken(monkeypatch):
    """Let a check raise an exception that nobody raises on purpose."""

    def broken(subject):
        raise IndexError("list index out of range")

    replaced = [dataclasses.replace(item, run=broken) if item.code == "OUT001" else item for item in CATALOGUE]
    monkeypatch.setattr(catalogue, "CATALOGUE", tuple(replaced))
    monkeypatch.delenv("OV_XAI_DEBUG", raising=False)


def test_a_check_that_breaks_says_what_it_was_doing(broken):
    original = classifier("mean")
    (result,) = check(original, insert(original), only=["OUT001"]).results
    assert result.outcome is Outcome.ERROR
    assert result.finding == "broke while testing whether the inputs are unchanged: IndexError: list index out of range"
