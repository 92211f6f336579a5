"""Errors: one tree, drawn in its docstring; messages that say where, what and what to do."""

from __future__ import annotations

import builtins
import copy
import inspect
import pickle
import re
from collections.abc import Iterator
from typing import Any

import pytest

from remote_models import errors
from remote_models.errors import (
    FormatError,
    IntegrityError,
    MissingDependencyError,
    RemoteModelsError,
    StorageError,
)

_LINE = re.compile(r"(?P<branch>[│├└─ ]*)(?P<name>\w+)(?: \((?P<builtins>[\w, ]+)\))?")


def drawn() -> Iterator[tuple[str, set[str]]]:
    """Yield the name of each class in the drawing, and those of its parents."""
    drawing = inspect.cleandoc(errors.__doc__ or "").partition("::\n\n")[2].partition("\n\n")[0]
    path: list[str] = []
    for line in inspect.cleandoc(drawing).splitlines():
        match = _LINE.fullmatch(line)
        assert match, f"not a line of the drawing: {line!r}"
        depth = len(match["branch"]) // 4
        del path[depth:]
        parents = set((match["builtins"] or "").replace(" ", "").split(",")) - {""}
        yield match["name"], parents | set(path[-1:])
        path.append(match["name"])


def classes() -> dict[str, type[Any]]:
    return {
        name: each
        for name, each in vars(errors).items()
        if inspect.isclass(each) and each.__module__ == errors.__name__
    }


CLASSES: list[type[RemoteModelsError]] = sorted(classes().values(), key=lambda each: each.__name__)


def test_the_drawing_is_the_tree() -> None:
    tree = dict(drawn())
    assert tree["RemoteModelsError"] == set()
    tree["RemoteModelsError"] = {"Exception"}
    assert tree == {
        name: {parent.__name__ for parent in each.__bases__} for name, each in classes().items()
    }


def test_every_name_is_drawn_once() -> None:
    names = [name for name, _ in drawn()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_is_called_one_and_says_what_it_is(kind: type[RemoteModelsError]) -> None:
    assert kind.__name__.endswith("Error")
    assert issubclass(kind, RemoteModelsError)
    assert (kind.__doc__ or "").partition("\n")[0].endswith(".")


@pytest.mark.parametrize("kind", CLASSES)
def test_builtin_parents_are_builtins_and_come_last(kind: type[RemoteModelsError]) -> None:
    own = [issubclass(parent, RemoteModelsError) for parent in kind.__bases__]
    if kind is not RemoteModelsError:
        assert own[0]
        assert not any(own[1:])
    for parent in kind.__bases__:
        assert issubclass(parent, RemoteModelsError) or hasattr(builtins, parent.__name__)


def test_tampering_is_neither_a_bad_value_nor_a_failed_request() -> None:
    for kind in CLASSES:
        if issubclass(kind, IntegrityError):
            assert not issubclass(kind, ValueError | OSError | LookupError)


def full(kind: type[RemoteModelsError]) -> RemoteModelsError:
    return kind(
        "the size differs", where="s3://b/m", expected=3, found=0, hint="Save the model again"
    )


TEXT = "s3://b/m: the size differs (expected 3, found 0). Save the model again"


@pytest.mark.parametrize("kind", CLASSES)
def test_the_message_says_where_what_and_what_to_do(kind: type[RemoteModelsError]) -> None:
    assert str(full(kind)) == TEXT
    assert full(kind).summary == TEXT.removesuffix(". Save the model again")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (StorageError("broken"), "broken"),
        (StorageError("broken", where="w"), "w: broken"),
        (StorageError("broken", expected="e"), "broken (expected e)"),
        (StorageError("broken", found=0), "broken (found 0)"),
        (StorageError("broken", found=False), "broken (found False)"),
        (StorageError("broken", hint="Mend it"), "broken. Mend it"),
        (StorageError("100 %s {}", where="{x}"), "{x}: 100 %s {}"),
    ],
    ids=str,
)
def test_the_message_leaves_out_what_is_not_known(error: RemoteModelsError, text: str) -> None:
    assert str(error) == text


def same(error: RemoteModelsError, other: RemoteModelsError) -> bool:
    return (type(error), error.args, vars(error)) == (type(other), other.args, vars(other))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_crosses_processes_whole(kind: type[RemoteModelsError], protocol: int) -> None:
    error = full(kind)
    error.add_note("a note")
    again = pickle.loads(pickle.dumps(error, protocol))
    assert same(again, error)
    assert str(again) == TEXT
    assert again.__notes__ == ["a note"]


@pytest.mark.parametrize("kind", CLASSES)
def test_copies_are_whole(kind: type[RemoteModelsError]) -> None:
    for again in (copy.copy(full(kind)), copy.deepcopy(full(kind))):
        assert same(again, full(kind))
        assert str(again) == TEXT


@pytest.mark.parametrize("kind", CLASSES)
def test_only_the_message_has_a_position(kind: type[RemoteModelsError]) -> None:
    with pytest.raises(TypeError):
        kind("message", "s3://b/m")  # type: ignore[call-arg]  # that is the point


def test_code_that_expects_builtins_catches_what_fits() -> None:
    assert issubclass(errors.ModelNotFoundError, FileNotFoundError)
    assert issubclass(errors.ModelExistsError, FileExistsError)
    assert issubclass(errors.CredentialsError, PermissionError)
    assert issubclass(errors.StoreUnavailableError, ConnectionError)
    assert issubclass(FormatError, ValueError)
    assert issubclass(MissingDependencyError, ImportError)


def test_the_test_sees_a_wrong_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = (errors.__doc__ or "").replace("StoreFullError", "StoreFullError (ValueError)")
    monkeypatch.setattr(errors, "__doc__", wrong)
    with pytest.raises(AssertionError):
        test_the_drawing_is_the_tree()
