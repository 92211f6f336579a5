"""Exports that reach outside of themselves, and manifests that name others' files as exports."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path
from typing import Any

from formats.bundles import varint

from attacks.attack import Built, Canaries, Registry
from attacks.checkpoints_and_manifests import with_manifest

__all__ = ["EXPORTS", "flex_model", "onnx_model"]

EXPORTS = Registry("export")

ONE = ("keras",)
"""No framework has a part in it: once is enough."""


def message(*fields: tuple[int, bytes | int]) -> bytes:
    """Return a protocol buffer."""
    return b"".join(
        varint(number << 3) + varint(value)
        if isinstance(value, int)
        else varint(number << 3 | 2) + varint(len(value)) + value
        for number, value in fields
    )


def onnx_model(node: bytes, *initialisers: bytes) -> bytes:
    """Return a model with one operation, from ``x`` to ``y``, both float32[1]."""
    shape = message((1, message((1, 1))))
    value = message((1, message((1, 1), (2, shape))))
    graph = message(
        (1, node), (2, b"g"), *((5, each) for each in initialisers),
        (11, message((1, b"x"), (2, value))), (12, message((1, b"y"), (2, value))),
    )  # fmt: skip
    return message((1, 8), (7, graph), (8, message((1, b""), (2, 17))))


def flex_model(name: bytes) -> bytes:
    """Return the beginning of a model of TensorFlow Lite with one custom operation."""
    text = struct.pack("<I", len(name)) + name + b"\0"
    # Places: root 0, identifier 4, vtable of Model 8, Model 16, vector 24, vtable of
    # OperatorCode 32, OperatorCode 44, the name 56.
    return b"".join((
        struct.pack("<I", 16), b"TFL3",
        struct.pack("<4H", 8, 8, 0, 4),
        struct.pack("<iI", 8, 4),
        struct.pack("<II", 1, 16),
        struct.pack("<6H", 12, 12, 0, 4, 0, 8),
        struct.pack("<iIi", 12, 8, 32),
        text,
    ))  # fmt: skip


def exported(folder: Path, framework: str, kind: str, data: bytes) -> Built:
    """Write an artifact whose maker has put an export beside it."""
    path = folder / f"m.keras.{kind}"
    path.write_bytes(data)

    def name_it(document: dict[str, Any]) -> None:
        digest = hashlib.sha256(data).hexdigest()
        document["files"].append({"path": path.name, "size": len(data), "sha256": digest})
        document["exports"] = {kind: path.name}

    return Built(url=with_manifest(folder, framework, name_it), verb="load_runtime")


@EXPORTS.attack("data in another file", frameworks=ONE)
def onnx_with_the_secret_as_weights(folder: Path, canaries: Canaries, framework: str) -> Built:
    place = message((1, b"location"), (2, str(canaries.secret).encode()))
    weights = message((1, 1), (2, 1), (8, b"w"), (13, place), (14, 1))
    node = message((1, b"x"), (1, b"w"), (2, b"y"), (4, b"Add"))
    return exported(folder, framework, "onnx", onnx_model(node, weights))


@EXPORTS.attack("data in another file", frameworks=ONE)
def onnx_with_the_secret_in_an_inner_graph(
    folder: Path, canaries: Canaries, framework: str
) -> Built:
    place = message((1, b"location"), (2, str(canaries.secret).encode()))
    weights = message((1, 1), (2, 1), (8, b"w"), (13, place), (14, 1))
    branch = message((1, b"then_branch"), (6, message((2, b"i"), (5, weights))), (20, 5))
    node = message((1, b"x"), (2, b"y"), (4, b"If"), (5, branch))
    return exported(folder, framework, "onnx", onnx_model(node))


@EXPORTS.attack("none that ONNX specifies", frameworks=ONE)
def onnx_with_a_foreign_operation(folder: Path, canaries: Canaries, framework: str) -> Built:
    node = message((1, b"x"), (2, b"y"), (4, b"Run"), (7, b"com.example"))
    return exported(folder, framework, "onnx", onnx_model(node))


@EXPORTS.attack("no ONNX model", error="FormatError", frameworks=ONE)
def runtime_format_instead_of_onnx(folder: Path, canaries: Canaries, framework: str) -> Built:
    return exported(folder, framework, "onnx", b"\x08\x01\x10\x02ORTM" + bytes(64))


@EXPORTS.attack("FlexReadFile.*none of TensorFlow Lite's own", frameworks=ONE)
def tflite_that_reads_a_file(folder: Path, canaries: Canaries, framework: str) -> Built:
    return exported(folder, framework, "tflite", flex_model(b"FlexReadFile"))


@EXPORTS.attack("no model of TensorFlow Lite", error="FormatError", frameworks=ONE)
def tflite_whose_offsets_lead_outside(folder: Path, canaries: Canaries, framework: str) -> Built:
    return exported(folder, framework, "tflite", struct.pack("<I", 1 << 31) + b"TFL3" + bytes(64))


@EXPORTS.attack("a path in files", error="ManifestError", frameworks=ONE)
def export_that_is_no_file_of_the_model(folder: Path, canaries: Canaries, framework: str) -> Built:
    def name_it(document: dict[str, Any]) -> None:
        document["exports"] = {"onnx": "other.onnx"}

    return Built(url=with_manifest(folder, framework, name_it), verb="load_runtime")


@EXPORTS.attack("unsafe path", error="ManifestError", frameworks=ONE)
def export_that_leads_outside(folder: Path, canaries: Canaries, framework: str) -> Built:
    def name_it(document: dict[str, Any]) -> None:
        document["exports"] = {"onnx": "../outside/secret"}

    return Built(url=with_manifest(folder, framework, name_it), verb="load_runtime")
