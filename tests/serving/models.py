"""Tiny models with an ONNX export, saved without a framework: each adds its number."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from remote_models.formats import Format
from remote_models.manifest import Layout, Manifest
from remote_models.publishing import Artifact, FindBase, local_files, publish
from remote_models.repository import Version
from remote_models.repository._saving import save_version
from remote_models.storage import Location, Publication, open_store

EXPORT = "exports/model.onnx"

EXPORTS = {"onnx": EXPORT, "tflite": "exports/model.tflite"}


def adder(number: float) -> bytes:
    """Return ``x + number`` in ONNX, for rows of two."""
    constant = helper.make_tensor("c", TensorProto.FLOAT, [1], [number])
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "c"], ["y"])],
        "adder",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 2])],
        [constant],
    )
    opset = helper.make_opsetid("", 17)
    model: Any = helper.make_model(graph, opset_imports=[opset], ir_version=10)
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data


def save_export(location: Location, kind: str, data: bytes, *, overwrite: bool = True) -> Manifest:
    """Save a directory that has an export, and otherwise nothing that anything could run."""
    store = open_store(location)
    with tempfile.TemporaryDirectory() as folder:
        contents = {"saved_model.pb": b"graph", EXPORTS[kind]: data}
        for path, content in contents.items():
            (Path(folder) / path).parent.mkdir(exist_ok=True)
            (Path(folder) / path).write_bytes(content)
        artifact = Artifact(
            format=Format.SAVED_MODEL,
            layout=Layout.DIRECTORY,
            created="2026-11-24T00:00:00Z",
            producer={"tests": "1"},
            metadata={},
            files=local_files({path: Path(folder) / path for path in contents}),
            exports={kind: EXPORTS[kind]},
        )
        return publish(store, location, artifact, overwrite=overwrite)


def save_adder(location: Location, number: float, *, overwrite: bool = True) -> Manifest:
    """Save an adder."""
    return save_export(location, "onnx", adder(number), overwrite=overwrite)


def save_next(root: Location) -> Version:
    """Save the next version of a repository: it adds its own number."""
    return save_version_of(root, "onnx", lambda number: adder(float(number)))


def save_version_of(root: Location, kind: str, export: Callable[[int], bytes]) -> Version:
    """Save the export of its number as the next version of a repository."""

    def publish_version(location: Location, _find_base: FindBase) -> Manifest:
        return save_export(location, kind, export(int(location.name)), overwrite=False)

    return save_version(open_store(root), root, Format.SAVED_MODEL, publish_version)


def damage(location: Location) -> None:
    """Change one byte of an artifact's export behind the manifest's back."""
    file = location.join(EXPORT)
    store = open_store(file)
    data = bytearray(store.read_whole(file, limit=2**20)[0])
    data[len(data) // 2] ^= 1
    with Publication(store) as publication:
        publication.stage(file, len(data), [bytes(data)])
        publication.commit(lambda _location, _committed: None)


X = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)
