"""Where a stored tensor's bytes lie: what every format's index consists of."""

from remote_models.tensors import DTYPE_BITS, Extent, Piece, Role, StoredTensor, tiles

__all__ = ["DTYPE_BITS", "Extent", "Piece", "Role", "StoredTensor", "tiles"]
