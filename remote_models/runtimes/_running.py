"""Which package runs which export."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from remote_models.errors import MissingDependencyError

if TYPE_CHECKING:
    from remote_models.runtimes._runtime import Runtime

__all__ = ["EXPORTS", "is_installed", "run_export"]

EXPORTS: Mapping[str, str] = {"litert": "tflite", "onnx": "onnx"}
"""The runtimes that need no framework, in the order of preference, and what each runs.

The words of exports are also those of the extras that install the runtimes.
"""

_PACKAGES = {"litert": "ai_edge_litert", "onnx": "onnxruntime"}


def is_installed(runtime: str) -> bool:
    """Whether the package of a runtime can be imported."""
    package = _PACKAGES[runtime]
    return package in sys.modules or importlib.util.find_spec(package) is not None


def run_export(
    runtime: str, data: bytes, *, num_threads: int | None, manifest_digest: str | None, where: str
) -> Runtime:
    """Return a runtime for the bytes of an export.

    Args:
        runtime: ``litert`` or ``onnx``.
        data: The export.
        num_threads: How many threads a prediction uses; by default as the runtime has it.
        manifest_digest: Of the manifest that vouches for ``data``.
        where: Its URL, for messages.

    Raises:
        FormatError: it is nothing that the runtime can run.
        MissingDependencyError: the runtime is not installed.
    """
    if not is_installed(runtime):
        raise MissingDependencyError(
            f"running a {EXPORTS[runtime]} export needs {_PACKAGES[runtime]}, "
            "which is not installed",
            hint=f"pip install 'remote_models[{EXPORTS[runtime]}]'",
        )
    if runtime == "litert":
        from remote_models.runtimes._litert import LiteRTRuntime

        return LiteRTRuntime(
            data, num_threads=num_threads, manifest_digest=manifest_digest, where=where
        )
    # When it is imported, ONNX Runtime 1.32 of PyPI writes a file into the temporary
    # directory and begins to tell its makers of what it runs; unless this says otherwise.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    from remote_models.runtimes._onnx import ONNXRuntime

    return ONNXRuntime(data, num_threads=num_threads, manifest_digest=manifest_digest, where=where)
