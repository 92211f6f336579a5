"""Keras' HDF5 files: legacy ``.h5`` and ``.weights.h5``.

Layouts: keras/src/legacy/saving/legacy_h5_format.py and H5IOStore in
keras/src/saving/saving_lib.py (Keras 3.15), tf_keras/src/saving/ (2.21).
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

from remote_models.errors import FormatError, UnrecognizedFormatError
from remote_models.formats._format import Format, Recognition
from remote_models.formats._generation import generation_of
from remote_models.formats._hdf5_text import Texts
from remote_models.formats._hdf5_walk import address_of, open_hdf5, text_attributes

if TYPE_CHECKING:
    import h5py

__all__ = ["HDF5_MAGIC", "recognise_hdf5"]

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
"""Format signature (HDF5 File Format Specification, section II.A)."""

_MAX_VERSION = 100
"""Bytes of a version of Keras."""

_MAX_GROUPS = 10_000
"""Groups looked at in search of weights; a file with more is not searched to its end."""


def recognise_hdf5(file: IO[bytes], *, where: str) -> Recognition:
    """Say which of Keras' HDF5 layouts a file has, by its attributes and groups.

    Raises:
        UnrecognizedFormatError: it is damaged, or HDF5 but not Keras'.
    """
    try:
        with open_hdf5(file, where=where) as root:
            return _recognise(root, text_attributes(file, root, where=where), where)
    except UnrecognizedFormatError:
        raise
    except FormatError as error:
        raise UnrecognizedFormatError(
            error.message, where=where, found=error.found, hint=error.hint
        ) from error


def _recognise(root: h5py.File, texts: Texts, where: str) -> Recognition:
    version = _keras_version(root, texts)
    if "model_config" in root.attrs:
        return Recognition(
            format=Format.H5, generation=generation_of(version), keras_version=version
        )
    weights = _group(root, "model_weights")
    if weights is not None and "layer_names" in weights.attrs:
        return _legacy_weights(version or _keras_version(weights, texts))
    if "layer_names" in root.attrs or "layer_names0" in root.attrs:
        return _legacy_weights(version)
    marker = _find_variables(root)
    if marker is None:
        raise UnrecognizedFormatError(
            "an HDF5 file, but not one of Keras",
            where=where,
            found=f"top-level members {sorted(root)[:5]}",
            hint="Open it with h5py",
        )
    return Recognition(format=Format.KERAS_WEIGHTS, generation=marker)


def _legacy_weights(version: str | None) -> Recognition:
    return Recognition(
        format=Format.H5_WEIGHTS, generation=generation_of(version), keras_version=version
    )


def _find_variables(root: h5py.File) -> int | None:
    """Return the generation whose ``vars`` groups the file holds, or ``None`` without any.

    Keras 3 names the layer in an attribute ``name`` of ``vars``; Keras 2 does not.
    """
    generation = None
    waiting: list[h5py.Group] = [root]
    for _ in range(_MAX_GROUPS):
        if not waiting:
            break
        group = waiting.pop()
        for name in group:
            member = _group(group, name)
            if member is None:
                continue
            if name == "vars":
                if "name" in member.attrs:
                    return 3
                generation = 2
            else:
                waiting.append(member)
    return generation


def _group(root: h5py.Group, name: str) -> h5py.Group | None:
    """Return a group of this very file: a link may lead anywhere."""
    import h5py

    if root.get(name, getlink=True, getclass=True) is not h5py.HardLink:
        return None
    return root[name] if root.get(name, getclass=True) is h5py.Group else None


def _keras_version(group: h5py.Group, texts: Texts) -> str | None:
    return texts.one(address_of(group.id), "keras_version", limit=_MAX_VERSION)
