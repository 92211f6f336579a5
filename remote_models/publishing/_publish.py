"""Publish an artifact: stage its files, then make them and their manifest visible.

The protocol is that of docs/manifest.md, "Publishing". The manifest first names the
coming artifact as *pending* beside the present one; then the files are switched; then
the manifest names the new artifact alone. So a kill at any point leaves a manifest that
says of every whole artifact what it is. And since the manifest is only ever replaced by
whoever knows what it says, savers that meet there see each other.
"""

from __future__ import annotations

from functools import partial

from remote_models.errors import AccessDeniedError, ArgumentError
from remote_models.manifest import Layout, Manifest, StoredManifest, parse_relative_path
from remote_models.publishing._artifact import Artifact
from remote_models.publishing._base import Base, FindBase
from remote_models.publishing._earlier import EarlierArtifact
from remote_models.publishing._stage import stage_files
from remote_models.publishing._switch import OutdatedError, Switch
from remote_models.remote_model import manifest_location
from remote_models.storage import WORTH_COPYING, Location, ProgressCallback, Publication, Store

__all__ = ["publish"]


def publish(
    store: Store,
    location: Location,
    artifact: Artifact,
    *,
    overwrite: bool,
    find_base: FindBase = lambda: None,
    progress: ProgressCallback | None = None,
) -> Manifest:
    """Put ``artifact`` at ``location`` and return the manifest that was written last.

    Files that are there already, byte for byte, do not travel again. Neither do tensors
    that are there or in the base, where the store copies ranges by itself. Until every byte
    has travelled, nothing at ``location`` changes; a failure before that leaves no
    trace. One file is then switched in one step. A directory is switched file by file:
    a reader in between, or after a kill in between, gets an error and never a mixture.

    Raises:
        ModelExistsError: something is there and ``overwrite`` is false, or an
            artifact of the other layout is in the way.
        ConflictError: another saver was faster, or has replaced what this one has just
            saved.
        AmbiguousCommitError: an answer was lost, and the store cannot be asked.
        ArgumentError: a file of the artifact has the manifest's name.
        ManifestError: the path of a file is not safe.
    """
    folder = location if artifact.layout is Layout.DIRECTORY else location.parent
    _check_names(folder, manifest_location(location, artifact.layout), artifact)

    def once(*, keep: bool) -> Manifest:
        return _publish(
            store, location, folder, artifact, overwrite=overwrite, keep=keep, find_base=find_base,
            progress=progress,
        )  # fmt: skip

    try:
        return once(keep=overwrite)
    except OutdatedError:  # another saver was here
        return once(keep=False)


def _publish(
    store: Store,
    location: Location,
    folder: Location,
    artifact: Artifact,
    *,
    overwrite: bool,
    keep: bool,
    find_base: FindBase,
    progress: ProgressCallback | None,
) -> Manifest:
    earlier = EarlierArtifact.look(store, location, artifact.layout)
    earlier.check(overwrite=overwrite)
    present = earlier.candidates if keep else ()
    bases = [Base(manifest=each, folder=folder) for each in present]
    is_large = any(source.size >= WORTH_COPYING for source in artifact.files.values())
    if is_large and store.copies_ranges:
        bases += filter(None, [find_base()])
    with Publication(store, if_absent=not overwrite) as publication:
        if artifact.layout is Layout.DIRECTORY:
            publication.make_directory(location)
        coming = stage_files(
            store,
            publication,
            folder,
            location,
            artifact,
            earlier=present,
            bases=bases,
            progress=progress,
        )
        StoredManifest(current=coming).to_bytes()  # refuses metadata that are no JSON, in time
        switch = Switch(store, earlier, coming, overwrite=overwrite)
        with switch:
            publication.commit(switch.record, on_attempt=switch.attempt)
            switch.make_directories()
            # While the manifest still names them: after a kill the next save finds them.
            _delete_stale(store, folder, switch)
            switch.finish()
    return switch.manifest


def _check_names(folder: Location, manifest: Location, artifact: Artifact) -> None:
    for path in artifact.files:
        parse_relative_path(path, where="file name")
        if folder.join(path) == manifest:
            raise ArgumentError(
                "a file of the model stands where its manifest belongs",
                where=str(manifest),
                hint="Rename the file",
            )


def _delete_stale(store: Store, folder: Location, switch: Switch) -> None:
    """Delete files of the replaced artifact that the new one does not have."""
    kept = {entry.path for entry in switch.manifest.files}
    stale = {entry.path for old in switch.replaced for entry in old.files} - kept
    for path in sorted(stale):
        switch.renew()
        try:
            store.transfer.retry.retried(partial(store.delete, folder.join(path)))
        except AccessDeniedError:
            return  # a writer who may not delete leaves them; verification names them
