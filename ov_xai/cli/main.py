"""`ov-xai`: the group of verbs, and the only place where errors become exit codes."""

from __future__ import annotations

import os
import sys

import click

from ov_xai.cli.cards import cards
from ov_xai.cli.check import check
from ov_xai.cli.console import natives_silenced, say
from ov_xai.cli.demo import demo
from ov_xai.cli.evaluate import evaluate
from ov_xai.cli.explain import explain
from ov_xai.cli.insert import insert
from ov_xai.cli.inspect import inspect
from ov_xai.cli.quantize import quantize
from ov_xai.cli.remove import remove
from ov_xai.cli.streams import open_closed_streams
from ov_xai.errors import (
    EXIT_CHECK_FAILED,
    EXIT_INTERNAL,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_PARTIAL,
    OutputError,
    RequestError,
    UnsupportedModelError,
    XaiError,
)
from ov_xai.version import __version__

#: Exit codes, in the order of the help.
EXIT_CODES = f"""\b
Exit codes:
  {EXIT_OK}    done
  {EXIT_CHECK_FAILED}    `check` says no
  2    wrong usage
  3    the model cannot be read
  4    the model cannot be patched
  5    the request does not fit the model
  6    the output cannot be written
  7    the input cannot be read
  8    the self-check failed
  {EXIT_PARTIAL}    done, but some images were skipped
  10   the device is unknown or cannot run the model
  11   a card does not fit
  12   an optional package is missing
  {EXIT_INTERNAL}   internal error (set OV_XAI_DEBUG=1 for the traceback)
  {EXIT_INTERRUPTED}  interrupted
"""


@click.group(epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="ov-xai")
def cli() -> None:
    """Saliency maps inside OpenVINO models: one inference returns the predictions and where they come from."""


for verb in (insert, inspect, explain, check, evaluate, quantize, remove, cards, demo):
    cli.add_command(verb)


def run(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code; a user's mistake is one line on stderr, never a traceback."""
    open_closed_streams()
    with natives_silenced():
        try:
            return _run(arguments)
        except SystemExit:  # Click leaves when nobody reads the help, with the exit code of a failed check
            return EXIT_OK


def _run(arguments: list[str] | None) -> int:
    try:
        code = cli.main(args=arguments, prog_name="ov-xai", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        for line in error.format_message().splitlines():
            say(line, err=True)
        return RequestError.exit_code
    except (click.exceptions.Abort, KeyboardInterrupt):
        return _fail("interrupted; files written so far are whole.", EXIT_INTERRUPTED)
    except click.ClickException as error:
        return _fail(" ".join(error.format_message().split()), RequestError.exit_code)
    except XaiError as error:
        return _fail(str(error), error.exit_code)
    except MemoryError:
        return _fail("the model or an image takes more memory than there is.", UnsupportedModelError.exit_code)
    except OSError as error:
        return _fail(f"the system refuses: {error.strerror or error}.", OutputError.exit_code)
    except Exception as error:
        if os.environ.get("OV_XAI_DEBUG"):
            raise
        detail = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        return _fail(f"internal error: {detail} (set OV_XAI_DEBUG=1 for the traceback)", EXIT_INTERNAL)
    return code if isinstance(code, int) else EXIT_OK


def _fail(message: str, code: int) -> int:
    say(f"ov-xai: {message}", err=True)
    return code


def main() -> None:
    """Entry point of the `ov-xai` command."""
    sys.exit(run())


if __name__ == "__main__":
    main()
