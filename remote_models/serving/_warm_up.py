"""The first prediction, which makes what later ones use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from remote_models.serving._server import ModelServer

if TYPE_CHECKING:
    from remote_models.runtimes import TensorSpec

__all__ = ["warm_up"]


def warm_up(server: ModelServer) -> bool:
    """Predict once with zeros; false where the signature does not say what to feed."""
    with server.use() as model:
        inputs = {spec.name: _zeros(spec) for spec in model.runtime.signature.inputs}
        known = {name: each for name, each in inputs.items() if each is not None}
        if len(known) < len(inputs):
            return False
        server.run(model, known)
        return True


def _zeros(spec: TensorSpec) -> NDArray[Any] | None:
    """Return a batch of one; ``None`` for text, and where another size than the batch is open."""
    if spec.dtype.kind in "OSU" or None in spec.shape[1:]:
        return None
    return np.zeros([1 if size is None else size for size in spec.shape], spec.dtype)
