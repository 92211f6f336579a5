"""Zip archives that unpack to other places, to other members, or to more than they are."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from pathlib import Path

import numpy as np

from attacks.attack import Built, Canaries, Registry
from attacks.configurations import dense, input_layer, keras_archive, metadata, sequential, weights

__all__ = ["ARCHIVES"]

ARCHIVES = Registry("archive")


def plain(folder: Path, framework: str) -> Path:
    configuration = sequential(input_layer(framework), dense())
    return keras_archive(folder / "m.keras", configuration, framework)


def with_member(path: Path, name: str, data: bytes, mode: int = 0) -> Path:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(info, data)
    return path


@ARCHIVES.attack("lies outside")
def climbing_member(folder: Path, canaries: Canaries, framework: str) -> Built:
    return Built(url=with_member(plain(folder, framework), "assets/../../../climbed", b"x"))


@ARCHIVES.attack("lies outside")
def absolute_member(folder: Path, canaries: Canaries, framework: str) -> Built:
    return Built(url=with_member(plain(folder, framework), str(canaries.written), b"x"))


@ARCHIVES.attack("lies outside")
def backslashes(folder: Path, canaries: Canaries, framework: str) -> Built:
    return Built(url=with_member(plain(folder, framework), "assets\\..\\..\\climbed", b"x"))


@ARCHIVES.attack("link or a device")
def link_to_a_secret(folder: Path, canaries: Canaries, framework: str) -> Built:
    secret = str(canaries.secret).encode()
    return Built(url=with_member(plain(folder, framework), "assets/dense/x", secret, 0o120777))


@ARCHIVES.attack("twice")
def two_configurations(folder: Path, canaries: Canaries, framework: str) -> Built:
    path = plain(folder, framework)
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo("config.jsoN")
        archive.writestr(info, json.dumps(sequential()))
    path.write_bytes(path.read_bytes().replace(b"config.jsoN", b"config.json"))
    return Built(url=path)


@ARCHIVES.attack("twice|one member|share bytes", error="FormatError")
def two_weights(folder: Path, canaries: Canaries, framework: str) -> Built:
    path = with_member(plain(folder, framework), "model.weights.H5", weights())
    path.write_bytes(path.read_bytes().replace(b"model.weights.H5", b"model.weights.h5"))
    return Built(url=path)


def patched(path: Path, field: int, size: str, value: int, name: bytes) -> Path:
    """Write a field of the central directory's entry for a member (APPNOTE, 4.3.12)."""
    data = bytearray(path.read_bytes())
    at = data.find(b"PK\x01\x02")
    while data[at + 46 : at + 46 + len(name)] != name:
        at = data.find(b"PK\x01\x02", at + 1)
    struct.pack_into(size, data, at + field, value)
    path.write_bytes(data)
    return path


@ARCHIVES.attack("share bytes|called")
def two_members_in_one_place(folder: Path, canaries: Canaries, framework: str) -> Built:
    path = with_member(plain(folder, framework), "assets/a", b"x" * 10)
    return Built(url=patched(path, 42, "<I", 0, b"assets/a"))


@ARCHIVES.attack("encrypted")
def encrypted_member(folder: Path, canaries: Canaries, framework: str) -> Built:
    return Built(url=patched(plain(folder, framework), 8, "<H", 1, b"config.json"))


@ARCHIVES.attack("out of all proportion|damaged", error="FormatError")
def stored_member_of_another_size(folder: Path, canaries: Canaries, framework: str) -> Built:
    path = plain(folder, framework)
    return Built(url=patched(path, 24, "<I", 4_000_000_000, b"model.weights.h5"))


def bomb(folder: Path, framework: str, name: str, data: bytes) -> Path:
    path = folder / "m.keras"
    configuration = sequential(input_layer(framework), dense())
    members = {
        "metadata.json": metadata(framework),
        "config.json": json.dumps(configuration).encode(),
        "model.weights.h5": weights(),
        name: data,
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return path


@ARCHIVES.attack("out of all proportion", error="FormatError")
def bomb_of_zeros(folder: Path, canaries: Canaries, framework: str) -> Built:
    return Built(url=bomb(folder, framework, "model.weights.h5", bytes(300_000_000)))


@ARCHIVES.attack("out of all proportion", error="FormatError")
def bomb_of_json(folder: Path, canaries: Canaries, framework: str) -> Built:
    text = b'{"class_name": "Sequential", "config": [' + b"{}," * 20_000_000 + b"{}]}"
    return Built(url=bomb(folder, framework, "config.json", text))


@ARCHIVES.attack("out of all proportion|damaged", error="FormatError")
def bomb_that_lies(folder: Path, canaries: Canaries, framework: str) -> Built:
    path = bomb(folder, framework, "assets/zeros", bytes(100_000_000))
    return Built(url=patched(path, 24, "<I", 100, b"assets/zeros"), verb="load_model")


@ARCHIVES.attack("compressed by method")
def another_compression(folder: Path, canaries: Canaries, framework: str) -> Built:
    path = plain(folder, framework)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("assets/a", b"x" * 1000, zipfile.ZIP_LZMA)
    return Built(url=path)


@ARCHIVES.attack("NumPy's format")
def weights_that_may_be_pickles(folder: Path, canaries: Canaries, framework: str) -> Built:
    data = io.BytesIO()
    np.savez(data, a=np.array([{"x": 1}], dtype=object))
    path = folder / "m.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", metadata(framework))
        archive.writestr("config.json", json.dumps(sequential(input_layer(framework), dense())))
        archive.writestr("model.weights.npz", data.getvalue())
    return Built(url=path)


@ARCHIVES.attack("too many members", error="FormatError")
def members_without_number(folder: Path, canaries: Canaries, framework: str) -> Built:
    path = plain(folder, framework)
    with zipfile.ZipFile(path, "a") as archive:
        for number in range(10_001):
            archive.writestr(f"assets/{number}", b"")
    return Built(url=path)


@ARCHIVES.attack("pickle")
def a_pickle_by_another_name(folder: Path, canaries: Canaries, framework: str) -> Built:
    path = folder / "m.keras"
    path.write_bytes(b"\x80\x04cos\nsystem\n.")
    return Built(url=path)


@ARCHIVES.attack("PyTorch")
def a_checkpoint_of_pytorch(folder: Path, canaries: Canaries, framework: str) -> Built:
    path = folder / "m.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02cos\nsystem\n.")
    return Built(url=path)
