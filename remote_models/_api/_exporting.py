"""A model's exports, made and tried before anything is published."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from remote_models._api._local_copy import full_disk_named, make_temporary_directory
from remote_models._exports import export_path
from remote_models.errors import ArgumentError, FormatError
from remote_models.publishing import FileSource, local_files

if TYPE_CHECKING:
    from remote_models.frameworks import Framework
    from remote_models.runtimes import Array, Runtime, Signature, TensorSpec

__all__ = ["Exports"]

_RUNTIMES = {"onnx": "onnx", "tflite": "litert"}
"""What runs each export."""

_BATCH = 3
"""Rows of the random input: not one, the size that converters assume where they err."""

_OPEN_LENGTH = 8
"""What other lengths that are open are tried with."""

_SEED = 20
"""Of the random input; the same each time, so that a failure comes again."""

_RELATIVE, _ABSOLUTE = 1e-3, 1e-6
"""How far an output may be off, in parts of the greatest one, and at all.

Runtimes add in another order: in float32 some parts in 10⁶ for each layer.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Exports:
    """Exports of a model, on this machine.

    Attributes:
        folder: Holds each under the word for what it is.
        kinds: What they are.
    """

    folder: Path
    kinds: Sequence[str]

    @classmethod
    def of_model(cls, framework: Framework, model: Any, kinds: Sequence[str]) -> Self:
        """Make exports of a model, and run each on random inputs.

        Args:
            framework: What the model belongs to.
            model: The model.
            kinds: ``tflite``, ``onnx`` or both.

        Raises:
            ArgumentError: a word is unknown.
            FormatError: an export cannot be made, or does not compute what the model does.
            MissingDependencyError: what makes or runs an export is not installed.
            StoreFullError: no space is left for them.
        """
        _check_kinds(kinds)
        folder = make_temporary_directory()
        try:
            with full_disk_named(folder):
                _make(framework, model, kinds, folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return cls(folder=folder, kinds=tuple(kinds))

    def paths(self, file: str | None) -> Mapping[str, str]:
        """Return where each belongs inside an artifact.

        Args:
            file: The name of the file that they are to lie beside, ``None`` in a directory.
        """
        return {kind: export_path(kind, file=file) for kind in self.kinds}

    def files(self, file: str | None) -> Mapping[str, FileSource]:
        """Return their bytes by these paths."""
        return local_files({path: self.folder / kind for kind, path in self.paths(file).items()})

    def close(self) -> None:
        """Remove them from this machine."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _make(framework: Framework, model: Any, kinds: Sequence[str], folder: Path) -> None:
    with framework.runtime(model) as reference:
        inputs = _random_inputs(reference.signature)
        expected = reference.predict(inputs)
    for kind in kinds:
        data = framework.export(model, kind)
        _check(kind, data, inputs, expected)
        (folder / kind).write_bytes(data)


def _check_kinds(kinds: Sequence[str]) -> None:
    if isinstance(kinds, str) or not set(kinds) <= set(_RUNTIMES) or len(set(kinds)) < len(kinds):
        raise ArgumentError(
            "no list of exports", where="exports", expected="some of ('tflite', 'onnx')",
            found=repr(kinds),
        )  # fmt: skip


def _check(
    kind: str, data: bytes, inputs: Mapping[str, Array], expected: Mapping[str, Array]
) -> None:
    """Run an export on the model's inputs, and compare what comes out.

    Raises:
        FormatError: it is something else.
    """
    from remote_models.runtimes import run_export

    runtime = run_export(
        _RUNTIMES[kind], data, num_threads=None, manifest_digest=None, where=f"the {kind} export"
    )
    with_names = _names(runtime)
    if with_names != (sorted(inputs), sorted(expected)):
        raise FormatError(
            f"the {kind} export has other inputs and outputs than the model", where="exports",
            expected=f"{sorted(inputs)} and {sorted(expected)}", found=with_names,
        )  # fmt: skip
    found = runtime.predict(inputs)
    runtime.close()
    for name, right in expected.items():
        if not _is_close(found[name], right):
            raise FormatError(
                f"the {kind} export does not compute what the model does", where=f"output {name}",
                expected=_shown(right), found=_shown(found[name]),
                hint=(
                    "Leave this export out. Layers that draw random numbers when they predict "
                    "cannot be compared"
                ),
            )  # fmt: skip


def _names(runtime: Runtime) -> tuple[list[str], list[str]]:
    signature = runtime.signature
    return (
        sorted(spec.name for spec in signature.inputs),
        sorted(spec.name for spec in signature.outputs),
    )


def _random_inputs(signature: Signature) -> dict[str, Array]:
    import numpy as np

    random = np.random.default_rng(_SEED)
    return {spec.name: _random(random, spec) for spec in signature.inputs}


def _random(random: Any, spec: TensorSpec) -> Array:
    import numpy as np

    lengths = [
        length if length is not None else _BATCH if at == 0 else _OPEN_LENGTH
        for at, length in enumerate(spec.shape)
    ]
    if spec.dtype.kind == "f":
        return np.asarray(random.standard_normal(lengths), spec.dtype)
    if spec.dtype.kind in "iub":  # indices, mostly: every table has a first and a second row
        return np.asarray(random.integers(0, 2, lengths), spec.dtype)
    raise FormatError(
        "a model that takes this cannot be tried on random inputs, so it has no exports",
        where=f"input {spec.name}", found=spec.dtype,
    )  # fmt: skip


def _is_close(found: Array, right: Array) -> bool:
    import numpy as np

    if found.shape != right.shape or found.dtype != right.dtype:
        return False
    if right.dtype.kind != "f":
        return bool(np.array_equal(found, right))
    finite = right[np.isfinite(right)]
    greatest = float(np.abs(finite).max()) if finite.size else 0.0
    return bool(
        np.allclose(found, right, rtol=0, atol=_ABSOLUTE + _RELATIVE * greatest, equal_nan=True)
    )


def _shown(array: Array) -> str:
    first = ", ".join(f"{each:.6g}" for each in array.reshape(-1)[:4].tolist())
    return f"{array.dtype}{list(array.shape)} {first}, …"
