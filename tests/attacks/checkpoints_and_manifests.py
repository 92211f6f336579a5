"""Checkpoints, manifests and local files that lead elsewhere."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from formats import bundles
from resealing import resealed

import remote_models as rm
from attacks.attack import BOTH, Built, Canaries, Registry
from attacks.configurations import dense, input_layer, keras_archive, legacy_h5, sequential

__all__ = ["FILES"]

FILES = Registry("file")


def plain(folder: Path, framework: str) -> Path:
    configuration = sequential(input_layer(framework), dense())
    return keras_archive(folder / "m.keras", configuration, framework)


def with_manifest(folder: Path, framework: str, change: Callable[[dict[str, Any]], None]) -> Path:
    path = plain(folder, framework)
    rm.adopt_model(path)
    manifest = path.with_name("m.keras.manifest.json")
    document = json.loads(manifest.read_bytes())
    change(document)
    manifest.write_bytes(resealed(document))
    return path


def _manifest_attack(name: str, match: str, change: Callable[[dict[str, Any]], None]) -> None:
    def build(folder: Path, canaries: Canaries, framework: str) -> Built:
        return Built(url=with_manifest(folder, framework, change))

    FILES.attack(match, error="ManifestError", frameworks=("keras",), name=f"manifest: {name}")(
        build
    )


def _set(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        *parts, last = path.split(".")
        target: Any = document
        for part in parts:
            target = target[int(part) if part.isdigit() else part]
        target[int(last) if last.isdigit() else last] = value

    return change


def _deep(document: dict[str, Any]) -> None:
    inner: Any = []
    for _ in range(400):
        inner = [inner]
    document["metadata"] = {"deep": inner}


def _twice(member: str) -> Callable[[dict[str, Any]], None]:
    return lambda document: document[member].append(document[member][0])


def _overlap(document: dict[str, Any]) -> None:
    first, second = document["tensors"][:2]
    second["offset"] = first["offset"]


for _name, _match, _change in (
    ("path that climbs", "unsafe path", _set("files.0.path", "../m.keras")),
    ("absolute path", "unsafe path", _set("files.0.path", "/etc/passwd")),
    ("file named twice", "twice|duplicate", _twice("files")),
    ("tensor named twice", "twice|overlap", _twice("tensors")),
    ("tensors that overlap", "overlap|malformed|range", _overlap),
    ("range outside of the file", "range|malformed|contradict",
     _set("tensors.0.offset", 1 << 40)),
    ("size without end", "malformed|size|range", _set("files.0.size", 1 << 70)),
    ("nested without end", "nested too deeply", _deep),
):  # fmt: skip
    _manifest_attack(_name, _match, _change)


@FILES.attack("leads out", frameworks=BOTH)
def link_out_of_a_directory(folder: Path, canaries: Canaries, framework: str) -> Built:
    model = folder / "m"
    (model / "assets").mkdir(parents=True)
    configuration = sequential(input_layer(framework), dense())
    (model / "config.json").write_text(json.dumps(configuration))
    (model / "metadata.json").write_text('{"keras_version": "3.15.1"}')
    (model / "model.weights.h5").symlink_to(canaries.secret)
    return Built(url=model)


@FILES.attack("FIFO", error="StorageError", frameworks=BOTH)
def fifo(folder: Path, canaries: Canaries, framework: str) -> Built:
    os.mkfifo(folder / "m.keras")
    return Built(url=folder / "m.keras")


@FILES.attack("FIFO", error="StorageError", frameworks=BOTH)
def fifo_as_a_manifest(folder: Path, canaries: Canaries, framework: str) -> Built:
    path = plain(folder, framework)
    os.mkfifo(folder / "m.keras.manifest.json")
    return Built(url=path)


@FILES.attack("FIFO", error="StorageError", frameworks=("keras",))
def fifo_in_a_directory(folder: Path, canaries: Canaries, framework: str) -> Built:
    (folder / "m").mkdir()
    (folder / "m" / "saved_model.pb").write_bytes(b"")
    os.mkfifo(folder / "m" / "fingerprint.pb")
    return Built(url=folder / "m", verb="adopt_model")


@FILES.attack("device", error="StorageError", frameworks=BOTH)
def device_without_end(folder: Path, canaries: Canaries, framework: str) -> Built:
    (folder / "m.keras").symlink_to("/dev/zero")
    return Built(url=folder / "m.keras")


def _checkpoint(folder: Path, files: bundles.Files) -> Built:
    for name, data in files.contents.items():
        (folder / name).write_bytes(data)
    return Built(url=folder / "ckpt", verb="load_weights")


ONLY_2 = ("tf_keras",)


@FILES.attack("too short", error="IntegrityError", frameworks=ONLY_2)
def checkpoint_of_more_than_there_is(folder: Path, canaries: Canaries, framework: str) -> Built:
    entry = bundles.entry(shape=[1_000_000, 1000])
    return _checkpoint(folder, bundles.bundle({b"a": entry}, b"1234"))


@FILES.attack("", error="FormatError", frameworks=ONLY_2)
def checkpoint_whose_shape_overflows(folder: Path, canaries: Canaries, framework: str) -> Built:
    entry = bundles.entry(shape=[1 << 33, 1 << 33], size=4)
    return _checkpoint(folder, bundles.bundle({b"a": entry}, b"1234"))


@FILES.attack("overlap", error="FormatError", frameworks=ONLY_2)
def checkpoint_with_one_block_many_times(folder: Path, canaries: Canaries, framework: str) -> Built:
    made = bundles.Table()
    block = made.add(bundles.block_contents([(b"", bundles.header()), (b"a", bundles.entry())]))
    index = made.finish([(b"%05d" % number, block) for number in range(10_000)])
    return _checkpoint(folder, bundles.Files(**{"ckpt.index": index, bundles.SHARD: b""}))


@FILES.attack("outside the file", error="FormatError", frameworks=ONLY_2)
def checkpoint_whose_block_lies_outside(folder: Path, canaries: Canaries, framework: str) -> Built:
    made = bundles.Table()
    handle = bundles.varint(1 << 40) + bundles.varint(1 << 40)
    index = made.finish([(b"a", handle)])
    return _checkpoint(folder, bundles.Files(**{"ckpt.index": index, bundles.SHARD: b""}))


@FILES.attack("twice|vocabulary|reads the file")
def vocabulary_in_a_whole_h5(folder: Path, canaries: Canaries, framework: str) -> Built:
    lookup = {
        "module": "keras.layers", "class_name": "StringLookup", "registered_name": None,
        "config": {"name": "lookup", "vocabulary": str(canaries.secret)},
    }  # fmt: skip
    configuration = sequential(input_layer(framework, (1,), "string"), lookup)
    return Built(url=legacy_h5(folder / "m.h5", configuration, framework))
