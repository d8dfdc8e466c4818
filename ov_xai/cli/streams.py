"""Standard streams that the caller closed."""

from __future__ import annotations

import os
import sys

_STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


def open_closed_streams() -> None:
    """Open the standard streams that the caller closed onto nothing.

    Else the next files that are opened take their places, and what libraries print goes into them.
    """
    for name, mode in _STREAMS:
        if getattr(sys, name) is None:
            # The lowest free descriptor: that of the stream, as the streams before it are open.
            descriptor = os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, os.fdopen(descriptor, mode, encoding="utf-8", errors="backslashreplace"))
