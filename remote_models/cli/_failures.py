"""From an exception to one line, a hint and an exit code."""

from __future__ import annotations

import traceback

from remote_models.cli._exit_codes import FAILED, INTEGRITY, NOT_FOUND, USAGE
from remote_models.cli._output import print_errors, print_json
from remote_models.cli._wording import as_options
from remote_models.errors import (
    ArgumentError,
    IntegrityError,
    ModelNotFoundError,
    RemoteModelsError,
    TensorNotFoundError,
)

__all__ = ["exit_code_of", "one_line", "report_failure"]


def report_failure(error: Exception, verb: str, *, debug: bool, as_json: bool) -> int:
    """Print what went wrong and return the exit code."""
    if debug:
        traceback.print_exception(error)
    summary, hint = _explain(error, verb)
    if as_json:
        print_json({"error": type(error).__name__, "message": summary, "hint": hint})
    print_errors([f"error: {summary}", *([f"hint: {hint}"] if hint else [])])
    return exit_code_of(error)


def _explain(error: Exception, verb: str) -> tuple[str, str | None]:
    """Return what happened and what to do about it, one line each."""
    if isinstance(error, RemoteModelsError):
        return one_line(error.summary), error.hint and as_options(one_line(error.hint), verb)
    if isinstance(error, OSError) and error.strerror:  # of a path on this machine
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
        return one_line(text), None
    first = str(error).strip().splitlines()
    summary = f"{type(error).__name__}: {first[0] if first else 'no message'}"
    return summary, "Run it again with --debug and report what it prints"


def one_line(text: str) -> str:
    """Return a text without line breaks."""
    return " ".join(text.split())


def exit_code_of(error: Exception) -> int:
    """Return the exit code that an error stands for."""
    if isinstance(error, ModelNotFoundError | TensorNotFoundError):
        return NOT_FOUND
    if isinstance(error, IntegrityError):
        return INTEGRITY
    return USAGE if isinstance(error, ArgumentError) else FAILED
