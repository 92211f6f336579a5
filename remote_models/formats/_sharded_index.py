"""The index of sharded weights: a map and the ``.weights.h5`` files that it names.

Layout: ShardedH5IOStore in keras/src/saving/saving_lib.py (Keras 3.15). A tensor is
never split; the variables of one layer may be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import IO, Any

from remote_models.formats._architecture import has_bfloat16_variables
from remote_models.formats._hdf5_index import Index, stored_tensor
from remote_models.formats._hdf5_walk import Skipped, open_hdf5, text_attributes, walk_hdf5
from remote_models.formats._json import shard_names
from remote_models.formats._names import unique_names
from remote_models.formats._numbered_names import name_numbered_tensors
from remote_models.tensors import StoredTensor

__all__ = ["index_sharded"]


def index_sharded(
    weight_map: IO[bytes],
    open_shard: Callable[[str], tuple[IO[bytes], int]],
    *,
    where: str,
    architecture: Mapping[str, Any] | None = None,
) -> Index:
    """Index all the shards that a ``.weights.json`` map names.

    Args:
        weight_map: The map.
        open_shard: Opens a shard by its name, a sibling of the map, and returns it with
            its size. The tensors' pieces name the shard as their file.
        where: The map's name, for messages.
        architecture: The model's configuration, from which variables get their names.

    Raises:
        FormatError: the map or a shard is damaged.
        UnsafeFormatError: two datasets share bytes.
    """
    tensors: dict[str, StoredTensor] = {}
    skipped: list[Skipped] = []
    labels: dict[str, str] = {}
    opaque_is_bfloat16 = architecture is not None and has_bfloat16_variables(architecture)
    for name in shard_names(weight_map, where=where):
        file, size = open_shard(name)
        with file, open_hdf5(file, where=f"{where}: {name}") as root:
            texts = text_attributes(file, root, where=f"{where}: {name}")
            tree = walk_hdf5(
                root, texts, size, where=f"{where}: {name}", opaque_is_bfloat16=opaque_is_bfloat16
            )
        labels |= tree.labels
        skipped += tree.skipped
        for dataset in tree.datasets:
            if dataset.key in tensors:
                skipped.append(Skipped(key=dataset.key, reason=f"it is in {name} once more"))
            else:
                tensors[dataset.key] = stored_tensor(dataset, name, 0)
    named = name_numbered_tensors(list(tensors.values()), labels, architecture)
    return Index(tensors=unique_names(named), skipped=skipped)
