"""HDF5 files that lead to other files, or claim what they do not hold."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from attacks.attack import BOTH, Built, Canaries, Registry
from attacks.configurations import dense, input_layer, legacy_h5, sequential, weights

__all__ = ["HDF5_FILES"]

HDF5_FILES = Registry("hdf5")

KERNEL = "layers/dense/vars/0"
LEGACY = "model_weights/dense/dense/kernel:0"


def external_link(file: h5py.File, key: str, canaries: Canaries) -> None:
    file[key] = h5py.ExternalLink(str(canaries.secret), "/data")


def soft_link(file: h5py.File, key: str, canaries: Canaries) -> None:
    file[key] = h5py.SoftLink("/elsewhere")


def link_to_a_fifo(file: h5py.File, key: str, canaries: Canaries) -> None:
    fifo = Path(file.filename).with_name("fifo")
    os.mkfifo(fifo)
    file[key] = h5py.ExternalLink(str(fifo), "/data")


def external_storage(file: h5py.File, key: str, canaries: Canaries) -> None:
    file.create_dataset(
        key, (4, 2), "float32", external=[(str(canaries.secret), 0, h5py.h5f.UNLIMITED)]
    )


def virtual_dataset(file: h5py.File, key: str, canaries: Canaries) -> None:
    layout = h5py.VirtualLayout((4, 2), "float32")
    layout[:] = h5py.VirtualSource(str(canaries.secret), "data", shape=(4, 2))
    file.create_virtual_dataset(key, layout)


def unknown_filter(file: h5py.File, key: str, canaries: Canaries) -> None:
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_chunk((4, 2))
    plan.set_filter(305, h5py.h5z.FLAG_OPTIONAL, (0,))
    space = h5py.h5s.create_simple((4, 2))
    parent, _, name = key.rpartition("/")
    h5py.h5d.create(file[parent].id, name.encode(), h5py.h5t.IEEE_F32LE, space, plan)


def shape_without_elements(file: h5py.File, key: str, canaries: Canaries) -> None:
    file.create_dataset(key, (60_000, 60_000), "float32")


def chunks_of_zeros(file: h5py.File, key: str, canaries: Canaries) -> None:
    file.create_dataset(key, (100_000, 10_000), "float32", chunks=(1000, 1000), compression="gzip")


ATTACKS: dict[Callable[[h5py.File, str, Canaries], None], tuple[str, str]] = {
    external_link: ("is a link", "UnsafeFormatError"),
    soft_link: ("is a link", "UnsafeFormatError"),
    link_to_a_fifo: ("is a link", "UnsafeFormatError"),
    external_storage: ("in another file", "UnsafeFormatError"),
    virtual_dataset: ("in other datasets", "UnsafeFormatError"),
    unknown_filter: ("filter 305", "UnsafeFormatError"),
    shape_without_elements: ("claim more", "FormatError"),
    chunks_of_zeros: ("claim more", "FormatError"),
}


def _whole(change: Callable[[h5py.File, str, Canaries], None]) -> Callable[..., Built]:
    def build(folder: Path, canaries: Canaries, framework: str) -> Built:
        path = legacy_h5(folder / "m.h5", sequential(input_layer(framework), dense()), framework)
        return Built(url=_changed(path, LEGACY, change, canaries))

    return build


def _weights(change: Callable[[h5py.File, str, Canaries], None]) -> Callable[..., Built]:
    def build(folder: Path, canaries: Canaries, framework: str) -> Built:
        path = folder / "m.weights.h5"
        path.write_bytes(weights())
        return Built(url=_changed(path, KERNEL, change, canaries), verb="load_weights")

    return build


def _changed(
    path: Path,
    key: str,
    change: Callable[[h5py.File, str, Canaries], None],
    canaries: Canaries,
) -> Path:
    with h5py.File(path, "a") as file:
        del file[key]
        change(file, key, canaries)
        file["elsewhere"] = np.zeros((4, 2), "float32")
    return path


for _change, (_match, _error) in ATTACKS.items():
    _name = _change.__name__.replace("_", " ")
    HDF5_FILES.attack(_match, error=_error, frameworks=BOTH, name=f"{_name} (.h5)")(_whole(_change))
    HDF5_FILES.attack(_match, error=_error, frameworks=BOTH, name=f"{_name} (.weights.h5)")(
        _weights(_change)
    )
