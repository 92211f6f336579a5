"""The logical dtype of an HDF5 dataset, where plain bytes can be read as one.

What h5py makes of numpy's dtypes: https://docs.h5py.org/en/stable/special.html. Keras
marks bfloat16 by an attribute (H5IOStore in keras/src/saving/saving_lib.py, Keras 3.15).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import h5py

__all__ = ["UnreadableError", "logical_dtype"]

_BOOL_MEMBERS = {b"FALSE": 0, b"TRUE": 1}


class UnreadableError(Exception):
    """The dataset is no tensor that a range of plain bytes could hold; the text says why."""


def logical_dtype(kind: h5py.h5t.TypeID, *, mark: str | None, opaque_is_bfloat16: bool) -> str:
    """Return the dtype, one of ``DTYPE_BITS``.

    Args:
        kind: The type in the file.
        mark: The dataset's attribute ``dtype``.
        opaque_is_bfloat16: Whether two opaque bytes without a mark are bfloat16.

    Raises:
        UnreadableError: it is big-endian, text, or anything else that Keras does not write.
    """
    from h5py import h5t

    if isinstance(kind, h5t.TypeStringID):
        raise UnreadableError("it holds text")
    if isinstance(kind, h5t.TypeOpaqueID):
        return _opaque(kind, mark, opaque_is_bfloat16)
    if isinstance(kind, h5t.TypeEnumID):
        return _enum(kind)
    if isinstance(kind, h5t.TypeCompoundID):
        return _complex(kind)
    if isinstance(kind, h5t.TypeIntegerID):
        return _integer(kind)
    if isinstance(kind, h5t.TypeFloatID):
        return _float(kind)
    raise UnreadableError("its elements are no numbers")


def _opaque(kind: h5py.h5t.TypeOpaqueID, mark: str | None, opaque_is_bfloat16: bool) -> str:
    if kind.get_size() == 2 and (mark == "bfloat16" or (mark is None and opaque_is_bfloat16)):
        return "bfloat16"
    raise UnreadableError(f"nothing says what its elements of {kind.get_size()} opaque bytes are")


def _enum(kind: h5py.h5t.TypeEnumID) -> str:
    if kind.get_nmembers() == 2 and kind.get_size() == 1:
        members = {kind.get_member_name(i): kind.get_member_value(i) for i in range(2)}
        if members == _BOOL_MEMBERS:
            return "bool"
    raise UnreadableError("its elements are an enumeration")


def _complex(kind: h5py.h5t.TypeCompoundID) -> str:
    """Recognise what h5py makes of complex numbers: a pair of floats ``r`` and ``i``."""
    from h5py import h5t

    for part, dtype in ((h5t.IEEE_F32LE, "complex64"), (h5t.IEEE_F64LE, "complex128")):
        size = part.get_size()
        if kind.get_size() != 2 * size or kind.get_nmembers() != 2:
            continue
        members = [
            (kind.get_member_name(i), kind.get_member_offset(i), kind.get_member_type(i) == part)
            for i in range(2)
        ]
        if members == [(b"r", 0, True), (b"i", size, True)]:
            return dtype
    raise UnreadableError("its elements are records")


def _integer(kind: h5py.h5t.TypeIntegerID) -> str:
    from h5py import h5t

    for size in (1, 2, 4, 8):
        for sign, letter in (("int", "I"), ("uint", "U")):
            if kind == getattr(h5t, f"STD_{letter}{8 * size}LE"):
                return f"{sign}{8 * size}"
            # The order of one byte means nothing.
            if size == 1 and kind == getattr(h5t, f"STD_{letter}8BE"):
                return f"{sign}8"
    raise UnreadableError("its integers are big-endian or of an unusual width")


def _float(kind: h5py.h5t.TypeFloatID) -> str:
    from h5py import h5t

    for size in (2, 4, 8):
        if kind == getattr(h5t, f"IEEE_F{8 * size}LE"):
            return f"float{8 * size}"
    raise UnreadableError("its floats are big-endian or of an unusual format")
