"""The command line in a process of its own that handles one request after the other.

A request is a line of JSON, [arguments, folder]; the answer is a line of JSON, [exit code, stdout, stderr].
"""

import contextlib
import io
import json
import os
import resource
import sys

from ov_xai.cli.main import run

#: Private memory of the worker in bytes; what wants more gets a MemoryError instead of the whole machine.
MEMORY = 6 << 30


class Captured(io.TextIOWrapper):
    """A text stream that keeps what is written, encoded the way a terminal would."""

    def __init__(self):
        super().__init__(io.BytesIO(), encoding="utf-8", errors="strict", write_through=True)

    def text(self):
        return self.buffer.getvalue().decode()


def serve(requests, answers):
    """Answer requests until there are none."""
    for line in requests:
        arguments, folder = json.loads(line)
        os.chdir(folder)
        out, err = Captured(), Captured()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = run(arguments)
            except BaseException as error:
                code = f"{type(error).__name__}: {error}"[:300]
        answers.write(json.dumps([code, out.text(), err.text()]) + "\n")
        answers.flush()


def main():
    """Keep the answers apart from what native libraries print."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answers = os.fdopen(os.dup(1), "w")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    serve(sys.stdin, answers)


if __name__ == "__main__":
    main()
