"""Where the bytes lie that belong to no tensor, and which tensor's reading brings them along."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from threading import Lock

from remote_models.digest import gaps_between
from remote_models.manifest import FileEntry, Manifest
from remote_models.remote_model._stretch import Stretch
from remote_models.storage import ByteRange
from remote_models.tensors import Piece

__all__ = ["FileRests", "whole_file"]

_MOST_ALONG = 16 * 1024 * 1024
"""Bytes of a file's rest, at most, that may wait in memory until they are all here."""

_STRUCTURE = "the file's structure, around tensors and documents"

_Place = tuple[str, int]
"""A file and the first byte of a tensor, or of a slice of one, in it."""


class FileRests:
    """The rest of each file that holds tensors: what lies before, between and behind them.

    Structure is scattered in small pieces over a file. So that it costs no requests of
    its own, each gap is read with the tensor before it, or with the first one.

    Args:
        manifest: Of schema 2, which has a digest of each rest.
        most: Bytes of one range at most.
    """

    def __init__(self, manifest: Manifest, most: int) -> None:
        self.stretches: dict[str, Stretch] = {}
        self._along: dict[_Place, list[ByteRange]] = {}
        self._lock = Lock()
        pieces: dict[str, list[Piece]] = {}
        inside: dict[str, list[tuple[int, int]]] = {}
        for piece in (piece for tensor in manifest.tensors for piece in tensor.pieces):
            if piece.nbytes:
                pieces.setdefault(piece.file, []).append(piece)
                inside.setdefault(piece.file, []).append((piece.offset, piece.nbytes))
        for each in manifest.documents:
            if each.nbytes:
                inside.setdefault(each.file, []).append((each.offset, each.nbytes))
        for entry in manifest.files:
            if entry.path in inside and entry.rest_sha256 is not None:
                gaps = [p for gap in _gaps(entry, inside[entry.path]) for p in gap.split(most)]
                self.stretches[entry.path] = Stretch(
                    entry.path, gaps, entry.rest_sha256, _STRUCTURE
                )
                if sum(gap.size for gap in gaps) <= _MOST_ALONG:
                    near = sorted(pieces.get(entry.path, ()), key=lambda piece: piece.offset)
                    self._along |= _with_pieces(gaps, near)

    def take_along(self, pieces: Iterable[Piece]) -> list[ByteRange]:
        """Return what is to be read with these tensors; it is returned once."""
        with self._lock:
            return [
                gap for piece in pieces for gap in self._along.pop((piece.file, piece.offset), ())
            ]

    def receive(self, where: ByteRange, data: memoryview) -> None:
        """Take the bytes of such a range."""
        self.stretches[where.file].receive(where, data)


def whole_file(entry: FileEntry, most: int) -> Stretch:
    """Return all bytes of a file as a stretch."""
    ranges = ByteRange(entry.path, 0, entry.size).split(most) if entry.size else []
    return Stretch(entry.path, ranges, entry.sha256, "the file")


def _gaps(entry: FileEntry, inside: Iterable[tuple[int, int]]) -> Iterator[ByteRange]:
    for start, stop in gaps_between(inside):
        end = entry.size if stop is None else stop
        if start < end:
            yield ByteRange(entry.path, start, end)


def _with_pieces(gaps: list[ByteRange], pieces: list[Piece]) -> Mapping[_Place, list[ByteRange]]:
    """Give each gap to the last piece before it, or to the first one."""
    along: dict[_Place, list[ByteRange]] = {}
    number = 0
    for gap in gaps if pieces else ():
        while number + 1 < len(pieces) and pieces[number + 1].offset < gap.start:
            number += 1
        along.setdefault((gap.file, pieces[number].offset), []).append(gap)
    return along
