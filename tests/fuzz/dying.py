"""Running the command line in a process that dies at a chosen moment."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT

SITE = Path(__file__).parent / "site"


def run_dying(arguments, folder, signal_name, *, at=1, module=None):
    """Run a command that gets a signal at its change number `at` of the folder, or on the import of a module.

    Returns:
        The finished process; it ended in peace when there was no such moment.
    """
    moment = {"DIE_ON": module} if module else {"DIE_IN": str(folder), "DIE_AT": str(at)}
    return subprocess.run(
        [sys.executable, "-m", "ov_xai", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{SITE}{os.pathsep}{ROOT}", "DIE_SIGNAL": signal_name, **moment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        # What runs in the background ignores interrupts, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
