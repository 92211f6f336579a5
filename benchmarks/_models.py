"""The models that are moved: stacks of Dense layers, made once and kept in a folder."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["TINY", "Artifact", "Stack", "make_artifacts"]

_ROOT = Path(__file__).parents[1]
_MEGABYTE = 1_000_000
_FLOAT_BYTES = 4
_DEPTH = 100  # layers one behind the other: Keras follows thousands by recursion, and fails


@dataclass(frozen=True, kw_only=True, slots=True)
class Stack:
    """A functional model of equal Dense layers, each a square kernel and a bias.

    Attributes:
        megabytes: The bytes of all tensors, about, in millions.
        tensors: How many tensors; an even number.
    """

    megabytes: int
    tensors: int

    @property
    def layers(self) -> int:
        """How many layers."""
        return self.tensors // 2

    @property
    def width(self) -> int:
        """Units of each layer."""
        return math.isqrt(self.megabytes * _MEGABYTE // _FLOAT_BYTES // self.layers)

    @property
    def nbytes(self) -> int:
        """The bytes of all tensors."""
        return self.layers * (self.width + 1) * self.width * _FLOAT_BYTES

    @property
    def last_kernel(self) -> str:
        """The name of the tensor that is looked at after a load."""
        return f"dense_{self.layers - 1}/kernel"

    def build(self, *, initializer: str = "glorot_uniform") -> Any:
        """Return the model; ``initializer`` fills its kernels."""
        import keras

        inputs = keras.Input((self.width,))
        outputs = []
        for first in range(0, self.layers, _DEPTH):
            last = inputs
            for number in range(first, min(first + _DEPTH, self.layers)):
                layer = keras.layers.Dense(
                    self.width, kernel_initializer=initializer, name=f"dense_{number}"
                )
                last = layer(last)
            outputs.append(last)
        return keras.Model(inputs, outputs, name="stack")


@dataclass(frozen=True, kw_only=True, slots=True)
class Artifact:
    """A stack in one of the formats, which is the end of the file's name."""

    stack: Stack
    format: str

    @property
    def name(self) -> str:
        """The name of the file."""
        return f"dense-{self.stack.megabytes}mb-{self.stack.tensors}.{self.format}"

    @classmethod
    def from_name(cls, name: str) -> Artifact:
        """Return what a file of that name holds; inverse of :attr:`name`.

        Raises:
            ValueError: it is no such name.
        """
        match = re.fullmatch(r"dense-(\d+)mb-(\d+)\.([a-z0-9.]+)", name)
        if match is None:
            raise ValueError(f"not the name of a stack: {name!r}")
        stack = Stack(megabytes=int(match[1]), tensors=int(match[2]))
        return cls(stack=stack, format=match[3])

    def in_format(self, format: str) -> Artifact:
        """Return the same stack in another format."""
        return Artifact(stack=self.stack, format=format)


TINY = Stack(megabytes=1, tensors=4)
"""What each process moves first, so that first uses are not measured."""


def make_artifacts(artifacts: Iterable[Artifact], folder: Path) -> None:
    """Make what is missing in ``folder``, each file with its manifest beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = sorted(each.name for each in set(artifacts) if not _done(folder / each.name).exists())
    if missing:
        # In a process of its own: models of a gigabyte come and go.
        command = [sys.executable, "-m", "benchmarks._models", str(folder), *missing]
        subprocess.run(command, cwd=_ROOT, check=True)


def _done(path: Path) -> Path:
    return path.with_name(f"{path.name}.done")


def _make(path: Path) -> None:
    import remote_models as rm

    artifact = Artifact.from_name(path.name)
    model = artifact.stack.build()
    if artifact.format == "weights.h5":
        rm.save_weights(model, path)
    elif artifact.format == "safetensors":
        whole = path.with_name(artifact.in_format("weights.h5").name)
        _make(whole)
        rm.export_weights(rm.open_model(whole).weights, path)
    else:
        rm.save_model(model, path)


if __name__ == "__main__":
    for name in sys.argv[2:]:
        _make(Path(sys.argv[1]) / name)
        _done(Path(sys.argv[1]) / name).touch()
