"""The index of ``.keras`` archives: HDF5 inside a stored member of a zip file.

Zip: APPNOTE 6.3.10, https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from remote_models.errors import FormatError, RemoteModelsError
from remote_models.formats._architecture import MAX_ARCHITECTURE_BYTES, parse_architecture
from remote_models.formats._file_slice import FileSlice
from remote_models.formats._hdf5_index import Index, index_hdf5
from remote_models.formats._keras_archive import CONFIG, WEIGHTS, ZIP_DAMAGE

__all__ = [
    "CompressedWeightsError",
    "architecture_of_keras_archive",
    "data_offset",
    "index_keras_archive",
    "local_header",
    "open_archive",
]


class CompressedWeightsError(FormatError):
    """No plain range of the archive holds a tensor."""


_LOCAL_HEADER = struct.Struct("<4s2xH18xHH")
"""Signature, flags, and the lengths of the name and the extra field (APPNOTE, 4.3.7)."""

_UTF8 = 0x800

_LOCAL_SIGNATURE = b"PK\x03\x04"

_ENCRYPTED = 0x1


def index_keras_archive(file: IO[bytes], path: str, size: int, *, where: str) -> Index:
    """Index the weights inside a ``.keras`` archive, with the archive's configuration.

    Args:
        file: The archive.
        path: What the tensors' pieces name as their file.
        size: The size of the archive.
        where: Its name, for messages.

    Raises:
        FormatError: it is damaged, or its weights are compressed, or not HDF5.
        UnsafeFormatError: two datasets share bytes.
    """
    with open_archive(file, where) as archive:
        member = _weights(archive, where)
        architecture = _architecture(archive, where)
        base = data_offset(file, member, size, where)
    return index_hdf5(
        io.BufferedReader(FileSlice(file, base, member.file_size)),
        path,
        member.file_size,
        where=f"{where}: {member.filename}",
        base=base,
        architecture=architecture,
    )


def architecture_of_keras_archive(file: IO[bytes], *, where: str) -> dict[str, Any] | None:
    """Return the configuration that a ``.keras`` archive holds, ``compile_config`` included.

    Returns:
        The configuration, or ``None`` if the archive holds none.

    Raises:
        FormatError: the archive or the configuration is damaged.
    """
    with open_archive(file, where) as archive:
        return _architecture(archive, where)


@contextmanager
def open_archive(file: IO[bytes], where: str) -> Iterator[zipfile.ZipFile]:
    """Open a zip file for reading, and turn whatever is wrong with it into our errors.

    Raises:
        FormatError: it is damaged.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            yield archive
    except RemoteModelsError:
        raise
    except ZIP_DAMAGE as error:
        raise FormatError(
            "a damaged zip file", where=where, found=str(error), hint="Save or copy it again"
        ) from error


def _architecture(archive: zipfile.ZipFile, where: str) -> dict[str, Any] | None:
    if CONFIG not in archive.namelist():
        return None
    with archive.open(CONFIG) as member:
        data = member.read(MAX_ARCHITECTURE_BYTES + 1)
    return parse_architecture(data, where=f"{where}: {CONFIG}")


def _weights(archive: zipfile.ZipFile, where: str) -> zipfile.ZipInfo:
    name = WEIGHTS[0]
    members = [each for each in archive.infolist() if each.filename == name]
    if len(members) != 1:
        raise FormatError(
            "the archive does not hold its weights in HDF5",
            where=where,
            expected=f"one member {name}",
            found=sorted(archive.namelist())[:5],
            hint="Load it with Keras and save it again",
        )
    member = members[0]
    if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & _ENCRYPTED:
        raise CompressedWeightsError(
            "the weights are compressed or encrypted, so that no tensor can be read by itself",
            where=f"{where}: {name}",
            hint="Load it with Keras and save it again: Keras stores them as they are",
        )
    return member


def data_offset(file: IO[bytes], member: zipfile.ZipInfo, size: int, where: str) -> int:
    """Return where a member's bytes begin.

    The central directory does not tell: the two extra fields may differ in length.
    """
    offset = local_header(file, member, where)[1]
    if offset + member.file_size <= size:
        return offset
    raise _damaged(member, where, f"a file of {size} bytes")


def local_header(file: IO[bytes], member: zipfile.ZipInfo, where: str) -> tuple[str, int]:
    """Return the name that a member has by its own header, and where its bytes begin.

    Raises:
        FormatError: it has no such header.
    """
    file.seek(member.header_offset)
    header = file.read(_LOCAL_HEADER.size)
    if len(header) == _LOCAL_HEADER.size:
        signature, flags, name_size, extra = _LOCAL_HEADER.unpack(header)
        name = file.read(name_size).decode("utf-8" if flags & _UTF8 else "cp437", "replace")
        if signature == _LOCAL_SIGNATURE:
            start: int = member.header_offset + _LOCAL_HEADER.size + name_size + extra
            return name, start
    raise _damaged(member, where, "no header")


def _damaged(member: zipfile.ZipInfo, where: str, found: str) -> FormatError:
    return FormatError(
        "a damaged zip file",
        where=f"{where}: {member.filename}",
        expected=f"{member.file_size} bytes of weights",
        found=found,
        hint="Save or copy it again",
    )
