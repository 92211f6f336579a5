"""What the verbs have in common that take a whole folder of models."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

from remote_models._api import ModelResult
from remote_models.cli._exit_codes import FAILED, INTEGRITY, OK
from remote_models.cli._failures import exit_code_of
from remote_models.cli._output import print_errors, print_json, print_line
from remote_models.cli._wording import as_options
from remote_models.errors import ArgumentError, MissingDependencyError, RemoteModelsError

__all__ = ["executor_of", "refuse_for_many", "refuse_for_one", "report_results"]

_T = TypeVar("_T")

_SECONDS = 10
"""Within which a scheduler has to answer."""


@contextmanager
def executor_of(options: argparse.Namespace) -> Iterator[Executor | None]:
    """Open what is to do the work: threads, or the Dask cluster of ``--dask``.

    Raises:
        ArgumentError: no scheduler is at the address, or the number of jobs makes no sense.
        MissingDependencyError: the package distributed is not installed.
    """
    with ExitStack() as stack:
        if options.dask is not None:
            yield stack.enter_context(_dask(options.dask))
        elif options.jobs is not None:
            if options.jobs < 1:
                raise ArgumentError(
                    "not a number of jobs", where="--jobs", expected="1 or more",
                    found=options.jobs,
                )  # fmt: skip
            yield stack.enter_context(ThreadPoolExecutor(options.jobs))
        else:
            yield None


@contextmanager
def _dask(address: str) -> Iterator[Executor]:
    try:
        import distributed
    except ImportError as error:
        raise MissingDependencyError(
            "--dask needs a package that is not installed",
            hint="pip install 'remote_models[dask]'",
        ) from error
    try:
        client = distributed.Client(address, timeout=_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ArgumentError(
            "no Dask scheduler answers", where="--dask", found=repr(address),
            hint="Give the address that the scheduler prints, as in tcp://10.0.0.1:8786",
        ) from error  # fmt: skip
    with client:
        # Not pure: what was true of a model an hour ago need not be true now.
        executor: Executor = client.get_executor(pure=False)
        yield executor


def refuse_for_one(options: argparse.Namespace) -> None:
    """Refuse options that make sense for many models only.

    Raises:
        ArgumentError: one of them is given.
    """
    for name in ("jobs", "dask"):
        if getattr(options, name) is not None:
            raise ArgumentError("for many models only", where=f"--{name}", hint="Add --recursive")


def refuse_for_many(options: argparse.Namespace, *names: str) -> None:
    """Refuse options that make sense for one model only.

    Raises:
        ArgumentError: one of them is given.
    """
    for name in names:
        if getattr(options, name) is not None:
            raise ArgumentError(
                "for one model only", where=f"--{name.replace('_', '-')}",
                hint="Leave it out, or leave --recursive out",
            )  # fmt: skip


def report_results(
    options: argparse.Namespace,
    results: Sequence[ModelResult[_T]],
    told: Callable[[_T], str],
    document: Callable[[_T], Any],
    is_good: Callable[[_T], bool] = lambda _value: True,
) -> int:
    """Print what came of each of many models, and return the exit code.

    Integrity goes before all else; models that fail in several ways make it 1.

    Args:
        options: Those of the command.
        results: What came of each.
        told: Says in a line what came of one that did not fail.
        document: The same for programs.
        is_good: Whether it is as it should be.
    """
    if options.json:
        print_json([_entry(each, document, is_good, options.verb) for each in results])
    codes = {OK}
    for each in results:
        if each.error is not None:
            codes.add(exit_code_of(each.error))
            if not options.json:
                print_errors([f"error: {' '.join(each.error.summary.split())}"])
        elif each.value is not None:
            good = is_good(each.value)
            codes.add(OK if good else INTEGRITY)
            if not (options.json or (options.quiet and good)):
                line = f"{each.path}: {told(each.value)}"
                print_line(line) if good else print_errors([line])
    if not (options.json or options.quiet):
        failed = sum(1 for each in results if each.error or not _is_ok(each, is_good))
        print_line(f"{len(results) - failed} of {len(results)} done")
    codes.discard(OK)
    if INTEGRITY in codes or not codes:
        return INTEGRITY if codes else OK
    return codes.pop() if len(codes) == 1 else FAILED


def _is_ok(result: ModelResult[_T], is_good: Callable[[_T], bool]) -> bool:
    return result.value is not None and is_good(result.value)


def _entry(
    result: ModelResult[_T],
    document: Callable[[_T], Any],
    is_good: Callable[[_T], bool],
    verb: str,
) -> dict[str, Any]:
    return {
        "path": result.path,
        "url": result.url,
        "ok": _is_ok(result, is_good),
        "result": None if result.value is None else document(result.value),
        "error": None if result.error is None else _error(result.error, verb),
    }


def _error(error: RemoteModelsError, verb: str) -> dict[str, Any]:
    return {
        "error": type(error).__name__,
        "message": " ".join(error.summary.split()),
        "hint": error.hint and as_options(" ".join(error.hint.split()), verb),
    }
