"""The exports of a model: the same model for a runtime other than its framework."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from remote_models._fields import (
    RelativePath,
    array_field,
    malformed,
    object_field,
    parse_relative_path,
)

__all__ = ["EXPORT_FOLDER", "EXPORT_KINDS", "export_path", "parse_exports"]

EXPORT_FOLDER = "exports"
"""The folder of a directory artifact in which its exports lie."""

EXPORT_KINDS = ("tflite", "onnx")
"""The exports that can be made: words for what they are, and the extensions of their files."""


def export_path(kind: str, *, file: str | None) -> str:
    """Return the path of an export inside its artifact.

    Args:
        kind: What it is, as in ``tflite``.
        file: The name of the file that it lies beside, ``None`` in a directory artifact.
    """
    return f"{EXPORT_FOLDER}/model.{kind}" if file is None else f"{file}.{kind}"


def parse_exports(document: Mapping[str, Any]) -> Mapping[str, RelativePath]:
    """Return the member ``exports``: the path of each export by what it is.

    Raises:
        ManifestError: a member is malformed, or names none of the files.
    """
    exports = object_field(document.get("exports", {}), "exports")
    if not exports:
        return {}
    files = [object_field(each, "files") for each in array_field(document["files"], "files")]
    paths = {each.get("path") for each in files}
    found = {kind: parse_relative_path(exports[kind], where=f"exports.{kind}") for kind in exports}
    for kind, path in found.items():
        if path not in paths:
            raise malformed(f"exports.{kind}", "a path in files", path)
    return found
