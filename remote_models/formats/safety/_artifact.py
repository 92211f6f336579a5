"""A whole artifact on this machine, looked at before a framework opens it."""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from remote_models.errors import FormatError
from remote_models.formats._architecture import MAX_ARCHITECTURE_BYTES, without_training
from remote_models.formats._artifact_index import index_artifact
from remote_models.formats._file_slice import FileSlice
from remote_models.formats._format import Format, Recognition
from remote_models.formats._json import shard_names
from remote_models.formats._keras_archive import CONFIG
from remote_models.formats._keras_index import local_header, open_archive
from remote_models.formats._protos import parse_message
from remote_models.formats._saved_model import KERAS_2_METADATA, SAVED_CONFIG, SAVED_MODEL
from remote_models.formats._saved_objects import metadata_of_objects
from remote_models.formats.safety._archive import check_archive
from remote_models.formats.safety._configuration import check_configuration
from remote_models.formats.safety._findings import Finding
from remote_models.formats.safety._graph import check_graphs
from remote_models.formats.safety._hdf5 import check_hdf5, model_attributes

__all__ = ["ArtifactFindings", "check_artifact", "check_files"]

_VARIABLES = "variables/variables"

_CHUNK = 1024 * 1024

_NOT_CHECKED = ("saved_model.cpb", "saved_model.pbtxt")
"""Other forms of a SavedModel's graph that TensorFlow reads."""


class ArtifactFindings:
    """What is wrong with an artifact.

    Attributes:
        unsafe: What is refused, whoever opens it.
        files: Files that layers read by their configuration, if they are made of that.
        foreign: Classes and functions by a path outside of Keras, that nobody has given:
            harmless for who does not import what a configuration names.
    """

    def __init__(self) -> None:
        self.unsafe: list[Finding] = []
        self.files: list[Finding] = []
        self.foreign: list[Finding] = []

    def add_configuration(
        self, text: bytes | str, given: Container[str], where: str, *, compile: bool = True
    ) -> None:
        """Check a configuration in JSON, what the model was compiled with if ``compile``.

        Raises:
            FormatError: it is too large or damaged.
        """
        if len(text) > MAX_ARCHITECTURE_BYTES:
            raise FormatError(
                "the model's configuration is too large",
                where=where,
                expected=f"at most {MAX_ARCHITECTURE_BYTES} bytes of JSON",
            )
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise FormatError(
                "the model's configuration is damaged", where=where, found=str(error)[:200],
                hint="Save or copy it again",
            ) from error  # fmt: skip
        if not compile and isinstance(document, Mapping):
            document = without_training(document)
        found = check_configuration(document, given=given, where=where)
        self.unsafe += found.unsafe
        self.files += found.files
        self.foreign += found.foreign


def check_artifact(
    what: Recognition, path: Path, *, given: Container[str], where: str, compile: bool = True
) -> ArtifactFindings:
    """Look at all of an artifact that a framework is going to make a model of.

    Args:
        what: What it is.
        path: The file or the directory on this machine.
        given: The names of classes and functions that are the caller's own.
        where: Where it came from, for messages.
        compile: Whether the framework is going to compile the model as it was. Keras' own
            loaders drop what the whole model was compiled with otherwise, before they
            look at it (``_model_from_config`` in keras/src/saving/saving_lib.py,
            ``load_model`` in that of tf_keras and in its legacy/saved_model/load.py).

    Raises:
        FormatError: it is damaged, or claims more than it holds.
    """
    found = ArtifactFindings()
    found.unsafe += check_files(what, path, where=where)
    if found.unsafe:  # what is not what it says is not looked at any further
        return found
    if what.format is Format.SAVED_MODEL:
        found.unsafe += _check_graph(path, where)
    for place, text in _configurations(what, path, where):
        found.add_configuration(text, given, place, compile=compile)
    return found


def check_files(what: Recognition, path: Path, *, where: str) -> list[Finding]:
    """Look at the files of an artifact, at configurations and graphs not.

    Args:
        what: What it is.
        path: The file or the directory, or for a checkpoint the prefix, on this machine.
        where: Where it came from, for messages.

    Raises:
        FormatError: it is damaged, or claims more than it holds.
    """
    if what.format is Format.SAVED_MODEL:
        _check_checkpoint(path, _VARIABLES, where, is_needed=False)
    elif what.format is Format.CHECKPOINT:
        _check_checkpoint(path.parent, path.name, where, is_needed=True)
    if what.format in (Format.SAVED_MODEL, Format.CHECKPOINT, Format.ARCHITECTURE):
        return []
    if what.format is Format.KERAS:
        return _check_keras(path, where)
    if what.format is Format.KERAS_DIRECTORY:
        return _check_hdf5_files(path, [each.name for each in sorted(path.iterdir())], where)
    if what.format is Format.SHARDED_WEIGHTS:
        with path.open("rb") as file:
            names = shard_names(file, where=where)
        return _check_hdf5_files(path.parent, names, where)
    with path.open("rb") as file:
        return check_hdf5(file, path.stat().st_size, where=where)


