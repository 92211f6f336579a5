"""Which generation of Keras loads what, by who wrote it and what is imported."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest

from remote_models.errors import ArgumentError, MissingDependencyError
from remote_models.frameworks import _choice

BOTH = ("keras", "tf_keras")


@pytest.fixture
def choose(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(_choice, "_framework", lambda name: SimpleNamespace(name=name))
    return monkeypatch


def imagine(
    patch: pytest.MonkeyPatch, imported: tuple[str, ...], installed: tuple[str, ...]
) -> None:
    for name in BOTH:
        patch.delitem(sys.modules, name, raising=False)
    for name in imported:
        patch.setitem(sys.modules, name, ModuleType(name))
    patch.setattr(_choice, "_is_installed", lambda name: name in {*imported, *installed})


@pytest.mark.parametrize(
    ("generation", "imported", "installed", "expected"),
    [
        (3, (), BOTH, "keras"),
        (2, (), BOTH, "tf_keras"),
        (3, BOTH, BOTH, "keras"),
        (2, BOTH, BOTH, "tf_keras"),
        (3, ("tf_keras",), BOTH, "keras"),
        (2, ("tf_keras",), BOTH, "tf_keras"),
        (3, ("keras",), BOTH, "keras"),
        (2, ("keras",), BOTH, "keras"),
        (2, (), ("keras",), "keras"),
        (3, (), ("tf_keras",), "tf_keras"),
        (3, ("tf_keras",), ("tf_keras",), "tf_keras"),
        (None, (), BOTH, "keras"),
        (None, ("keras",), BOTH, "keras"),
        (None, ("tf_keras",), BOTH, "tf_keras"),
        (None, BOTH, BOTH, "tf_keras"),
        (None, (), ("tf_keras",), "tf_keras"),
    ],
)
def test_default(
    choose: pytest.MonkeyPatch,
    generation: int | None,
    imported: tuple[str, ...],
    installed: tuple[str, ...],
    expected: str,
) -> None:
    imagine(choose, imported, installed)
    assert _choice.choose_framework(generation, None).name == expected


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("generation", [2, 3, None])
def test_a_name_decides(choose: pytest.MonkeyPatch, generation: int | None, name: str) -> None:
    imagine(choose, BOTH, BOTH)
    assert _choice.choose_framework(generation, name).name == name


def test_other_names_are_refused() -> None:
    with pytest.raises(ArgumentError, match="unknown framework"):
        _choice.choose_framework(3, "torch")


@pytest.mark.parametrize(("generation", "extra"), [(2, "tf-keras"), (3, "keras"), (None, "keras")])
def test_none_installed(choose: pytest.MonkeyPatch, generation: int | None, extra: str) -> None:
    imagine(choose, (), ())
    with pytest.raises(MissingDependencyError, match=rf"remote_models\[{extra}\]"):
        _choice.choose_framework(generation, None)
