"""Which files a graph of a SavedModel declares as its assets."""

from __future__ import annotations

from typing import Any

from remote_models.formats._protos import parse_message

__all__ = ["bound_assets", "declared_assets"]

_COLLECTION = b"saved_model_assets"
"""ASSETS_KEY in tensorflow/python/saved_model/constants.py."""


def declared_assets(graph: Any, *, where: str) -> list[Any]:
    """Return every declaration of an asset, also those that TensorFlow passes over."""
    return [*graph.asset_file_def, *_of_collections(graph, where)]


def bound_assets(graph: Any, *, where: str) -> list[Any]:
    """Return the declarations that TensorFlow goes by, each with the node that gets the path.

    Those of the collection, which TensorFlow 1 makes, count where there are no others
    (``get_asset_tensors`` in tensorflow/python/saved_model/loader_impl.py).
    """
    return list(graph.asset_file_def) or _of_collections(graph, where)


def _of_collections(graph: Any, where: str) -> list[Any]:
    return [
        parse_message("AssetFileDef", each.value, where=where)
        for collection in graph.collection_def
        if collection.key == _COLLECTION
        for each in collection.value.any_list.value
    ]
