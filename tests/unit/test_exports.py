"""What a module says it exports is what it has, sorted."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
from types import ModuleType

import pytest

import remote_models

NEEDS_FRAMEWORK = ("remote_models.frameworks.keras", "remote_models.frameworks.tf_keras")
WORDS = {"annotations", "TYPE_CHECKING", "Any"}
RUNS = "remote_models.__main__"


def module_names() -> list[str]:
    found = pkgutil.walk_packages(remote_models.__path__, "remote_models.")
    return ["remote_models", *sorted(info.name for info in found if info.name != RUNS)]


def is_private(name: str) -> bool:
    return any(part.startswith("_") for part in name.split("."))


PACKAGES_AND_PUBLIC = [
    name for name in module_names() if not is_private(name) and not name.startswith(NEEDS_FRAMEWORK)
]


def source_of(name: str) -> ast.Module:
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    with open(spec.origin, encoding="utf-8") as file:
        return ast.parse(file.read())


def stated(tree: ast.Module) -> list[str] | None:
    """Return ``__all__`` as it is written."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names: list[str] = ast.literal_eval(node.value)
            return names
    return None


def defined(tree: ast.Module) -> set[str]:
    """Return the public names that a module itself makes."""
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            parts = [part for target in node.targets for part in ast.walk(target)]
            names.update(part.id for part in parts if isinstance(part, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return {name for name in names if not name.startswith("_")}


def imported(tree: ast.Module) -> set[str]:
    return {
        alias.asname or alias.name
        for node in ast.walk(tree)  # names that are imported when they are asked for, too
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def exported(module: ModuleType) -> set[str]:
    """Return what a package re-exports: its attributes without modules and typing's words."""
    return {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and not inspect.ismodule(value) and name not in WORDS
    }


@pytest.mark.parametrize("name", [name for name in module_names() if stated(source_of(name))])
def test_all_is_sorted_and_names_what_is_there(name: str) -> None:
    tree = source_of(name)
    names = stated(tree) or []
    assert names == sorted(set(names), key=order)
    assert set(names) <= defined(tree) | imported(tree)


def order(name: str) -> tuple[int, str]:
    """Constants, classes, functions, as isort and ruff (RUF022) order them."""
    return (0 if name.isupper() else 1 if name[:1].isupper() else 2, name)


@pytest.mark.parametrize("name", [name for name in module_names() if not is_private(name)])
def test_a_public_module_exports_something(name: str) -> None:
    assert stated(source_of(name))


@pytest.mark.parametrize("name", PACKAGES_AND_PUBLIC)
def test_everything_that_is_exported_is_there(name: str) -> None:
    module = importlib.import_module(name)
    for each in module.__all__:
        assert hasattr(module, each), f"{name}.{each}"


@pytest.mark.parametrize("name", [name for name in PACKAGES_AND_PUBLIC if name != "remote_models"])
def test_every_public_name_is_exported(name: str) -> None:
    module = importlib.import_module(name)
    if hasattr(module, "__path__"):
        assert exported(module) <= set(module.__all__)
    else:
        assert defined(source_of(name)) <= set(module.__all__)


LAZY = {"RemoteTensor", "Weights", "export_weights", "load_runtime"}
"""What needs NumPy, and is imported when it is asked for."""


def test_the_package_exports_every_verb_and_nothing_else() -> None:
    names = set(remote_models.__all__)
    assert exported(remote_models) | LAZY == names - {"__version__"}
    assert "__version__" in names
    assert names <= set(dir(remote_models))
    for verb in importlib.import_module("remote_models._api").__all__:
        assert verb in names


def test_numpy_is_imported_when_it_is_needed() -> None:
    code = (
        "import sys, remote_models as rm; print('numpy' in sys.modules); "
        f"[getattr(rm, name) for name in {sorted(LAZY)}]; print('numpy' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert result.stdout.split() == ["False", "True"]


def test_a_name_that_is_not_exported_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'remote_models' has no attribute 'load_weight'"):
        remote_models.load_weight  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize("name", remote_models.__all__)
def test_every_public_name_is_documented(name: str) -> None:
    value = getattr(remote_models, name)
    if inspect.isclass(value) or inspect.isfunction(value):
        assert value.__doc__
        assert not (value.__doc__ or "").startswith(f"{name}(")  # dataclasses write such a one
