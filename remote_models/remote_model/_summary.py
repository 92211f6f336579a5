"""A table of an artifact's layers, from its index alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from remote_models.tensors import Role

if TYPE_CHECKING:
    from remote_models.remote_model._weights import RemoteTensor

__all__ = ["summarise"]

_HEADER = ("layer", "variables", "parameters", "bytes")


def summarise(weights: Mapping[str, RemoteTensor]) -> str:
    """Return the table: a line for each layer that has weights, then the totals."""
    layers: dict[str, list[RemoteTensor]] = {}
    others: dict[Role, list[RemoteTensor]] = {}
    for tensor in weights.values():
        if tensor.role is Role.WEIGHT:
            layers.setdefault(tensor.name.rpartition("/")[0] or tensor.name, []).append(tensor)
        else:
            others.setdefault(tensor.role, []).append(tensor)
    rows = [_HEADER, *(_row(name, tensors, detailed=True) for name, tensors in layers.items())]
    rows.append(_row("all weights", [t for tensors in layers.values() for t in tensors]))
    rows += [_row(f"all {role.value} tensors", tensors) for role, tensors in others.items()]
    return _table(rows)


def _row(name: str, tensors: list[RemoteTensor], *, detailed: bool = False) -> tuple[str, ...]:
    shapes = ", ".join(f"{t.name.rpartition('/')[2]} {_shape(t.shape)}" for t in tensors)
    return (
        name,
        shapes if detailed else str(len(tensors)),
        f"{sum(t.size for t in tensors):,}",
        f"{sum(t.nbytes for t in tensors):,}",
    )


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "scalar"


def _table(rows: Iterable[tuple[str, ...]]) -> str:
    rows = list(rows)
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    lines = []
    for name, variables, parameters, nbytes in rows:
        lines.append(
            f"{name:<{widths[0]}}  {variables:<{widths[1]}}  "
            f"{parameters:>{widths[2]}}  {nbytes:>{widths[3]}}"
        )
    lines.insert(1, "-" * len(lines[0]))
    return "\n".join(lines)
