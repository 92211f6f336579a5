"""From words to an exit code: the edge at which every failure ends."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from remote_models.cli._exit_codes import FAILED, INTERRUPTED
from remote_models.cli._failures import report_failure
from remote_models.cli._output import print_errors
from remote_models.cli._parser import Command, make_parser

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Args:
        arguments: The words after the program's name; those of this process by default.

    Raises:
        SystemExit: help was asked for, or the words make no command.
    """
    options = make_parser().parse_args(arguments)
    code = _run(options)
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        _forget_output()
        if not isinstance(error, BrokenPipeError):  # nobody reads on: say nothing more
            print_errors([f"error: standard output: {error.strerror}"])
        return code or FAILED
    return code


def _run(options: argparse.Namespace) -> int:
    command: Command = options.command
    try:
        return command(options)
    except BrokenPipeError:
        return FAILED
    except KeyboardInterrupt:
        print_errors(["interrupted"])
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the edge: every failure becomes a line and a code
        return report_failure(error, options.verb, debug=options.debug, as_json=options.json)


def _forget_output() -> None:
    """Let what is still buffered go nowhere, or Python complains of it when it exits.

    As in Python's documentation of ``signal``, "Note on SIGPIPE".
    """
    try:
        stdout = sys.stdout.fileno()
    except (OSError, ValueError):
        return  # not a file of this process: somebody calls main()
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, stdout)
    os.close(devnull)
