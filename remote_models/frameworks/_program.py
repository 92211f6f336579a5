"""A SavedModel run by TensorFlow alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from remote_models.errors import FormatError, MissingDependencyError

if TYPE_CHECKING:
    from remote_models.runtimes import Runtime

__all__ = ["load_program"]

_SERVING_DEFAULT = "serving_default"


def load_program(folder: Path, *, where: str, manifest_digest: str | None) -> Runtime:
    """Return what runs the signature ``serving_default`` of a SavedModel, or its only one.

    Args:
        folder: The SavedModel, which must stay as long as the runtime is used.
        where: Where it came from, for messages.
        manifest_digest: Of the manifest that vouches for it.

    Raises:
        FormatError: it does not say what is to be run.
        MissingDependencyError: TensorFlow is not installed.
    """
    try:
        import tensorflow as tf
    except ImportError as error:
        raise MissingDependencyError(
            "running a SavedModel needs TensorFlow, which is not installed",
            hint="pip install tensorflow",
        ) from error
    from remote_models.frameworks._graph_runtime import GraphRuntime

    # TensorFlow runs what is in the graph: whatever has to be refused is refused before.
    program = tf.saved_model.load(str(folder))
    signatures = getattr(program, "signatures", {})
    names = sorted(signatures)
    if _SERVING_DEFAULT not in names and len(names) != 1:
        raise FormatError(
            "the SavedModel does not say which of its graphs to run", where=where,
            expected=f"a signature {_SERVING_DEFAULT!r}, or just one", found=names,
        )  # fmt: skip
    function = signatures[_SERVING_DEFAULT if _SERVING_DEFAULT in names else names[0]]
    return GraphRuntime("tensorflow", function, program, manifest_digest=manifest_digest)
