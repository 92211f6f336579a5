"""Ranges of a file whose bytes, one after the other, have one digest."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from threading import Lock

from remote_models.storage import ByteRange

__all__ = ["Stretch"]


class Stretch:
    """Ranges of a file, in order, and the SHA-256 of their bytes put together.

    They may come in any order and from several threads: what comes too early is kept
    until its turn, and what comes twice counts once.

    Args:
        file: Its path.
        ranges: In one file, none of them empty.
        sha256: Hexadecimal digits.
        what: What the bytes are, for messages.
    """

    def __init__(self, file: str, ranges: Sequence[ByteRange], sha256: str, what: str) -> None:
        self.file = file
        self.what = what
        self.ranges = ranges
        self._sha256 = sha256
        self._numbers = {each.start: number for number, each in enumerate(ranges)}
        self._hasher = hashlib.sha256()
        self._next = 0
        self._early: dict[int, bytes] = {}
        self._lock = Lock()

    @property
    def missing(self) -> list[ByteRange]:
        """The ranges that have not come yet."""
        with self._lock:
            return [
                each
                for number, each in enumerate(self.ranges)
                if number >= self._next and number not in self._early
            ]

    @property
    def is_right(self) -> bool:
        """Whether all bytes have come and have the digest."""
        with self._lock:
            whole = self._next == len(self.ranges)
            return whole and self._hasher.hexdigest() == self._sha256

    def receive(self, where: ByteRange, data: memoryview) -> None:
        """Take the bytes of one of the ranges; they may change afterwards."""
        with self._lock:
            number = self._numbers[where.start]
            if number != self._next:
                if number > self._next:
                    self._early[number] = bytes(data)
                return
            self._hasher.update(data)
            self._next += 1
            while (early := self._early.pop(self._next, None)) is not None:
                self._hasher.update(early)
                self._next += 1

    def again(self) -> Stretch:
        """Return the same stretch before anything of it has come."""
        return Stretch(self.file, self.ranges, self._sha256, self.what)
