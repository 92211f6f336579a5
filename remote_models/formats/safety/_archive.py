"""Zip archives that a framework unpacks: what their members are called, and how large they get.

Zip: APPNOTE 6.3.10, https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT. Of
members that share bytes, grow out of all proportion, lie under two names or outside of
the archive, Keras writes none (CWE-22, CWE-59, CWE-409).
"""

from __future__ import annotations

import stat
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import IO

from remote_models.errors import FormatError
from remote_models.formats._keras_archive import CONFIG, METADATA
from remote_models.formats._keras_index import local_header
from remote_models.formats.safety._findings import Finding, shorten

__all__ = ["check_archive"]

_MAX_MEMBERS = 10_000

_MAX_GROWTH = 64
"""How many times its own size an archive may unpack to; Keras does not compress."""

_FREE = 16 * 1024 * 1024
"""Bytes that any archive may unpack to."""

_MAX_COMPRESSED_JSON = 4 * 1024 * 1024
"""Bytes of JSON that are compressed: in memory it takes some twenty times that."""

_CHUNK = 1024 * 1024

_ENCRYPTED = 0x1 | 0x40 | 0x2000
"""Encryption, strong encryption, masked headers (APPNOTE, 4.4.4)."""

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def check_archive(file: IO[bytes], archive: zipfile.ZipFile, *, where: str) -> list[Finding]:
    """Return what is wrong with the members of an open archive.

    Raises:
        FormatError: it is damaged, or grows out of proportion.
    """
    members = archive.infolist()
    if len(members) > _MAX_MEMBERS:
        raise FormatError(
            "too many members", where=where, expected=f"at most {_MAX_MEMBERS}", found=len(members)
        )
    names = Counter(each.filename.rstrip("/") for each in members)
    found = [
        Finding(owner=f"member {shorten(name)!r}", problem="stands twice in the archive")
        for name, count in names.items()
        if count > 1
    ]
    for member in members:
        found += _check_member(member)
    _check_growth(file, members, where)
    found += _check_overlaps(file, members, where)
    if not found:
        _unpack(archive)
    return found


def _unpack(archive: zipfile.ZipFile) -> None:
    """Read what is compressed to its end: its size and checksum may be made up."""
    for member in archive.infolist():
        if member.compress_type != zipfile.ZIP_STORED:
            with archive.open(member) as packed:
                while packed.read(_CHUNK):
                    pass


def _check_member(member: zipfile.ZipInfo) -> Iterator[Finding]:
    owner = f"member {shorten(member.filename)!r}"
    original = getattr(member, "orig_filename", member.filename)
    parts = original.replace("\\", "/").split("/")
    if not parts[0] or ".." in parts or "\\" in original or "\0" in original or ":" in parts[0]:
        yield Finding(owner=owner, problem="lies outside the archive")
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        yield Finding(owner=owner, problem="is a link or a device")
    if member.flag_bits & _ENCRYPTED:
        yield Finding(owner=owner, problem="is encrypted")
    if member.compress_type not in _METHODS:
        yield Finding(owner=owner, problem=f"is compressed by method {member.compress_type}")


def _check_growth(file: IO[bytes], members: Sequence[zipfile.ZipInfo], where: str) -> None:
    size = file.seek(0, 2)
    most = max(_MAX_GROWTH * size, _FREE)
    total = sum(each.file_size for each in members)
    large = next((each for each in members if _is_large_json(each)), None)
    stored = [each for each in members if each.compress_type == zipfile.ZIP_STORED]
    lying = next((each for each in stored if each.file_size != each.compress_size), None)
    if total > most or large is not None or lying is not None:
        raise FormatError(
            "the archive would grow out of all proportion when it is unpacked",
            where=where if large is None else f"{where}: {large.filename}",
            expected=f"at most {most if large is None else _MAX_COMPRESSED_JSON} bytes",
            found=f"{total if large is None else large.file_size} bytes in {size}",
            hint="Load it with Keras where you trust it, and save it again",
        )


def _is_large_json(member: zipfile.ZipInfo) -> bool:
    return (
        member.filename in (CONFIG, METADATA)
        and member.compress_type != zipfile.ZIP_STORED
        and member.file_size > _MAX_COMPRESSED_JSON
    )


def _check_overlaps(
    file: IO[bytes], members: Sequence[zipfile.ZipInfo], where: str
) -> Iterator[Finding]:
    """Yield members that share bytes or are another one's by their own header."""
    places = []
    for member in members:
        name, start = local_header(file, member, where)
        if name != member.filename:
            yield Finding(
                owner=f"member {shorten(member.filename)!r}",
                problem=f"is called {shorten(name)!r} by its own header",
            )
        places.append((member.header_offset, start + member.compress_size, member.filename))
    for before, after in pairwise(sorted(places)):
        if after[0] < before[1]:
            yield Finding(
                owner=f"members {shorten(before[2])!r} and {shorten(after[2])!r}",
                problem="share bytes",
            )
