"""The files of a model that is to be published, apart from where they go."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from remote_models._api._arguments import Progress
from remote_models._api._exporting import Exports
from remote_models._api._local_copy import (
    LOCAL_NAMES,
    empty_directories_of,
    files_of,
    full_disk_named,
    make_temporary_directory,
    refuse_reference_to_copy,
)
from remote_models._api._publish import publish_files
from remote_models.formats import Format
from remote_models.frameworks import (
    Framework,
    ModelDescription,
    SaveOptions,
    StreamedSave,
    Training,
    framework_of,
)
from remote_models.manifest import Manifest
from remote_models.publishing import FindBase, local_files
from remote_models.storage import Location, TransferSettings

if TYPE_CHECKING:
    from remote_models.formats.streaming import StreamedFile

__all__ = ["ModelFiles"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelFiles:
    """A model's files: one that is made while it is sent, or what a framework has written.

    Used in a ``with`` block: with it goes the temporary folder, if there is one.

    Attributes:
        format: What they are.
        made: The file that is made while it is sent.
        written: What the framework has written instead, in a temporary folder.
        description: What the model tells of its variables.
        producer: The names and versions of the framework and its backend.
        exports: The model for other runtimes, if there is more than these files.
    """

    format: Format
    made: StreamedFile | None = None
    written: Path | None = None
    description: ModelDescription
    producer: Mapping[str, str]
    exports: Exports | None = None

    @classmethod
    def of_model(
        cls, model: Any, format: Format, options: SaveOptions, *, exports: Sequence[str] = ()
    ) -> Self:
        """Return the files of a whole model, and exports of it, which are made first.

        Raises:
            FormatError: the model cannot be saved in this format, or not exported.
            MissingDependencyError: what makes or runs an export is not installed.
            ArgumentError: it is no model, or an option is for other formats.
        """
        framework = framework_of(model)
        if not exports:
            return cls._of_model(framework, model, format, options)
        made = Exports.of_model(framework, model, exports)
        try:
            return replace(cls._of_model(framework, model, format, options), exports=made)
        except BaseException:
            made.close()
            raise

    @classmethod
    def _of_model(
        cls, framework: Framework, model: Any, format: Format, options: SaveOptions
    ) -> Self:
        streamed = framework.stream_model(model, format, options)
        if streamed is not None:
            return cls._made(framework, format, streamed)
        return cls._written(
            framework,
            format,
            model,
            lambda path: framework.save_model(model, path, format, options),
        )

    @classmethod
    def of_weights(cls, model: Any) -> Self:
        """Return a model's weights as a ``.weights.h5``.

        Raises:
            FormatError: the model cannot be saved in this format.
            ArgumentError: it is no model.
        """
        framework, format = framework_of(model), Format.KERAS_WEIGHTS
        streamed = framework.stream_weights(model, format)
        if streamed is not None:
            return cls._made(framework, format, streamed)
        return cls._written(
            framework, format, model, lambda path: framework.save_weights(model, path, format, None)
        )

    @classmethod
    def of_training(cls, training: Training) -> Self:
        """Return the state of a training: weights, optimizer, seed generators, metrics."""
        framework = framework_of(training.model)
        return cls._made(framework, Format.KERAS_WEIGHTS, training.stream())

    @classmethod
    def _made(cls, framework: Framework, format: Format, streamed: StreamedSave) -> Self:
        return cls(
            format=format,
            made=streamed.file,
            description=streamed.description,
            producer=framework.versions(),
        )

    @classmethod
    def _written(
        cls, framework: Framework, format: Format, model: Any, write: Callable[[Path], None]
    ) -> Self:
        folder = make_temporary_directory()
        path = folder / LOCAL_NAMES[format]
        try:
            with full_disk_named(folder):
                write(path)
            return cls(
                format=format,
                written=path,
                description=framework.describe(model),
                producer=framework.versions(),
            )
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def frozen(self) -> Self:
        """Return the files as they are now, whatever becomes of the model's variables."""
        return self if self.made is None else replace(self, made=self.made.frozen())

    def publish(
        self,
        location: Location,
        *,
        overwrite: bool,
        metadata: Mapping[str, Any] | None,
        transfer: TransferSettings | None,
        progress: Progress,
        find_base: FindBase = lambda: None,
    ) -> Manifest:
        """Publish the files at ``location``, as often as one likes.

        What they have in common with what ``find_base`` finds in the same store need not
        travel.

        Raises:
            RemoteModelsError: as ``save_model`` raises them.
        """
        if self.written is not None:
            refuse_reference_to_copy(self.written, str(location))
        own = {location.name: self.made} if self.made is not None else self._local(location)
        beside = None if self.written is not None and self.written.is_dir() else location.name
        return publish_files(
            location,
            self.format,
            {**own, **(self.exports.files(beside) if self.exports else {})},
            producer=self.producer,
            overwrite=overwrite,
            metadata=metadata,
            transfer=transfer,
            progress=progress,
            empty_directories=empty_directories_of(self.written) if self.written else (),
            description=self.description,
            find_base=find_base,
            exports=self.exports.paths(beside) if self.exports else None,
        )

    def _local(self, location: Location) -> Mapping[str, Any]:
        path = self.written
        if path is None:
            return {}
        return local_files(files_of(path) if path.is_dir() else {location.name: path})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove what lies in temporary folders."""
        if self.written is not None:
            shutil.rmtree(self.written.parent, ignore_errors=True)
        if self.exports is not None:
            self.exports.close()
