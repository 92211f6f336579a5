"""Look at what is to be loaded before a framework does; see docs/security.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from remote_models._api._fetch import FetchedArtifact
from remote_models.formats import Format
from remote_models.frameworks import Framework
from remote_models.remote_model import RemoteModel

if TYPE_CHECKING:
    from remote_models.formats.safety import Finding

__all__ = [
    "architecture_to_load",
    "guard_architecture",
    "guard_copy",
    "guard_translated",
    "guard_weights",
]


def architecture_to_load(
    architecture: Mapping[str, Any] | None, *, compile: bool
) -> Mapping[str, Any]:
    """Return the part of a configuration that is looked at, and then given to a framework."""
    from remote_models.formats.indexing import without_training

    found = architecture or {}
    return found if compile else without_training(found)


def guard_copy(
    artifact: FetchedArtifact,
    framework: Framework,
    custom_objects: Mapping[str, Any] | None,
    *,
    compile: bool = True,
) -> None:
    """Check every file of a copy that ``framework`` is going to read.

    What the model was compiled with is not looked at unless ``compile``.

    Raises:
        UnsafeFormatError: it could run code or reach outside itself.
        FormatError: it is damaged, or claims more than it holds.
    """
    from remote_models.formats.safety import check_artifact, forget_vocabularies, refuse

    where = str(artifact.location)
    found = check_artifact(
        artifact.what,
        artifact.path,
        given=framework.given(custom_objects),
        where=where,
        compile=compile,
    )
    refuse(found.unsafe, where)
    reads = framework.reads_named_files_of(artifact.what)
    if found.files and (reads or not forget_vocabularies(artifact.path, where=where)):
        refuse(found.files, where)
    if framework.imports_modules_of(artifact.what):
        refuse(found.foreign, where)


def guard_architecture(
    remote: RemoteModel,
    architecture: Mapping[str, Any],
    framework: Framework,
    custom_objects: Mapping[str, Any] | None,
) -> tuple[Finding, ...]:
    """Check a configuration that ``framework`` is going to make a model of.

    Returns:
        Classes and functions of other modules that the caller has not given, where they
        are for the caller to judge: of a SavedModel there is a graph to run instead.

    Raises:
        UnsafeFormatError: it could run code or reach outside itself.
    """
    from remote_models.formats.safety import check_configuration, refuse

    where = str(remote.location)
    found = check_configuration(architecture, given=framework.given(custom_objects), where=where)
    refuse(found.unsafe + found.files, where)
    if remote.format is not Format.SAVED_MODEL:
        refuse(found.foreign, where)
    return found.foreign


def guard_translated(
    remote: RemoteModel,
    architecture: Mapping[str, Any],
    framework: Framework,
    custom_objects: Mapping[str, Any] | None,
) -> None:
    """Check a configuration that is translated: no module that it names is imported.

    Raises:
        UnsafeFormatError: it could run code or reach outside itself.
    """
    from remote_models.formats.safety import check_configuration, refuse

    where = str(remote.location)
    found = check_configuration(architecture, given=framework.given(custom_objects), where=where)
    refuse(found.unsafe + found.files, where)


def guard_program(artifact: FetchedArtifact) -> None:
    """Check the files of a copy that TensorFlow alone is going to run.

    Raises:
        UnsafeFormatError: it could run code or reach outside itself.
        FormatError: it is damaged, or claims more than it holds.
    """
    from remote_models.formats.safety import check_artifact, refuse

    where = str(artifact.location)
    refuse(check_artifact(artifact.what, artifact.path, given=(), where=where).unsafe, where)


def guard_weights(artifact: FetchedArtifact) -> None:
    """Check the files of a copy of which a framework reads the weights alone.

    Raises:
        UnsafeFormatError: they lead out of themselves.
        FormatError: they are damaged, or claim more than they hold.
    """
    from remote_models.formats.safety import check_files, refuse

    where = str(artifact.location)
    refuse(check_files(artifact.what, artifact.path, where=where), where)
