"""Where the datasets of an HDF5 file lie, read without trusting the file.

Only hard links are followed, every object is visited once, and depth, number and
names are limited: a file may link in circles, point outside itself, or claim more than
it holds (CWE-674, CWE-400, CWE-59). Layout: HDF5 File Format Specification,
https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

from remote_models.errors import FormatError, RemoteModelsError, UnsafeFormatError
from remote_models.formats._hdf5_dtype import UnreadableError, logical_dtype
from remote_models.formats._hdf5_guard import GuardedFile
from remote_models.formats._hdf5_text import Texts
from remote_models.tensors import DTYPE_BITS

if TYPE_CHECKING:
    import h5py

__all__ = [
    "Dataset",
    "Hdf5Tree",
    "Skipped",
    "address_of",
    "open_hdf5",
    "text_attributes",
    "walk_hdf5",
]

_DAMAGE = (OSError, RuntimeError, LookupError, ValueError, TypeError, OverflowError, MemoryError)
"""What h5py raises on the way through a damaged file; found by changing bytes of good ones."""

_MAX_LINKS = 250_000
"""Groups and datasets in one file. ResNet50 with Adam has 1,600."""

_MAX_DEPTH = 64
"""Groups inside groups."""

_MAX_KEY = 2_048
"""Characters of one path."""

_MAX_KEYS = 64 * 1024 * 1024
"""Characters of all paths together: a long name of a group is in each path below it."""

_MAX_LABEL = 255
"""Characters of a layer's name or a dtype's."""

_MAX_TEXTS = 64 * 1024 * 1024
"""Bytes of all attributes together: many may share one long text."""

_MAX_PARTS = 1_000
"""Attributes over which one list of names is split, each of some 64 kB."""

_MAX_ELEMENTS = 1 << 62
"""Elements of an empty tensor if its empty dimensions had one: no array can have more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Dataset:
    """A dataset whose elements lie in one range of the file.

    Attributes:
        key: Its path, without a slash in front.
        dtype: The logical dtype.
        shape: Its shape.
        offset: Its first byte in the HDF5 file; 0 for one without elements.
        nbytes: How many bytes.
    """

    key: str
    dtype: str
    shape: tuple[int, ...]
    offset: int
    nbytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Skipped:
    """A part of a file that is not in its index.

    Attributes:
        key: Its name inside the file.
        reason: Why not, in words that follow the name.
    """

    key: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Hdf5Tree:
    """What a walk over a file found.

    Attributes:
        datasets: In the order of the groups, by name.
        skipped: What cannot be read by ranges, or lies elsewhere.
        labels: The attribute ``name`` of every group ``vars``, by the path of the
            group around it: the names of layers in Keras 3's files.
        layers: The attribute ``weight_names`` of every group that has it: the layers
            in legacy files, by the group's path.
        layer_names: The paths of such groups in the order of ``layer_names``.
    """

    datasets: Sequence[Dataset]
    skipped: Sequence[Skipped]
    labels: Mapping[str, str]
    layers: Mapping[str, Sequence[str]]
    layer_names: Sequence[str]


@contextmanager
def open_hdf5(file: IO[bytes], *, where: str) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading, and turn whatever HDF5 says of it into our errors.

    Raises:
        FormatError: it is no HDF5 file, or a damaged one.
    """
    import h5py

    try:
        with h5py.File(GuardedFile(file, where=where), "r") as root:
            yield root
    except RemoteModelsError:
        raise
    except _DAMAGE as error:
        raise FormatError(
            "a damaged HDF5 file", where=where, found=str(error), hint="Save or copy it again"
        ) from error


def text_attributes(file: IO[bytes], root: h5py.File, *, where: str) -> Texts:
    """Return the reader of an open file's text attributes."""
    return Texts(file, base=root.userblock_size, where=where)


