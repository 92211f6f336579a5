"""HDF5 files that libhdf5 is to read: they lead to no other file, and claim what they hold.

Links may lead to other files (external links) or anywhere (soft links), datasets may have
their elements in other files (external storage, virtual layouts), filters are programs
that libhdf5 loads by their number from a folder of plugins, and the shape of a dataset
need not have anything to do with what is stored of it (CWE-59, CWE-426, CWE-789). Keras
writes nothing of the kind. Layout: HDF5 File Format Specification 3.0, IV.A.2.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

from remote_models.errors import FormatError
from remote_models.formats._hdf5_walk import address_of, open_hdf5
from remote_models.formats.safety._findings import Finding, shorten

if TYPE_CHECKING:
    import h5py

__all__ = ["check_hdf5", "model_attributes"]

_MAX_LINKS = 250_000

_MAX_DEPTH = 64

_MAX_GROWTH = 32
"""How many times the file's size its datasets may have."""

_FREE = 16 * 1024 * 1024
"""Bytes that the datasets of any file may have."""

_FILTERS = {1: "gzip", 2: "shuffle", 3: "fletcher32", 4: "szip", 5: "nbit", 6: "scaleoffset",
            32000: "lzf"}  # fmt: skip
"""Filters that are part of libhdf5 and h5py."""

_CONFIGURATIONS = ("model_config", "training_config")


def check_hdf5(file: IO[bytes], size: int, *, where: str) -> list[Finding]:
    """Return what in a file leads out of it.

    Raises:
        FormatError: it is damaged, or its datasets claim more than it holds.
    """
    with open_hdf5(file, where=where) as root:
        walk = _Walk(size=size, where=where)
        walk.visit(root.id, "", 0)
        return walk.findings


def model_attributes(file: IO[bytes], *, where: str) -> list[str]:
    """Return the configurations in a whole model, as h5py gives them to a framework.

    Raises:
        FormatError: the file is damaged, or one is no text.
    """
    texts = []
    with open_hdf5(file, where=where) as root:
        for name in _CONFIGURATIONS:
            value = root.attrs.get(name)
            if isinstance(value, bytes):
                value = value.decode("utf-8", "replace")
            if isinstance(value, str):
                texts.append(value)
            elif value is not None:
                raise FormatError(
                    "the model's configuration is no text",
                    where=f"{where}: {name}",
                    found=type(value).__name__,
                )
    return texts


@dataclass(kw_only=True)
class _Walk:
    size: int
    where: str
    findings: list[Finding] = field(default_factory=list)
    _visited: set[int] = field(default_factory=set)
    _links: int = 0
    _claimed: int = 0

    def visit(self, group: h5py.h5g.GroupID, path: str, depth: int) -> None:
        """Look at everything in a group, groups inside it included."""
        from h5py import h5l

        self._visited.add(address_of(group))
        self._links += group.get_num_objs()
        if depth > _MAX_DEPTH or self._links > _MAX_LINKS:
            raise FormatError(
                "too many groups and datasets", where=self.where,
                expected=f"at most {_MAX_LINKS}, and {_MAX_DEPTH} inside each other",
            )  # fmt: skip
        for name in group:
            key = f"{path}/{name.decode('utf-8', 'replace')}"
            if group.links.get_info(name).type != h5l.TYPE_HARD:
                self._find(key, "is a link, which may lead out of the file")
            else:
                self._visit_object(group, name, key, depth)

    def _visit_object(self, group: h5py.h5g.GroupID, name: bytes, key: str, depth: int) -> None:
        from h5py import h5d, h5g, h5o

        found = h5o.open(group, name)
        address = h5o.get_info(found).addr
        if address in self._visited:
            return
        self._visited.add(address)
        if isinstance(found, h5g.GroupID):
            self.visit(found, key, depth + 1)
        elif isinstance(found, h5d.DatasetID):
            for problem in self._check_dataset(found):
                self._find(key, problem)

    def _check_dataset(self, dataset: h5py.h5d.DatasetID) -> Iterator[str]:
        from h5py import h5d

        plan = dataset.get_create_plist()
        layout = plan.get_layout()
        if plan.get_external_count():
            yield "has its elements in another file"
        elif layout == h5d.VIRTUAL:
            yield "has its elements in other datasets"
        else:
            for index in range(plan.get_nfilters()):
                number = plan.get_filter(index)[0]
                if number not in _FILTERS:
                    yield f"needs the filter {number}, a program that is no part of HDF5"
            self._count(dataset)

    def _count(self, dataset: h5py.h5d.DatasetID) -> None:
        shape = dataset.get_space().get_simple_extent_dims() or ()
        self._claimed += math.prod(shape) * dataset.get_type().get_size()
        if self._claimed > max(_MAX_GROWTH * self.size, _FREE):
            raise FormatError(
                "the datasets claim more than the file holds",
                where=self.where,
                expected=f"at most {max(_MAX_GROWTH * self.size, _FREE)} bytes",
                found=f"{self._claimed} bytes",
                hint="Save or copy it again",
            )

    def _find(self, key: str, problem: str) -> None:
        self.findings.append(Finding(owner=f"member {shorten(key)!r}", problem=problem))
