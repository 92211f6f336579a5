"""Checkpoints as TensorFlow and Keras write them: every tensor, bit for bit.

One child process writes them all; here TensorFlow is never imported.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from remote_models.formats._names import SLOT_WORDS, OptimizerNames
from remote_models.formats._string_tensor import decode_strings
from remote_models.formats._tensor_bundle import check_piece, index_checkpoint
from remote_models.tensors import DTYPE_BITS, Role, StoredTensor

PROGRAM = Path(__file__).with_name("tensorflow_checkpoints.py")

PREFIX = "variables/variables"

ENVIRONMENT = {
    "PYTHONPATH": str(PROGRAM.parents[1]),
    "KERAS_BACKEND": "tensorflow",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "-1",
}

CHECKPOINTS = [
    "keras_2_saved_model",
    "keras_2_legacy",
    "keras_2_loss_scale",
    "keras_2_layers",
    "keras_2_text",
    "keras_3_export",
    "keras_3_checkpoint",
    "modules",
    "shards",
    "dtypes",
    "slices",
    "merged",
    "many",
    "tensorflow_1",
]


@dataclass(frozen=True)
class Checkpoint:
    """One checkpoint on disk."""

    folder: Path

    @property
    def sizes(self) -> dict[str, int]:
        files = (path for path in self.folder.rglob("*") if path.is_file())
        return {str(path.relative_to(self.folder)): path.stat().st_size for path in files}

    def read(self, name: str, start: int, stop: int) -> bytes:
        return (self.folder / name).read_bytes()[start:stop]

    def index(self) -> list[StoredTensor]:
        return index_checkpoint(PREFIX, self.sizes, self.read, where=self.folder.name)

    def elements(self, tensor: StoredTensor) -> list[str]:
        """The tensor's bytes in hexadecimal, checked; of strings each one's."""
        pieces = []
        for piece in tensor.pieces:
            data = self.read(piece.file, piece.offset, piece.offset + piece.nbytes)
            check_piece(tensor, piece, data, where=self.folder.name)
            pieces.append(data)
        if tensor.dtype == "string":
            return [text.hex() for text in decode_strings(pieces[0], tensor.size)]
        width = DTYPE_BITS[tensor.dtype] // 8
        whole = np.zeros((*tensor.shape, width), np.uint8)
        for piece, data in zip(tensor.pieces, pieces, strict=True):
            place = tuple(
                slice(start, start + length)
                for start, length in zip(piece.origin, piece.shape, strict=True)
            )
            whole[place] = np.frombuffer(data, np.uint8).reshape(*piece.shape, width)
        return [whole.tobytes().hex()]

    @property
    def expected(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "expected.json").read_text())
        return found


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All checkpoints, written by a child: 15 s, most of them imports."""
    pytest.importorskip("tf_keras", reason="the checkpoints are written by TensorFlow")
    folder = tmp_path_factory.mktemp("checkpoints")
    done = subprocess.run(
        [sys.executable, PROGRAM, folder],
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


def names(tensors: list[StoredTensor], *roles: Role) -> set[str]:
    return {str(tensor.name) for tensor in tensors if tensor.role in roles}


def test_the_list_of_checkpoints_is_complete(written: Path) -> None:
    assert sorted(path.name for path in written.iterdir() if path.is_dir()) == sorted(CHECKPOINTS)


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_every_tensor_equals_what_tensorflow_reads(written: Path, name: str) -> None:
    checkpoint = Checkpoint(written / name)
    expected = checkpoint.expected
    tensors = checkpoint.index()
    for tensor in tensors:
        dtype, shape, elements = expected.pop(tensor.key)
        assert (tensor.dtype, list(tensor.shape)) == (dtype, shape)
        assert checkpoint.elements(tensor) == elements, tensor.key
    assert all(key.startswith("_all_variables/") for key in expected)
    assert len({tensor.name for tensor in tensors}) == len(tensors)


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_little_is_read(written: Path, name: str) -> None:
    checkpoint = Checkpoint(written / name)
    reads = []

    def read(file: str, start: int, stop: int) -> bytes:
        reads.append(file)
        return checkpoint.read(file, start, stop)

    index_checkpoint(PREFIX, checkpoint.sizes, read, where="m")
    assert reads[0] == f"{PREFIX}.index"
    assert len(reads) <= 2


def test_a_saved_model_of_keras_2(written: Path) -> None:
    tensors = Checkpoint(written / "keras_2_saved_model").index()
    assert names(tensors, Role.WEIGHT) == {"d1/kernel", "d1/bias"}
    assert names(tensors, Role.OPTIMIZER) == {
        "optimizer/iteration",
        "optimizer/learning_rate",
        *(
            f"optimizer/{slot}/d1/{name}"
            for slot in ("momentum", "velocity", "velocity_hat")
            for name in ("kernel", "bias")
        ),
    }
    assert names(tensors, Role.METRIC) == {
        f"keras_api/metrics/{place}/{name}/.ATTRIBUTES/VARIABLE_VALUE"
        for place in (0, 1)
        for name in ("total", "count")
    }
    assert names(tensors, Role.OTHER) == {"_CHECKPOINTABLE_OBJECT_GRAPH"}


def test_a_legacy_optimizer(written: Path) -> None:
    tensors = Checkpoint(written / "keras_2_legacy").index()
    assert names(tensors, Role.WEIGHT) == {"d1/kernel", "d1/bias"}
    assert names(tensors, Role.OPTIMIZER) == {
        *(f"optimizer/{name}" for name in ("iteration", "learning_rate", "decay")),
        *(f"optimizer/{name}" for name in ("momentum", "rho")),
        *(
            f"optimizer/{slot}/d1/{name}"
            for slot in ("momentum", "velocity", "average_gradient")
            for name in ("kernel", "bias")
        ),
    }


def test_an_optimizer_is_known_under_any_attribute(written: Path) -> None:
    tensors = Checkpoint(written / "keras_2_loss_scale").index()
    assert names(tensors, Role.WEIGHT) == {"d1/kernel", "d1/bias"}
    assert names(tensors, Role.OPTIMIZER) == {
        *(f"optimizer/{name}" for name in ("iteration", "learning_rate")),
        *(f"optimizer/{name}" for name in ("dynamic_scale", "step_counter")),
        *(f"optimizer/momentum/d1/{name}" for name in ("kernel", "bias")),
    }


def test_nested_layers(written: Path) -> None:
    tensors = Checkpoint(written / "keras_2_layers").index()
    found = names(tensors, Role.WEIGHT)
    assert {
        "embedding/embeddings",
        "attention/query/kernel",
        "attention/attention_output/bias",
        "lstm/lstm_cell/recurrent_kernel",
    } <= found
    assert {tensor.dtype for tensor in tensors if tensor.role is Role.WEIGHT} == {"bfloat16"}


def test_an_export_of_keras_3_has_each_weight_once(written: Path) -> None:
    tensors = Checkpoint(written / "keras_3_export").index()
    assert names(tensors, Role.WEIGHT) == {"stack/d1/kernel", "stack/d1/bias"}
    assert "seed_generator_state" in " ".join(names(tensors, Role.OTHER))


def test_a_checkpoint_of_keras_3(written: Path) -> None:
    tensors = Checkpoint(written / "keras_3_checkpoint").index()
    assert names(tensors, Role.WEIGHT) == {"stack/d1/kernel", "stack/d1/bias"}
    assert names(tensors, Role.OPTIMIZER) == {
        "optimizer/iteration",
        "optimizer/learning_rate",
        *(
            f"optimizer/{slot}/stack/d1/{name}"
            for slot in ("momentum", "velocity")
            for name in ("kernel", "bias")
        ),
    }
    assert "save_counter" in names(tensors, Role.OTHER)


def test_modules(written: Path) -> None:
    checkpoint = Checkpoint(written / "modules")
    tensors = checkpoint.index()
    assert names(tensors, Role.WEIGHT) == {"constant"}
    assert "StateVar" in names(tensors, Role.OTHER)


def test_a_checkpoint_of_tensorflow_1(written: Path) -> None:
    tensors = Checkpoint(written / "tensorflow_1").index()
    assert names(tensors, Role.WEIGHT) == {"dense/kernel"}
    assert {"dense/kernel/Adam", "dense/kernel/Adam_1"} < names(tensors, Role.OPTIMIZER)
    assert names(tensors, Role.OTHER) == {"global_step"}


@pytest.mark.parametrize(("name", "count"), [("shards", 5), ("slices", 4), ("merged", 1)])
def test_tensors_in_slices(written: Path, name: str, count: int) -> None:
    tensors = Checkpoint(written / name).index()
    sliced = [tensor for tensor in tensors if len(tensor.pieces) > 1 or tensor.key == "whole"]
    assert len(sliced) == count
    for tensor in sliced:
        assert sum(math.prod(piece.shape) for piece in tensor.pieces) == tensor.size


OWN = {
    "Nadam": {"momentum_cache", "variable"},  # Keras 3 has no name for it
    "Adafactor": {"kernel", "bias"},  # Keras 3 calls both factors only by their variable
}
"""What optimizers have besides slots, an iteration and a learning rate."""


def test_all_optimizers_of_all_generations_speak_one_language(written: Path) -> None:
    weights = ["d1/kernel", "d1/bias"]
    slots: dict[str, dict[int, set[str]]] = {}
    used = set()
    for optimizer, generation, raw in json.loads((written / "optimizers.json").read_text()):
        rename = OptimizerNames(weights)
        found = {rename(name) for name in raw}
        used |= {part for name in raw for part in name.removesuffix(":0").split("/")}
        assert "optimizer/iteration" in found
        own = {name for name in found if not name.endswith(tuple(f"/{name}" for name in weights))}
        allowed = {"iteration", "learning_rate", "step_counter"} | OWN.get(optimizer, set())
        assert own <= {f"optimizer/{name}" for name in allowed}, (optimizer, generation)
        kept = slots.setdefault(optimizer, {}).setdefault(generation, found - own)
        assert kept == found - own
    for optimizer, generations in slots.items():
        if optimizer == "Adafactor":  # its factors have names in Keras 2 alone
            generations[2] -= {"optimizer/r/d1/kernel", "optimizer/c/d1/kernel"}
        assert len({frozenset(found) for found in generations.values()}) == 1, generations
    assert used >= SLOT_WORDS.keys()  # every row of the table is some optimizer's word
