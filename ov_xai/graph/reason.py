"""What a native library says went wrong, in one line."""

from __future__ import annotations

#: Longest reason in characters.
_LONGEST = 200


def reason_of(error: Exception | str) -> str:
    """Return the last line of a message, as far as it is short: those of OpenVINO begin with a trace.

    Args:
        error: an exception, or what a process printed.

    Returns:
        One line, never empty.
    """
    lines = str(error).strip().splitlines()
    if lines:
        return lines[-1].strip()[:_LONGEST]
    return "no reason is given" if isinstance(error, str) else type(error).__name__
