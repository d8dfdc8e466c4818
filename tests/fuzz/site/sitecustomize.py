"""Python loads this at the start of a child process, which then sends itself a signal at a chosen moment.

Moments are audit events: changes of files in a folder, or imports. The environment says which: DIE_SIGNAL, and DIE_AT,
the number of a change in the folder DIE_IN, or DIE_ON, the name of a module that is being imported.
"""

import os
import signal
import sys

CHANGES = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink"}


def is_change(event, arguments, folder):
    """Return whether an event writes or moves something below a folder."""
    if event not in CHANGES or not isinstance(arguments[0], str | bytes | os.PathLike):
        return False
    if event == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR):
        return False
    return os.path.abspath(os.fsencode(arguments[0])).startswith(folder)  # noqa: PTH100 - links stay


def install(number, folder, module, left):
    """Send the signal when the moment has come."""

    def watch(event, arguments):
        nonlocal left
        if left and (arguments[0] == module if event == "import" else is_change(event, arguments, folder)):
            left -= 1
            if not left:
                os.kill(os.getpid(), number)

    sys.addaudithook(watch)


if "DIE_SIGNAL" in os.environ:
    install(
        signal.Signals[os.environ["DIE_SIGNAL"]],
        os.fsencode(os.environ.get("DIE_IN", "\0")),
        os.environ.get("DIE_ON"),
        int(os.environ.get("DIE_AT", "1")),
    )
