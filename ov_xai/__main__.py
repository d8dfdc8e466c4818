"""The `ov-xai` command, reachable before OpenVINO is imported: Ctrl-C is answered from the start."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

from ov_xai.cli.telemetry import silence_telemetry
from ov_xai.errors import EXIT_INTERRUPTED


def main() -> None:
    """Run the command line and leave with its exit code."""
    kept = signal.getsignal(signal.SIGINT)
    if kept is signal.default_int_handler:  # else the caller wants interrupts ignored, as in the background
        signal.signal(signal.SIGINT, _leave)
    silence_telemetry()
    from ov_xai.cli.main import run  # noqa: PLC0415 - takes a second, in which Ctrl-C is to be answered

    try:
        signal.signal(signal.SIGINT, kept)
        code = run()
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(code)


def _leave(_: int, __: FrameType | None) -> None:
    """Leave at once: nothing is under way, and libraries that are half imported cannot be left in order."""
    os.write(2, b"ov-xai: interrupted; nothing was begun.\n")
    os._exit(EXIT_INTERRUPTED)


if __name__ == "__main__":
    main()
