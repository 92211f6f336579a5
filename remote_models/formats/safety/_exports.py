"""An export, looked at before its runtime takes it."""

from __future__ import annotations

from remote_models.formats.safety._findings import Finding
from remote_models.formats.safety._onnx import check_onnx
from remote_models.formats.safety._tflite import check_tflite

__all__ = ["check_export"]

_CHECKS = {"onnx": check_onnx, "tflite": check_tflite}


def check_export(kind: str, data: bytes, *, where: str) -> list[Finding]:
    """Return what an export does that reaches outside of itself.

    Args:
        kind: ``tflite`` or ``onnx``.
        data: Its bytes.
        where: Its URL, for messages.

    Raises:
        FormatError: it is no such export, or a damaged one.
    """
    return _CHECKS[kind](data, where=where)
