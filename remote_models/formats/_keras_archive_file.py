"""``.keras`` archives that are made while they are read.

The layout of the archive is in ``_keras_archive``; that of the zip file is the standard
library's, which is shown the weights' size here and never their bytes.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping

from remote_models.formats._keras_archive import WEIGHTS
from remote_models.formats._streamed_file import StreamedFile

__all__ = ["KerasArchiveFile"]

_DESCRIPTOR = b"PK\x07\x08"
"""The signature of a data descriptor (APPNOTE 6.3.10, 4.3.9)."""

_MAX_PLAIN = zipfile.ZIP64_LIMIT
"""Bytes of a member above which the standard library writes its sizes in 64 bits."""


class KerasArchiveFile(StreamedFile):
    """A zip of stored members: the weights, then all other files.

    What a member's checksum is, is known when it has passed; zip has room for it behind
    the member. The weights come first, so that what another date or another optimizer
    changes lies behind them: on S3 less than 5 MiB in front of them could not be sent
    alone.

    Args:
        weights: The weights.
        after: The content of the other files by their names.
    """

    def __init__(self, weights: StreamedFile, after: Mapping[str, bytes]) -> None:
        self._weights = weights
        self._after = after
        head, tail = self._frame(0)
        super().__init__([head, *weights.pieces, tail])
        self._head = head

    def chunks(self) -> Iterator[memoryview]:
        yield memoryview(self._head)
        checksum = 0
        for chunk in self._weights.chunks():
            checksum = zlib.crc32(chunk, checksum)
            yield chunk
        yield memoryview(self._frame(checksum)[1])

    def frozen(self) -> KerasArchiveFile:
        return KerasArchiveFile(self._weights.frozen(), self._after)

    def _frame(self, checksum: int) -> tuple[bytes, bytes]:
        """Return what stands before the bytes of the weights, and what behind them."""
        size = self._weights.size
        zip64 = size > _MAX_PLAIN
        sink = _Sink()
        with zipfile.ZipFile(sink, "w") as archive:
            member = zipfile.ZipInfo(WEIGHTS[0])
            with archive.open(member, "w", force_zip64=zip64):
                head = sink.take()
                sink.skip(size)
            sink.take()  # the descriptor of a member in which nothing was written
            member.CRC, member.file_size, member.compress_size = checksum, size, size
            for name, data in self._after.items():
                archive.writestr(zipfile.ZipInfo(name), data)
        form = "<4sLQQ" if zip64 else "<4sLLL"
        return head, struct.pack(form, _DESCRIPTOR, checksum, size, size) + sink.take()


class _Sink:
    """Takes what is written, and can be told that more was. It cannot seek."""

    def __init__(self) -> None:
        self._position = 0
        self._taken = bytearray()

    def write(self, data: bytes) -> int:
        self._taken += data
        self._position += len(data)
        return len(data)

    def tell(self) -> int:
        return self._position

    def flush(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing is open."""

    def skip(self, count: int) -> None:
        self._position += count

    def take(self) -> bytes:
        taken = bytes(self._taken)
        self._taken.clear()
        return taken
