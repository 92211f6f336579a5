"""Do one thing with each model below a URL, on whatever executor the caller has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Generic, TypeVar

from remote_models.errors import RemoteModelsError
from remote_models.storage import Location

__all__ = ["ModelResult", "ResultCallback", "place_of", "walk"]

_T = TypeVar("_T")

_THREADS = 4
"""Models at once by default: each already makes many requests at once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelResult(Generic[_T]):
    """What became of one of many models.

    Attributes:
        path: Its path below the URL; ``"."`` for the URL itself.
        url: Its URL.
        value: What the verb returns for one model; ``None`` if it failed.
        error: Why it failed; ``None`` if it did not.
    """

    path: str
    url: str
    value: _T | None = None
    error: RemoteModelsError | None = None


ResultCallback = Callable[[ModelResult[_T]], None]


def place_of(root: Location, path: str) -> Location:
    """Return where a model lies that a listing of ``root`` has at ``path``."""
    return root if path == "." else root.join(path)


def walk(
    places: Mapping[str, Location],
    task: Callable[[str, Location], _T],
    executor: Executor | None,
    on_result: ResultCallback[_T] | None,
) -> list[ModelResult[_T]]:
    """Call ``task`` for each place, and return what came of each, in the order of the places.

    Args:
        places: The models by their paths.
        task: Does the work. It is pickled where an executor has other processes.
        executor: Runs it; threads of this process by default. It is left open.
        on_result: Called in this thread for each model when it is done, in any order.
    """
    if executor is None:
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="remote_models") as own:
            return walk(places, task, own, on_result)
    waiting: dict[Future[_T | RemoteModelsError], str] = {}
    results: dict[str, ModelResult[_T]] = {}
    try:
        for path, location in places.items():
            waiting[executor.submit(_attempt, task, path, location)] = path
        for future in as_completed(waiting):
            path = waiting[future]
            results[path] = _result(path, places[path], future.result())
            if on_result is not None:
                on_result(results[path])
    finally:
        for future in waiting:
            future.cancel()
    return [results[path] for path in places]


def _result(path: str, location: Location, outcome: _T | RemoteModelsError) -> ModelResult[_T]:
    if isinstance(outcome, RemoteModelsError):
        return ModelResult(path=path, url=str(location), error=outcome)
    return ModelResult(path=path, url=str(location), value=outcome)


def _attempt(
    task: Callable[[str, Location], _T], path: str, location: Location
) -> _T | RemoteModelsError:
    """Do it, and hand back the error with which one model fails: others go on."""
    try:
        return task(path, location)
    except RemoteModelsError as error:
        return error
