"""HDF5 files that are laid out before a byte of a tensor exists.

Space for a dataset is taken when it is made, and nothing is written there
(H5D_ALLOC_TIME_EARLY and H5D_FILL_TIME_NEVER, HDF5 Reference Manual, H5P). So once the
file is closed, all that describes the tensors is final, and each tensor has its place.
"""

from __future__ import annotations

import io
import os
from types import TracebackType
from typing import TYPE_CHECKING, Self

from remote_models.formats._streamed_file import DelayedTensor, StreamedFile

if TYPE_CHECKING:
    import h5py
    from _typeshed import ReadableBuffer, WriteableBuffer

__all__ = ["Hdf5Layout"]

_DELAYED = 4096
"""Bytes from which on a tensor waits for its turn. Smaller ones do not pay for it."""

_PAGE = 4096


class Hdf5Layout:
    """An HDF5 file in the making: groups and attributes as ever, tensors later.

    Used in a ``with`` block; :meth:`file` after it gives the file.

    Attributes:
        root: The file, open for writing.
    """

    root: h5py.File

    def __init__(self) -> None:
        self._image = _SparseFile()
        self._places: list[tuple[int, DelayedTensor]] = []

    def __enter__(self) -> Self:
        import h5py

        self.root = h5py.File(self._image, "w")
        return self

    def add(self, group: h5py.Group, name: str | bytes, tensor: DelayedTensor) -> h5py.Dataset:
        """Make a dataset in ``group`` for ``tensor``, and return it.

        What needs a conversion, such as text, and what is small is written at once.
        """
        if tensor.nbytes < _DELAYED or not _is_plain(tensor):
            return group.create_dataset(name, data=tensor.read())
        dataset = group.create_dataset(name, tensor.shape, tensor.dtype, dcpl=_early())
        self._places.append((dataset.id.get_offset(), tensor))
        return dataset

    def file(self) -> StreamedFile:
        """Return the file, once it is closed."""
        pieces: list[bytes | DelayedTensor] = []
        position = 0
        for offset, tensor in sorted(self._places, key=lambda place: place[0]):
            pieces += [self._image.range(position, offset), tensor]
            position = offset + tensor.nbytes
        pieces.append(self._image.range(position, self._image.size))
        return StreamedFile(pieces)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.root.close()


def _is_plain(tensor: DelayedTensor) -> bool:
    """Whether HDF5 stores the very bytes that NumPy has."""
    return tensor.dtype.kind in "biufc" or (
        # What ml_dtypes adds, such as bfloat16, is opaque to HDF5.
        tensor.dtype.kind == "V" and tensor.dtype.fields is None and tensor.dtype.subdtype is None
    )


def _early() -> h5py.h5p.PropDCID:
    from h5py import h5d, h5p

    plan = h5p.create(h5p.DATASET_CREATE)
    plan.set_layout(h5d.CONTIGUOUS)
    plan.set_alloc_time(h5d.ALLOC_TIME_EARLY)
    plan.set_fill_time(h5d.FILL_TIME_NEVER)
    return plan


class _SparseFile(io.RawIOBase):
    """A file in memory that takes none for what was never written."""

    def __init__(self) -> None:
        super().__init__()
        self.size = 0
        self._pages: dict[int, bytearray] = {}
        self._position = 0

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
        self._position = max(0, origin + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def truncate(self, size: int | None = None, /) -> int:
        self.size = self._position if size is None else size
        return self.size

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        data = self.range(self._position, min(self._position + len(view), self.size))
        view[: len(data)] = data
        self._position += len(data)
        return len(data)

    def write(self, data: ReadableBuffer, /) -> int:
        view = memoryview(data).cast("B")
        done = 0
        while done < len(view):
            page, start = divmod(self._position, _PAGE)
            count = min(_PAGE - start, len(view) - done)
            content = self._pages.setdefault(page, bytearray(_PAGE))
            content[start : start + count] = view[done : done + count]
            done += count
            self._position += count
        self.size = max(self.size, self._position)
        return len(view)

    def range(self, start: int, stop: int) -> bytes:
        """Return the bytes from ``start`` to ``stop`` (not included)."""
        if start >= stop:
            return b""
        first, last = start // _PAGE, (stop - 1) // _PAGE
        nothing = bytes(_PAGE)
        pages = b"".join(self._pages.get(page, nothing) for page in range(first, last + 1))
        return pages[start - first * _PAGE : stop - first * _PAGE]
