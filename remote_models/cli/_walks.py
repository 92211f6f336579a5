"""What the verbs have in common that take a whole folder of models."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from remote_models._api import ModelResult
from remote_models.cli._exit_codes import FAILED, INTEGRITY, OK
from remote_models.cli._failures import exit_code_of, one_line
from remote_models.cli._output import print_errors, print_json, print_line
from remote_models.cli._wording import as_options
from remote_models.errors import ArgumentError, MissingDependencyError, RemoteModelsError

__all__ = ["Report", "executor_of", "refuse_for_many", "refuse_for_one"]

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


@dataclass(frozen=True, kw_only=True, slots=True)
class Report(Generic[_T]):
    """Prints what comes of many models: for people as each is done, for programs at the end.

    Attributes:
        options: Those of the command.
        told: Says in a line what came of one that did not fail.
        document: The same for programs.
        is_good: Whether it is as it should be.
    """

    options: argparse.Namespace
    told: Callable[[_T], str]
    document: Callable[[_T], Any]
    is_good: Callable[[_T], bool] = lambda _value: True

    def tell(self, result: ModelResult[_T]) -> None:
        """Print a line about one model."""
        if self.options.json:
            return
        if result.error is not None:
            print_errors([f"error: {one_line(result.error.summary)}"])
        elif result.value is not None:
            line = f"{result.path}: {self.told(result.value)}"
            if not self._is_ok(result):
                print_errors([line])
            elif not self.options.quiet:
                print_line(line)

    def finish(self, results: Sequence[ModelResult[_T]]) -> int:
        """Print how many there are that are as they should be, and return the exit code.

        Integrity goes before all else; models that fail in several ways make it 1.
        """
        if self.options.json:
            print_json([self._entry(each) for each in results])
        elif not self.options.quiet:
            good = sum(map(self._is_ok, results))
            print_line(f"{good} of {len(results)} done")
        codes = {self._code(each) for each in results} - {OK}
        if not codes or INTEGRITY in codes:
            return INTEGRITY if codes else OK
        return codes.pop() if len(codes) == 1 else FAILED

    def _code(self, result: ModelResult[_T]) -> int:
        if result.error is not None:
            return exit_code_of(result.error)
        return OK if self._is_ok(result) else INTEGRITY

    def _is_ok(self, result: ModelResult[_T]) -> bool:
        return result.value is not None and self.is_good(result.value)

    def _entry(self, result: ModelResult[_T]) -> dict[str, Any]:
        return {
            "path": result.path,
            "url": result.url,
            "ok": self._is_ok(result),
            "result": None if result.value is None else self.document(result.value),
            "error": None if result.error is None else self._error(result.error),
        }

    def _error(self, error: RemoteModelsError) -> dict[str, Any]:
        hint = error.hint and as_options(one_line(error.hint), self.options.verb)
        return {"error": type(error).__name__, "message": one_line(error.summary), "hint": hint}
