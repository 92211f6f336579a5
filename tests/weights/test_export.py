"""Weights as files that other tools read."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from safetensors import deserialize
from safetensors.numpy import load_file

import remote_models as rm
from remote_models._api._export import export_weights
from remote_models.errors import (
    ArgumentError,
    BucketNotFoundError,
    FormatError,
    IntegrityError,
    MissingDependencyError,
    TensorNotFoundError,
)
from remote_models.remote_model import Weights
from remote_models.storage import Location
from weights.artifacts import Array, flip, opened, same, store_tensors
from weights.published import publish

PLAIN: Mapping[str, Array] = {
    "dense/kernel": np.arange(12, dtype="float32").reshape(3, 4),
    "dense/bias": np.array([1.5, -2.5], "float64"),
    "empty": np.zeros((0, 3), "int8"),
    "scalar": np.array(7, "int64"),
    "flags": np.array([True, False]),
    "half": np.arange(3, dtype="float16"),
    "bytes": np.arange(5, dtype="uint8"),
    "words": np.arange(4, dtype="uint32"),
    "complex": np.array([1 + 2j], "complex64"),
}

SMALL_FLOATS: Mapping[str, Array] = {
    "brain": np.array([1.0, -2.0, 3.5], ml_dtypes.bfloat16),
    "eight": np.array([[1.0, 2.0]], ml_dtypes.float8_e4m3fn),
    "wide": np.array([0.5], ml_dtypes.float8_e5m2),
}

CUTS = {"dense/kernel": ((1, 2), (4,))}


@pytest.fixture(params=["memory", "local"])
def base(request: pytest.FixtureRequest) -> Location:
    location: Location = request.getfixturevalue(f"{request.param}_base")
    return location


def weights_of(base: Location, arrays: Mapping[str, Array]) -> Weights:
    cuts = {name: cut for name, cut in CUTS.items() if name in arrays}
    return opened(base, store_tensors(base, arrays, cuts=cuts, files=2)).weights


def test_safetensors(base: Location, tmp_path: Path) -> None:
    """Held against the package that defines the format; its NumPy has no small floats."""
    arrays = {**PLAIN, **SMALL_FLOATS}
    target = tmp_path / "out.safetensors"
    assert export_weights(weights_of(base, arrays), target) == list(arrays)
    found = dict(deserialize(target.read_bytes()))  # type: ignore[no-untyped-call]
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert tuple(found[name]["shape"]) == array.shape
        assert bytes(found[name]["data"]) == array.tobytes()
    types = {name: entry["dtype"] for name, entry in found.items()}
    assert types["brain"] == "BF16"
    assert types["eight"] == "F8_E4M3"
    assert types["wide"] == "F8_E5M2"
    export_weights(weights_of(base, PLAIN), target)
    loaded = load_file(target)
    assert all(same(loaded[name], array) for name, array in PLAIN.items())


def test_data_of_a_safetensors_file_begin_at_a_multiple_of_eight(
    memory_base: Location, tmp_path: Path
) -> None:
    for length in range(1, 10):
        target = tmp_path / "out.safetensors"
        export_weights(weights_of(memory_base, {"x" * length: np.ones(2)}), target)
        data = target.read_bytes()
        size = int.from_bytes(data[:8], "little")
        assert size % 8 == 0
        assert json.loads(data[8 : 8 + size])["x" * length]["data_offsets"] == [0, 16]
        assert len(data) == 8 + size + 16


def test_npz(base: Location, tmp_path: Path) -> None:
    target = tmp_path / "out.npz"
    assert export_weights(weights_of(base, PLAIN), target) == list(PLAIN)
    with np.load(target) as found:
        assert set(found) == set(PLAIN)
        assert all(same(found[name], PLAIN[name]) for name in PLAIN)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_selection(suffix: str, memory_base: Location, tmp_path: Path) -> None:
    target = tmp_path / f"out{suffix}"
    weights = weights_of(memory_base, {**PLAIN, "text": np.array([b"a"], object)})
    assert export_weights(weights, target, "dense") == ["dense/kernel", "dense/bias"]
    found = np.load(target) if suffix == ".npz" else load_file(target)
    assert set(found) == {"dense/kernel", "dense/bias"}
    assert export_weights(weights, target, lambda t: t.ndim == 0) == ["scalar"]
    assert export_weights(weights, target, []) == []
    with pytest.raises(TensorNotFoundError):
        export_weights(weights, target, "dens")


@pytest.mark.parametrize("name", ["saved_model", "tf_checkpoint", "keras"])
def test_a_checkpoints_description_of_itself_is_no_weight(
    name: str, memory_base: Location, tmp_path: Path
) -> None:
    location = publish(name, memory_base, tmp_path)
    weights = rm.open_model(str(location)).weights
    names = export_weights(weights, tmp_path / "out.safetensors")
    assert set(names) == set(weights) - {"_CHECKPOINTABLE_OBJECT_GRAPH"}
    assert load_file(tmp_path / "out.safetensors").keys() == set(names)


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


FAILURES: Mapping[str, tuple[Mapping[str, Any], str, type[Exception]]] = {
    "text": ({"text": np.array([b"a"], object)}, "out.safetensors", FormatError),
    "text in npz": ({"text": np.array([b"a"], object)}, "out.npz", FormatError),
    "bfloat16 in npz": ({"brain": SMALL_FLOATS["brain"]}, "out.npz", FormatError),
    "complex128": ({"c": np.array([1j])}, "out.safetensors", FormatError),
    "another format": (PLAIN, "out.pt", ArgumentError),
    "no format": (PLAIN, "out", ArgumentError),
    "no folder": (PLAIN, "missing/out.npz", BucketNotFoundError),
}


@pytest.mark.parametrize(("arrays", "target", "error"), FAILURES.values(), ids=FAILURES)
def test_what_cannot_be_written_leaves_no_file(
    arrays: Mapping[str, Array],
    target: str,
    error: type[Exception],
    memory_base: Location,
    tmp_path: Path,
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(error):
        export_weights(weights_of(memory_base, arrays), folder / target)
    assert left(folder) == []


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_a_changed_byte_leaves_the_old_file(
    suffix: str, memory_base: Location, tmp_path: Path
) -> None:
    target = tmp_path / f"out{suffix}"
    manifest = store_tensors(memory_base, PLAIN)
    export_weights(opened(memory_base, manifest).weights, target)
    before = target.read_bytes()
    piece = manifest.tensors[1].pieces[0]
    flip(memory_base.join(piece.file), piece.offset)
    with pytest.raises(IntegrityError, match="dense/bias"):
        export_weights(opened(memory_base, manifest).weights, target)
    assert target.read_bytes() == before
    assert left(tmp_path) == [target.name]


def test_without_ml_dtypes_the_extra_is_named(
    memory_base: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = weights_of(memory_base, {**PLAIN, **SMALL_FLOATS})
    import_module = importlib.import_module

    def without(name: str, package: str | None = None) -> Any:
        if name == "ml_dtypes":
            raise ImportError(name)
        return import_module(name, package)

    monkeypatch.setattr(importlib, "import_module", without)
    for read in (np.asarray, lambda t: t[0], lambda t: t.dtype):
        with pytest.raises(MissingDependencyError, match=r"remote_models\[ml-dtypes\]"):
            read(weights["brain"])
    assert weights["brain"].dtype_name == "bfloat16"
    assert same(np.asarray(weights["dense/kernel"]), PLAIN["dense/kernel"])


def test_the_extra_exists() -> None:
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    assert 'ml-dtypes = ["ml_dtypes' in text
