"""Find the packages of the ``testing`` extra."""

from __future__ import annotations

import importlib
import importlib.metadata
from pathlib import Path
from types import ModuleType

from remote_models.errors import MissingDependencyError

_HINT = "Install it with: pip install 'remote_models[testing]'"


def import_package(module: str) -> ModuleType:
    """Import a module of the extra.

    Raises:
        MissingDependencyError: It is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingDependencyError(f"{module} is not installed", hint=_HINT) from error


def find_program(distribution: str, prefix: str) -> Path:
    """Return the program that a distribution installed, wherever ``PATH`` points.

    Args:
        distribution: The name on PyPI.
        prefix: How the program's file name begins.

    Raises:
        MissingDependencyError: The distribution, or its program for this
            platform, is not installed.
    """
    try:
        files = importlib.metadata.files(distribution) or []
    except importlib.metadata.PackageNotFoundError as error:
        raise MissingDependencyError(f"{distribution} is not installed", hint=_HINT) from error
    for file in files:
        # The programs lie in a folder "bin", within the package or the environment.
        if file.parent.name == "bin" and file.name.startswith(prefix):
            return Path(str(file.locate())).resolve()
    raise MissingDependencyError(
        f"{distribution} has no program {prefix} for this platform", hint=_HINT
    )
