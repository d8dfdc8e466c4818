"""What went wrong, in one line."""

import pytest

from ov_xai.graph.reason import reason_of


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            RuntimeError("Exception from src/core.cpp:1:\nCheck 'x' failed:\n  [CPU] no such shape \n\n"),
            "[CPU] no such shape",
        ),
        (RuntimeError(""), "RuntimeError"),
        (RuntimeError("a" * 500), "a" * 200),
        ("first\nlast\n", "last"),
        (" \n", "no reason is given"),
    ],
)
def test_the_last_line_is_the_reason(error, reason):
    assert reason_of(error) == reason