def address_of(owner: h5py.h5g.GroupID) -> int:
    """Return the address of an object's header."""
    from h5py import h5o

    return int(h5o.get_info(owner).addr)


def walk_hdf5(
    root: h5py.File,
    texts: Texts,
    size: int,
    *,
    where: str,
    opaque_is_bfloat16: bool = False,
) -> Hdf5Tree:
    """Find every dataset of a file.

    Args:
        root: The open file.
        texts: Its text attributes.
        size: Its size: nothing may lie beyond.
        where: Its name, for messages.
        opaque_is_bfloat16: Whether two opaque bytes without a mark are bfloat16.

    Raises:
        FormatError: a dataset lies outside the file, or there is too much of something.
        UnsafeFormatError: two datasets share bytes.
    """
    walk = _Walk(texts=texts, size=size, where=where, opaque_is_bfloat16=opaque_is_bfloat16)
    walk.visit(root.id, "", 0)
    walk.refuse_overlaps()
    return Hdf5Tree(
        datasets=walk.datasets,
        skipped=walk.skipped,
        labels=walk.labels,
        layers=walk.layers,
        layer_names=walk.layer_names,
    )


@dataclass(kw_only=True)
class _Walk:
    texts: Texts
    size: int
    where: str
    opaque_is_bfloat16: bool
    datasets: list[Dataset] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    layers: dict[str, Sequence[str]] = field(default_factory=dict)
    layer_names: list[str] = field(default_factory=list)
    _visited: set[int] = field(default_factory=set)
    _links: int = 0
    _keys: int = 0
    _texts: int = 0

    def visit(self, group: h5py.h5g.GroupID, path: str, depth: int) -> None:
        """Look at everything in a group, groups inside it included."""
        self._limit(depth, _MAX_DEPTH, "groups inside groups", path)
        self._visited.add(address_of(group))
        weight_names = self._names(group, "weight_names", path)
        if weight_names is not None:
            self.layers[path] = weight_names
        for name in self._names(group, "layer_names", path) or ():
            self.layer_names.append(f"{path}/{name}" if path else name)
        # HDF5 gives all names of a group at once: count them before.
        self._links += group.get_num_objs()
        self._limit(self._links, _MAX_LINKS, "groups and datasets", path)
        for name in sorted(group):
            self._visit_link(group, name, path, depth)

    def refuse_overlaps(self) -> None:
        """Refuse two datasets that share bytes: the sum of their sizes would be a lie."""
        stop, owner = 0, ""
        for dataset in sorted(self.datasets, key=lambda each: each.offset):
            if dataset.nbytes and dataset.offset < stop:
                raise UnsafeFormatError(
                    "two datasets share bytes", where=self.where, found=f"{owner}, {dataset.key}"
                )
            if dataset.nbytes:
                stop, owner = dataset.offset + dataset.nbytes, dataset.key

    def _visit_link(self, group: h5py.h5g.GroupID, name: bytes, path: str, depth: int) -> None:
        from h5py import h5d, h5g, h5l, h5o

        key = self._key(path, name)
        if group.links.get_info(name).type != h5l.TYPE_HARD:
            self._skip(key, "it is a link, and may lead out of the file")
            return
        found = h5o.open(group, name)
        address = h5o.get_info(found).addr
        if address in self._visited:
            self._skip(key, "it is another part of the file under a second name")
            return
        if isinstance(found, h5g.GroupID):
            if name == b"vars":
                self._label(found, path)
            self.visit(found, key, depth + 1)
        elif isinstance(found, h5d.DatasetID):
            self._visited.add(address)
            try:
                self.datasets.append(self._describe(found, key))
            except UnreadableError as reason:
                self._skip(key, str(reason))

    def _key(self, path: str, name: bytes) -> str:
        """Return the path of a member. HDF5 forbids slashes and zeros in a name."""
        try:
            text = name.decode("utf-8")
        except UnicodeDecodeError as error:
            raise FormatError(
                "a name that is not UTF-8", where=self.where, found=repr(name[:80])
            ) from error
        key = f"{path}/{text}" if path else text
        self._limit(len(key), _MAX_KEY, "characters in one name", path)
        self._keys += len(key)
        self._limit(self._keys, _MAX_KEYS, "characters in all names", path)
        return key

    def _label(self, group: h5py.h5g.GroupID, path: str) -> None:
        label = self._text(group, "name", path)
        if label:
            self.labels[path] = label

    def _names(self, group: h5py.h5g.GroupID, name: str, path: str) -> Sequence[str] | None:
        """Return a list of texts, which Keras splits if it is long (``weight_names0``, …)."""
        from h5py import h5a

        parts = [name]
        if not h5a.exists(group, name.encode()):
            parts = list(_numbered(group, name))
        names: list[str] = []
        for part in parts:
            found = self.texts.many(address_of(group), part, limit=_MAX_TEXTS) or ()
            self._count_texts(sum(map(len, found)), path)
            names += found
        return names if parts else None

    def _text(self, owner: h5py.h5g.GroupID, name: str, path: str) -> str | None:
        text = self.texts.one(address_of(owner), name, limit=_MAX_TEXTS)
        self._count_texts(len(text or ""), path)
        return text if text is None or len(text) <= _MAX_LABEL else None

    def _count_texts(self, count: int, path: str) -> None:
        self._texts += count
        self._limit(self._texts, _MAX_TEXTS, "bytes of attributes", path)

    def _describe(self, dataset: h5py.h5d.DatasetID, key: str) -> Dataset:
        from h5py import h5d, h5s

        kind, space = dataset.get_type(), dataset.get_space()
        mark = self._text(dataset, "dtype", key)
        dtype = logical_dtype(kind, mark=mark, opaque_is_bfloat16=self.opaque_is_bfloat16)
        if space.get_simple_extent_type() == h5s.NULL:
            raise UnreadableError("it has no elements and no shape")
        plan = dataset.get_create_plist()
        if plan.get_layout() != h5d.CONTIGUOUS:
            raise UnreadableError("its elements do not lie in one range: save it uncompressed")
        if plan.get_external_count():
            raise UnreadableError("its elements lie in another file")
        shape = tuple(space.get_simple_extent_dims())
        nbytes = math.prod(shape) * DTYPE_BITS[dtype] // 8
        if not nbytes and math.prod(each or 1 for each in shape) > _MAX_ELEMENTS:
            raise UnreadableError("no array can have its shape")
        offset = self._offset(dataset, key, nbytes) if nbytes else 0
        return Dataset(key=key, dtype=dtype, shape=shape, offset=offset, nbytes=nbytes)

    def _offset(self, dataset: h5py.h5d.DatasetID, key: str, nbytes: int) -> int:
        offset = dataset.get_offset()
        if offset is None:
            raise UnreadableError("it was never written")
        if offset < 0 or offset + nbytes > self.size or dataset.get_storage_size() != nbytes:
            raise FormatError(
                "a dataset claims more than the file holds",
                where=f"{self.where}: {key}",
                expected=f"{nbytes} bytes at {offset}",
                found=f"a file of {self.size} bytes",
                hint="Save or copy it again",
            )
        return int(offset)

    def _skip(self, key: str, reason: str) -> None:
        self.skipped.append(Skipped(key=key, reason=reason))

    def _limit(self, count: int, most: int, what: str, path: str) -> None:
        if count > most:
            raise FormatError(
                f"too many {what}",
                where=f"{self.where}: {path}" if path else self.where,
                expected=f"at most {most}",
                found=count,
            )


def _numbered(group: h5py.h5g.GroupID, name: str) -> Iterator[str]:
    from h5py import h5a

    for number in range(_MAX_PARTS):
        part = f"{name}{number}"
        if not h5a.exists(group, part.encode()):
            break
        yield part
