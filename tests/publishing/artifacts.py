"""Small artifacts of every layout, saved and read back through floors 1 and 3 alone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from remote_models.errors import (
    IncompleteModelError,
    IntegrityError,
    ModelNotFoundError,
)
from remote_models.formats import Format
from remote_models.manifest import Layout, Manifest
from remote_models.publishing import Artifact, local_files, publish
from remote_models.remote_model import RemoteModel
from remote_models.storage import Location, Store, open_store

SCRATCH = "/dev/shm" if os.path.isdir("/dev/shm") else None
"""Where copies come and go: on a disk, removing them takes most of the tests' time."""


@dataclass(frozen=True, kw_only=True)
class Content:
    """What an artifact holds, and where below a folder it goes."""

    name: str
    format: Format
    layout: Layout
    files: Mapping[str, bytes]
    empty_directories: tuple[str, ...] = ()
    metadata: Mapping[str, object] = field(default_factory=dict)

    def write(self, folder: Path) -> Artifact:
        """Write the files below ``folder``."""
        for path, data in self.files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
        return Artifact(
            format=self.format,
            layout=self.layout,
            created="2026-11-24T00:00:00Z",
            producer={"tests": "1"},
            metadata=self.metadata,
            files=local_files({path: folder / path for path in self.files}),
            empty_directories=self.empty_directories,
        )


def single(version: str) -> Content:
    """One file."""
    return Content(
        name="model.h5",
        format=Format.H5,
        layout=Layout.FILE,
        files={"model.h5": f"weights {version} ".encode() * 50},
        metadata={"version": version},
    )


def several(version: str) -> Content:
    """Several files that share a folder; each version has a shard of its own."""
    return Content(
        name="ckpt",
        format=Format.CHECKPOINT,
        layout=Layout.FILE,
        files={
            "ckpt.index": f"index {version}".encode(),
            "ckpt.data-00000-of-00002": f"first {version} ".encode() * 30,
            f"ckpt.data-{version}": f"second {version} ".encode() * 30,
        },
        metadata={"version": version},
    )


def directory(version: str) -> Content:
    """A SavedModel; the zero-byte file and the empty folder are those of real ones."""
    return Content(
        name="model",
        format=Format.SAVED_MODEL,
        layout=Layout.DIRECTORY,
        files={
            "saved_model.pb": f"graph {version}".encode(),
            "fingerprint.pb": b"",
            "variables/variables.index": f"index {version}".encode(),
            f"variables/variables.data-{version}": f"data {version} ".encode() * 40,
        },
        empty_directories=("assets", "outer/inner"),
        metadata={"version": version},
    )


def fine_tuned(version: str) -> Content:
    """A SavedModel of which every version has the same variables, and another graph."""
    content = directory("of all versions")
    graph = {"saved_model.pb": f"graph {version}".encode()}
    return replace(content, files={**content.files, **graph}, metadata={"version": version})


def relabelled(version: str) -> Content:
    """One file, the same in every version: only the metadata differ."""
    return replace(single("of all versions"), metadata={"version": version})


LAYOUTS = {"single": single, "several": several, "directory": directory}


def save(
    location: Location, content: Content, *, overwrite: bool = True, store: Store | None = None
) -> Manifest:
    """Publish ``content`` at ``location``."""
    with TemporaryDirectory(dir=SCRATCH) as folder:
        artifact = content.write(Path(folder))
        return publish(store or open_store(location), location, artifact, overwrite=overwrite)


def load(
    location: Location, *, manifest_digest: str | None = None, store: Store | None = None
) -> Mapping[str, bytes]:
    """Return every file at ``location`` by its path; empty folders are paths with a slash."""
    remote = RemoteModel.open(
        store or open_store(location), location, manifest_digest=manifest_digest
    )
    return download(remote)


def download(remote: RemoteModel) -> Mapping[str, bytes]:
    with TemporaryDirectory(dir=SCRATCH) as folder:
        paths = remote.download(Path(folder))
        found = contents(Path(folder))
    assert {path for path in found if not path.endswith("/")} == set(paths)
    return found


def contents(folder: Path) -> Mapping[str, bytes]:
    """Return what lies below a local folder; folders without a file end in a slash."""
    found: dict[str, bytes] = {}
    for parent, folders, names in os.walk(folder):
        for name in names:
            path = Path(parent) / name
            found[str(path.relative_to(folder))] = path.read_bytes()
        if not folders and not names and Path(parent) != folder:
            found[f"{Path(parent).relative_to(folder)}/"] = b""
    return found


def expected(content: Content) -> Mapping[str, bytes]:
    """Return what :func:`load` returns of ``content``."""
    return {**content.files, **{f"{path}/": b"" for path in content.empty_directories}}


def observe(location: Location, *known: Content, store: Store | None = None) -> str:
    """Return the version that a reader gets, or what it is told; never a mixture."""
    try:
        found = load(location, store=store)
    except IncompleteModelError:
        return "incomplete"
    except IntegrityError:
        return "damaged"
    except ModelNotFoundError:
        return "nothing"
    for content in known:
        # An artifact without a manifest does not tell of its empty folders.
        if found in (expected(content), content.files):
            return str(content.metadata["version"])
    raise AssertionError(f"a mixture: {found}")


def snapshot(base: Location) -> Mapping[str, bytes]:
    """Return every object below ``base``, folders without a file included where there are any."""
    if base.is_local:
        return contents(Path(base.path))
    store = open_store(base)
    return {
        path: bytes(store.read(base.join(path), 0, max(info.size, 1)))
        for path, info in store.list(base).items()
    }
