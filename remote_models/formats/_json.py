"""JSON files that Keras writes: architectures and maps of sharded weights."""

from __future__ import annotations

import json
from typing import IO, Any

from remote_models.errors import UnrecognizedFormatError
from remote_models.formats._format import Format, Recognition
from remote_models.formats._generation import generation_of

__all__ = ["recognise_json", "shard_names"]

_MAX_JSON = 512 * 1024 * 1024
"""Bytes of JSON read at most. Token for token it takes some ten times that in memory."""


def recognise_json(file: IO[bytes], *, where: str) -> Recognition:
    """Say whether a JSON file is an architecture or a map of sharded weights.

    Raises:
        UnrecognizedFormatError: it is neither, or damaged.
    """
    document = _parse(file, where)
    if isinstance(document.get("weight_map"), dict):
        return Recognition(format=Format.SHARDED_WEIGHTS, generation=3)
    if "class_name" in document and "config" in document:
        version = document.get("keras_version")
        version = version if isinstance(version, str) else None
        # Keras 3 writes no version here, but names the module of every class.
        generation = generation_of(version) or (3 if "module" in document else None)
        return Recognition(format=Format.ARCHITECTURE, generation=generation, keras_version=version)
    raise UnrecognizedFormatError(
        "a JSON file, but neither an architecture nor a map of sharded weights",
        where=where,
        expected="members class_name and config, or weight_map",
        found=sorted(document)[:5],
    )


def shard_names(file: IO[bytes], *, where: str) -> list[str]:
    """Return the names of the shards that a ``.weights.json`` map refers to, sorted.

    The map's values are a shard's name or a list of them (ShardedH5IOStore in
    keras/src/saving/saving_lib.py).

    Raises:
        UnrecognizedFormatError: it is no such map, or a name is a path.
    """
    weight_map = _parse(file, where).get("weight_map")
    if not isinstance(weight_map, dict):
        raise UnrecognizedFormatError("not a map of sharded weights", where=where)
    names = set()
    for value in weight_map.values():
        for name in value if isinstance(value, list) else [value]:
            if not isinstance(name, str) or "/" in name or "\\" in name or name in ("", ".", ".."):
                raise UnrecognizedFormatError(
                    "a shard must lie beside its map", where=where, found=repr(name)
                )
            names.add(name)
    return sorted(names)


def _parse(file: IO[bytes], where: str) -> dict[str, Any]:
    data = file.read(_MAX_JSON + 1)
    if len(data) > _MAX_JSON:
        raise UnrecognizedFormatError(
            "too large", where=where, expected=f"at most {_MAX_JSON} bytes of JSON"
        )
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UnrecognizedFormatError(
            "damaged JSON", where=where, found=str(error), hint="Save or copy it again"
        ) from error
    if not isinstance(document, dict):
        raise UnrecognizedFormatError(
            "a JSON file, but no Keras object", where=where, found=type(document).__name__
        )
    return document
