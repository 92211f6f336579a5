"""Where a model's configuration lies inside its files, as a plain range of bytes."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable, Collection, Iterator
from typing import IO

from remote_models.documents import (
    KERAS_METADATA,
    MODEL_CONFIG,
    TRAINING_CONFIG,
    StoredDocument,
)
from remote_models.formats._architecture import MAX_ARCHITECTURE_BYTES
from remote_models.formats._format import Format
from remote_models.formats._hdf5_walk import address_of, open_hdf5, text_attributes
from remote_models.formats._keras_archive import CONFIG, METADATA, WEIGHTS
from remote_models.formats._keras_index import data_offset, open_archive
from remote_models.formats._saved_model import (
    EXTRA_FOLDER,
    KERAS_2_METADATA,
    SAVED_MODEL,
    holds_keras_3,
)
from remote_models.formats._saved_objects import root_metadata

__all__ = ["find_documents"]


_NO_DOCUMENTS = {METADATA, *WEIGHTS}


def find_documents(
    format: Format,
    names: Collection[str],
    open_file: Callable[[str], IO[bytes]],
    *,
    name: str,
    where: str,
) -> list[StoredDocument]:
    """Return the ranges that hold the configuration of an artifact.

    Args:
        format: What the artifact is.
        names: The relative paths of its files.
        open_file: Opens one of them for reading.
        name: The path of the file that the artifact is named after.
        where: Its URL, for messages.

    Raises:
        FormatError: a file is damaged.
    """
    if format is Format.SAVED_MODEL:
        return list(_in_saved_model(names, open_file, where))
    if format is Format.KERAS_DIRECTORY:
        return [_whole(open_file, CONFIG, MODEL_CONFIG)]
    if format is Format.ARCHITECTURE:
        return [_whole(open_file, name, MODEL_CONFIG)]
    if format is Format.KERAS:
        with open_file(name) as file:
            return list(_in_archive(file, name, where))
    if format is Format.H5:
        with open_file(name) as file:
            return list(_in_hdf5(file, name, where))
    return []


def _in_saved_model(
    names: Collection[str], open_file: Callable[[str], IO[bytes]], where: str
) -> Iterator[StoredDocument]:
    if KERAS_2_METADATA in names:
        yield _whole(open_file, KERAS_2_METADATA, KERAS_METADATA)
    elif holds_keras_3(names):
        for path in sorted(names):
            member = path.removeprefix(f"{EXTRA_FOLDER}/")
            if member not in (path, METADATA):
                yield _whole(open_file, path, MODEL_CONFIG if member == CONFIG else member)
    elif SAVED_MODEL in names:
        with open_file(SAVED_MODEL) as file:
            found = root_metadata(file, where=f"{where}: {SAVED_MODEL}")
        if found is not None:
            yield _document(MODEL_CONFIG, SAVED_MODEL, *found)


def _document(kind: str, path: str, offset: int, data: bytes) -> StoredDocument:
    return StoredDocument(
        name=kind,
        file=path,
        offset=offset,
        nbytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
    )


def _whole(open_file: Callable[[str], IO[bytes]], path: str, kind: str) -> StoredDocument:
    with open_file(path) as file:
        return _document(kind, path, 0, file.read())


def _in_archive(file: IO[bytes], path: str, where: str) -> Iterator[StoredDocument]:
    """Find the configuration and whatever else is there, such as vocabularies.

    Of a compressed member no plain range holds the content: an empty one stands for it.
    """
    size = file.seek(0, io.SEEK_END)
    with open_archive(file, where) as archive:
        for member in archive.infolist():
            if member.filename in _NO_DOCUMENTS or member.filename.endswith("/"):
                continue
            if member.compress_type != zipfile.ZIP_STORED:
                yield _document(member.filename, path, member.header_offset, b"")
                continue
            offset = data_offset(file, member, size, where)
            file.seek(offset)
            kind = MODEL_CONFIG if member.filename == CONFIG else member.filename
            yield _document(kind, path, offset, file.read(member.file_size))


def _in_hdf5(file: IO[bytes], path: str, where: str) -> Iterator[StoredDocument]:
    with open_hdf5(file, where=where) as root:
        texts = text_attributes(file, root, where=where)
        for kind in (MODEL_CONFIG, TRAINING_CONFIG):
            place = texts.locate(address_of(root.id), kind, limit=MAX_ARCHITECTURE_BYTES)
            if place is not None:
                offset, nbytes = place
                file.seek(offset)
                yield _document(kind, path, offset, file.read(nbytes))
