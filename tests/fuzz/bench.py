"""Running the command line on hostile input, and what may be expected of it then."""

import json
import os
import selectors
import signal
import subprocess
import sys
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from ov_xai.errors import EXIT_OK, EXIT_PARTIAL, ModelReadError
from tests.conftest import ROOT

#: Exit codes of a command that met hostile input: done, or one of the table; never an internal error.
ORDERLY = {EXIT_OK, 2, 3, 4, 5, 6, 7, 8, EXIT_PARTIAL, 10, 11}
#: Seconds for one command.
PATIENCE = 120


@dataclass(frozen=True)
class Outcome:
    """What became of a command.

    Attributes:
        code: exit code; a text when an exception got out; None when the process died or hung.
        out: its stdout.
        err: its stderr.
        death: what ended the process, "" when nothing did.
    """

    code: int | str | None
    out: str = ""
    err: str = ""
    death: str = ""


class Worker:
    """Runs commands in a child process, and starts another one when it dies."""

    def __init__(self):
        self.process = None

    def run(self, arguments, folder):
        """Run a command in a folder."""
        process = self._alive()
        process.stdin.write(json.dumps([arguments, str(folder)]) + "\n")
        process.stdin.flush()
        with selectors.DefaultSelector() as waiting:
            waiting.register(process.stdout, selectors.EVENT_READ)
            if not waiting.select(PATIENCE):
                self.close()
                return Outcome(None, death="hangs")
        line = process.stdout.readline()
        if line:
            return Outcome(*json.loads(line))
        code = process.wait()
        self.close()
        return Outcome(None, death=signal.Signals(-code).name if code < 0 else f"exit {code}")

    def _alive(self):
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.fuzz.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=ROOT,
            )
        return self.process

    def close(self):
        """End the child process."""
        if self.process is not None:
            self.process.kill()
            self.process.stdin.close()
            self.process.stdout.close()
            self.process.wait()
            self.process = None


def short_and_long(short, long):
    """Let a test have two forms: `cases` is the short one in the normal run, the long one under `nightly`."""
    forms = [pytest.param((short, True), id="short"), pytest.param((long, False), id="long", marks=pytest.mark.nightly)]
    return pytest.mark.parametrize("cases", forms)


def check(cases, **strategies):
    """Run a function on many cases: the same ones in every short run, others in every long one."""
    count, same = cases

    def decorate(function):
        form = settings(
            max_examples=count,
            derandomize=same,
            database=None,
            deadline=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )
        form(given(**strategies)(function))()

    return decorate


def unfinished(folder):
    """Return the files and folders below a folder that are only on the way to their place."""
    return [name for _, folders, files in os.walk(os.fsencode(folder)) for name in folders + files if b".part" in name]


def require_order(outcome):
    """Fail unless a command did its job or gave one line and an exit code of the table."""
    assert outcome.code in ORDERLY, (outcome.code, outcome.death, outcome.err)
    assert "Traceback" not in outcome.err + outcome.out
    told = [line for line in outcome.err.splitlines() if line.startswith("ov-xai: ")]
    refused = outcome.code not in (EXIT_OK, EXIT_PARTIAL) and not _answers(outcome)
    assert len(told) == refused, outcome.err


def _answers(outcome):
    """`inspect` says on stdout why a model cannot be patched."""
    return outcome.code == 4 and ("supported    no" in outcome.out or '"refusal"' in outcome.out)


def run_orderly(worker, arguments, folder):
    """Run a command on a model and return its outcome.

    A model on which OpenVINO itself kills the process is no fault of ours, unless `--safe` does not turn that into an
    error.
    """
    outcome = worker.run(arguments, folder)
    if outcome.death:
        outcome = worker.run([*arguments, "--safe"], folder)
        assert outcome.code == ModelReadError.exit_code, (outcome.code, outcome.death, outcome.err)
    else:
        assert not unfinished(folder)
    require_order(outcome)
    return outcome
