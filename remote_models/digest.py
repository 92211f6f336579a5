"""SHA-256 digests, written ``sha256:<64 hexadecimal digits>``.

SHA-256 (FIPS 180-4) is what ``sha256sum`` prints, so that anybody can check a
manifest without this library.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from remote_models.errors import ArgumentError

__all__ = ["FileHasher", "format_digest", "is_sha256", "parse_digest", "sha256_hex"]

_HEX = re.compile(r"[0-9a-f]{64}")


def sha256_hex(data: bytes | bytearray | memoryview) -> str:
    """Return the SHA-256 of ``data`` as 64 lower-case hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def is_sha256(text: object) -> bool:
    """Say whether ``text`` is 64 lower-case hexadecimal digits."""
    return isinstance(text, str) and _HEX.fullmatch(text) is not None


def format_digest(sha256: str) -> str:
    """Write hexadecimal digits as a digest; the inverse of :func:`parse_digest`."""
    return f"sha256:{sha256}"


def parse_digest(digest: str) -> str:
    """Return the hexadecimal digits of ``sha256:<hex>``.

    Raises:
        ArgumentError: ``digest`` has another form.
    """
    algorithm, _, digits = str(digest).partition(":")
    if algorithm != "sha256" or not is_sha256(digits):
        raise ArgumentError(
            "not a digest",
            expected="sha256: and 64 lower-case hexadecimal digits",
            found=repr(digest),
        )
    return digits


class FileHasher:
    """Hashes a file as its bytes pass: the whole of it, and blocks of some ranges.

    Args:
        ranges: ``(offset, nbytes)`` of each range, none overlapping another.
        block_size: Bytes per block; a range's blocks are counted from its first byte,
            and its last block may be shorter.
    """

    def __init__(self, ranges: Sequence[tuple[int, int]] = (), *, block_size: int = 1) -> None:
        self._whole = hashlib.sha256()
        self._block_size = block_size
        self._order = sorted(
            (index for index in range(len(ranges)) if ranges[index][1]),
            key=lambda index: ranges[index],
        )
        self._ranges = ranges
        self._digests: list[bytearray] = [bytearray() for _ in ranges]
        self._next = 0
        self._position = 0
        self._block = hashlib.sha256()

    def update(self, data: bytes | memoryview) -> None:
        """Take the next bytes of the file."""
        self.update_whole(data)
        self.update_ranges(data)

    def update_whole(self, data: bytes | memoryview) -> None:
        """Take the next bytes for the digest of the whole alone."""
        self._whole.update(data)

    def update_ranges(self, data: bytes | memoryview) -> None:
        """Take the next bytes for the digests of the blocks alone.

        With :meth:`update_whole` in another thread this is :meth:`update` at twice the speed.
        """
        view = memoryview(data)
        stop = self._position + len(view)
        while self._next < len(self._order):
            index = self._order[self._next]
            offset, nbytes = self._ranges[index]
            if offset >= stop:
                break
            self._take(index, view)
            if offset + nbytes > stop:
                break
            self._next += 1
        self._position = stop

    def sha256(self) -> str:
        """Return the digest of all bytes so far, as hexadecimal digits."""
        return self._whole.hexdigest()

    def blocks(self, index: int) -> bytes:
        """Return the SHA-256 of each block of a range, 32 bytes each, one after the other."""
        return bytes(self._digests[index])

    def _take(self, index: int, view: memoryview) -> None:
        """Hash the part of ``view`` that lies in a range, block by block."""
        offset, nbytes = self._ranges[index]
        at = max(offset, self._position)
        end = min(offset + nbytes, self._position + len(view))
        while at < end:
            block_end = min(
                offset + ((at - offset) // self._block_size + 1) * self._block_size,
                offset + nbytes,
            )
            upto = min(block_end, end)
            self._block.update(view[at - self._position : upto - self._position])
            if upto == block_end:
                self._digests[index] += self._block.digest()
                self._block = hashlib.sha256()
            at = upto