def _configurations(what: Recognition, path: Path, where: str) -> Iterator[tuple[str, bytes | str]]:
    """Yield every configuration in an artifact as a framework reads it, and where it stands."""
    if what.format is Format.ARCHITECTURE:
        yield where, path.read_bytes()
    elif what.format is Format.KERAS:
        with path.open("rb") as file, open_archive(file, where) as archive:
            yield f"{where}: {CONFIG}", archive.read(CONFIG)
    elif what.format is Format.KERAS_DIRECTORY:
        yield f"{where}: {CONFIG}", (path / CONFIG).read_bytes()
    elif what.format is Format.H5:
        with path.open("rb") as file:
            for text in model_attributes(file, where=where):
                yield where, text
    elif what.format is Format.SAVED_MODEL and what.has_keras_metadata:
        yield from _saved_configurations(path, where)


def _saved_configurations(path: Path, where: str) -> Iterator[tuple[str, bytes | str]]:
    if (path / KERAS_2_METADATA).is_file():
        place = f"{where}: {KERAS_2_METADATA}"
        data = (path / KERAS_2_METADATA).read_bytes()
        for node in parse_message("SavedMetadata", data, where=place).nodes:
            if node.metadata:
                yield place, node.metadata
    elif (path / SAVED_CONFIG).is_file():
        yield f"{where}: {SAVED_CONFIG}", (path / SAVED_CONFIG).read_bytes()
    elif (path / SAVED_MODEL).is_file():  # before TensorFlow 2.5
        place = f"{where}: {SAVED_MODEL}"
        graph = (path / SAVED_MODEL).read_bytes()
        yield from ((place, each) for each in metadata_of_objects(graph, where=place))


def _check_graph(path: Path, where: str) -> list[Finding]:
    found = [
        Finding(owner=f"file {name!r}", problem=f"is a graph in another form than {SAVED_MODEL}")
        for name in _NOT_CHECKED
        if (path / name).exists()
    ]
    graph = path / SAVED_MODEL
    if graph.is_file():
        found += check_graphs(graph.read_bytes(), where=f"{where}: {SAVED_MODEL}")
    return found


def _check_hdf5_files(folder: Path, names: Sequence[str], where: str) -> list[Finding]:
    found: list[Finding] = []
    for name in names:
        path = folder / name
        if path.suffix == ".npz":
            found.append(_npz(name))
        elif path.suffix == ".h5":
            with path.open("rb") as file:
                found += check_hdf5(file, path.stat().st_size, where=f"{where}: {name}")
    return found


def _check_keras(path: Path, where: str) -> list[Finding]:
    with path.open("rb") as file, open_archive(file, where) as archive:
        found = check_archive(file, archive, where=where)
        if found:  # of what is not what it says, nothing is unpacked
            return found
        for member in archive.infolist():
            if member.filename.endswith(".npz"):
                found.append(_npz(member.filename))
            elif member.filename.endswith(".h5") and "/" not in member.filename:
                with _unpacked(file, archive, member, where) as weights:
                    found += check_hdf5(
                        weights, member.file_size, where=f"{where}: {member.filename}"
                    )
        return found


@contextmanager
def _unpacked(
    file: IO[bytes], archive: zipfile.ZipFile, member: zipfile.ZipInfo, where: str
) -> Iterator[IO[bytes]]:
    """Give a member as a file; one that is compressed is unpacked to the disk."""
    if member.compress_type == zipfile.ZIP_STORED:
        _, start = local_header(file, member, where)
        yield io.BufferedReader(FileSlice(file, start, member.file_size))
        return
    with tempfile.TemporaryFile() as unpacked, archive.open(member) as packed:
        while chunk := packed.read(_CHUNK):
            unpacked.write(chunk)
        unpacked.seek(0)
        yield unpacked


def _npz(name: str) -> Finding:
    return Finding(
        owner=f"member {name!r}", problem="holds arrays in NumPy's format, which may be pickles"
    )


def _check_checkpoint(folder: Path, prefix: str, where: str, *, is_needed: bool) -> None:
    """Hold the index of a checkpoint against its files.

    Raises:
        RemoteModelsError: it is damaged, or claims more than they hold.
    """
    sizes = {
        each.relative_to(folder).as_posix(): each.stat().st_size
        for each in folder.rglob("*")
        if each.is_file()
    }

    def open_file(name: str) -> IO[bytes]:
        return (folder / name).open("rb")

    if is_needed or f"{prefix}.index" in sizes:
        plain = Recognition(format=Format.CHECKPOINT)
        index_artifact(plain, sizes, open_file, name=prefix, where=where)
