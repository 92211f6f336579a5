"""Whatever the bytes are: a recognition or an error of our own, and soon."""

from __future__ import annotations

import io
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remote_models.errors import FormatError, UnrecognizedFormatError
from remote_models.formats import Recognition, recognise_file, shard_names

SAMPLES = Path(__file__).parent / "samples"
FILES = sorted(
    path
    for folder in SAMPLES.glob("*keras-*")
    for path in folder.rglob("*")
    if path.is_file() and path.suffix in (".keras", ".h5", ".json")
)
NAMES = [path.relative_to(SAMPLES).as_posix() for path in FILES]
HEADS = [
    b"",
    b"\x89HDF\r\n\x1a\n",
    b"PK\x03\x04",
    b"PK\x05\x06",
    b'{"weight_map": ',
    b"\x80\x04",
    b'{"class_name": "Sequential", "config": ',
]


def outcome(data: bytes) -> Recognition | FormatError:
    found: Recognition | FormatError
    try:
        found = recognise_file(io.BytesIO(data), where="here")
    except FormatError as error:
        found = error
    assert isinstance(found, Recognition) or len(str(found).splitlines()) == 1
    return found


def test_samples_are_found() -> None:
    assert len(FILES) >= 12


@settings(deadline=None)  # a busy machine is no failure
@given(head=st.sampled_from(HEADS), tail=st.binary(max_size=400))
def test_any_bytes(head: bytes, tail: bytes) -> None:
    outcome(head + tail)


@settings(deadline=None)
@given(data=st.binary(max_size=300))
def test_any_map_of_shards(data: bytes) -> None:
    for content in (data, b'{"weight_map": ' + data):
        try:
            names = shard_names(io.BytesIO(content), where="here")
        except UnrecognizedFormatError:
            continue
        assert not any("/" in name for name in names)


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from([name for name in NAMES if not name.endswith(".h5")]),
    seed=st.integers(0, 2**32),
    count=st.integers(1, 64),
)
def test_any_bytes_changed(name: str, seed: int, count: int) -> None:
    """Most of them in the first kilobytes, where the structure is."""
    data = bytearray((SAMPLES / name).read_bytes())
    choose = random.Random(seed)
    for _ in range(count):
        end = len(data) if choose.random() < 0.3 else min(len(data), 2048)
        data[choose.randrange(end)] = choose.randrange(256)
    outcome(bytes(data))


def test_any_bytes_of_hdf5_changed() -> None:
    """In other processes, because libhdf5 could take this one with it."""
    program = Path(__file__).with_name("mutations.py")
    ended = subprocess.run(
        [sys.executable, program, "0", "1500"],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert ended.stdout.splitlines() == []


@settings(max_examples=40, deadline=None)
@given(name=st.sampled_from(NAMES), share=st.floats(0, 1, exclude_max=True))
def test_any_truncation(name: str, share: float) -> None:
    data = (SAMPLES / name).read_bytes()
    found = outcome(data[: int(len(data) * share)])
    if name.endswith((".keras", ".json")):
        assert isinstance(found, UnrecognizedFormatError)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_truncated_file_is_said_to_be_damaged(name: str, share: float) -> None:
    data = (SAMPLES / name).read_bytes()
    with pytest.raises(UnrecognizedFormatError, match=r"damaged|copy it again"):
        recognise_file(io.BytesIO(data[: int(len(data) * share)]), where="here")


@pytest.mark.parametrize("name", NAMES)
def test_emptied_file(name: str) -> None:
    """Its size is left, its content is gone, as after a power cut."""
    with pytest.raises(UnrecognizedFormatError):
        recognise_file(io.BytesIO(bytes((SAMPLES / name).stat().st_size)), where="here")
