"""Saved files, compared to the last byte; shared by the processes that save them."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import h5py
import numpy as np

import remote_models as rm
from remote_models._api import _models, _weights
from remote_models.storage import Location, open_store

__all__ = [
    "close", "contents", "members", "read_back", "refuse_copies", "same", "saved",
]  # fmt: skip


def contents(data: bytes) -> dict[str, Any]:
    """Everything in an HDF5 file: paths, attributes, types, shapes, bytes."""
    found: dict[str, Any] = {}

    def visit(name: str, member: Any) -> None:
        attributes = {
            key: (repr(np.asarray(value).dtype), np.asarray(value).tolist())
            for key, value in member.attrs.items()
        }
        found[name] = [attributes]
        if isinstance(member, h5py.Dataset):
            kind = member.id.get_type()
            assert member.chunks is None
            assert member.compression is None
            found[name] += [kind.get_class(), kind.get_size(), repr(member.dtype), member.shape]
            found[name].append(np.asarray(member[()]).tobytes())

    with h5py.File(io.BytesIO(data)) as root:
        visit("", root)
        root.visititems(visit)
    return found


def members(data: bytes) -> dict[str, Any]:
    """Everything in an archive. When it was saved differs."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        found: dict[str, Any] = {name: archive.read(name) for name in archive.namelist()}
        assert all(each.compress_type == zipfile.ZIP_STORED for each in archive.infolist())
    found["model.weights.h5"] = contents(found["model.weights.h5"])
    metadata = json.loads(found["metadata.json"])
    assert set(metadata) == {"keras_version", "date_saved"}
    found["metadata.json"] = metadata["keras_version"]
    return found


def saved(model: Any, url: str) -> bytes:
    """Save with remote_models, and return what lies there."""
    (rm.save_weights if url.endswith(".weights.h5") else rm.save_model)(model, url)
    assert rm.verify_model(url).ok
    return read_back(url)


def read_back(url: str) -> bytes:
    """Return the bytes at a URL."""
    location = Location.parse(url)
    store = open_store(location)
    return bytes(store.read(location, 0, store.head(location).size))


def refuse_copies() -> None:
    """From now on, no save may ask for a temporary directory."""

    def refused(*_: object) -> Any:
        raise AssertionError("copied to a temporary directory")

    for module in (_models, _weights):
        vars(module)["temporary_directory"] = refused


def same(left: Any, right: Any) -> bool:
    return np.array_equal(np.asarray(left), np.asarray(right), equal_nan=False)


def close(left: Any, right: Any) -> bool:
    """Whether predictions agree; sums over threads have no fixed order."""
    return np.allclose(np.asarray(left, "f4"), np.asarray(right, "f4"), rtol=1e-5, atol=1e-6)
