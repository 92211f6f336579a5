"""SHA-256 digests, written ``sha256:<64 hexadecimal digits>``.

SHA-256 (FIPS 180-4) is what ``sha256sum`` prints, so that anybody can check a
manifest without this library.
"""

from __future__ import annotations

import hashlib
import re
from collections import deque
from collections.abc import Iterable, Sequence

from remote_models.errors import ArgumentError

__all__ = [
    "FileHasher",
    "format_digest",
    "gaps_between",
    "is_sha256",
    "parse_digest",
    "sha256_hex",
]

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


def gaps_between(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int | None]]:
    """Return ``(start, stop)`` of what lies in none of some ranges, in order.

    The last one begins behind all ranges and has no end: ``stop`` is ``None``.

    Args:
        ranges: ``(offset, nbytes)`` of each; any may overlap.
    """
    gaps: list[tuple[int, int | None]] = []
    start = 0
    for offset, nbytes in sorted(ranges):
        if nbytes and offset > start:
            gaps.append((start, offset))
        start = max(start, offset + nbytes) if nbytes else start
    return [*gaps, (start, None)]


class FileHasher:
    """Hashes a file as its bytes pass: the whole, blocks of some ranges, and the rest.

    Args:
        ranges: ``(offset, nbytes)`` of each range, none overlapping another.
        block_size: Bytes per block; a range's blocks are counted from its first byte,
            and its last block may be shorter.
        apart: Further ranges that do not belong to the rest; any may overlap.
    """

    def __init__(
        self,
        ranges: Sequence[tuple[int, int]] = (),
        *,
        block_size: int = 1,
        apart: Sequence[tuple[int, int]] = (),
    ) -> None:
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
        self._rest = hashlib.sha256()
        self._gaps = deque(gaps_between([*ranges, *apart]))
        self._has_rest = len(self._gaps) > 1 or self._gaps[0] != (0, None)

    def update(self, data: bytes | memoryview) -> None:
        """Take the next bytes of the file."""
        self.update_whole(data)
        self.update_ranges(data)

    def update_whole(self, data: bytes | memoryview) -> None:
        """Take the next bytes for the digest of the whole alone."""
        self._whole.update(data)

    def update_ranges(self, data: bytes | memoryview) -> None:
        """Take the next bytes for the digests of the blocks and of the rest alone.

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
        if self._has_rest:
            self._take_rest(view, stop)
        self._position = stop

    def sha256(self) -> str:
        """Return the digest of all bytes so far, as hexadecimal digits."""
        return self._whole.hexdigest()

    def rest_sha256(self) -> str | None:
        """Return the digest of what lies in no range, or ``None`` if that is the whole file."""
        return self._rest.hexdigest() if self._has_rest else None

    def blocks(self, index: int) -> bytes:
        """Return the SHA-256 of each block of a range, 32 bytes each, one after the other."""
        return bytes(self._digests[index])

    def _take_rest(self, view: memoryview, stop: int) -> None:
        """Hash the parts of ``view`` that lie in no range."""
        while self._gaps:
            first, end = self._gaps[0]
            if first >= stop:
                return
            upto = stop if end is None else min(end, stop)
            at = max(first, self._position)
            self._rest.update(view[at - self._position : upto - self._position])
            if end is None or end > stop:
                return
            self._gaps.popleft()

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
