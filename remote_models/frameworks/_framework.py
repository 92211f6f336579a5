"""What the library asks of a generation of Keras."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Container, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from remote_models.errors import FormatError, GenerationError
from remote_models.formats import Format, Recognition
from remote_models.frameworks._streamed_save import ModelDescription, StreamedSave

if TYPE_CHECKING:
    from remote_models.frameworks._named_tensors import NamedTensors
    from remote_models.frameworks._training import Training
    from remote_models.runtimes import Runtime

__all__ = [
    "Framework",
    "InferenceOnlyWarning",
    "NotInConfigurationError",
    "SaveOptions",
    "TensorSpec",
    "TensorStream",
    "UnknownClassError",
    "UnmatchedTensorsError",
    "WeightsOptions",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class SaveOptions:
    """What goes into a whole model's artifact.

    Attributes:
        include_optimizer: Whether the optimizer's state is kept.
        signatures: As ``tf.saved_model.save`` takes them; SavedModel only.
        save_traces: Whether a SavedModel holds the traced functions of each layer,
            which revive custom layers without their class.
    """

    include_optimizer: bool = True
    signatures: Any = None
    save_traces: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class WeightsOptions:
    """How weights are matched to layers; the arguments of Keras' ``load_weights``."""

    skip_mismatch: bool = False
    by_name: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class TensorSpec:
    """What a stored tensor is: its shape, and its logical dtype as in ``bfloat16``."""

    shape: tuple[int, ...]
    dtype: str


class InferenceOnlyWarning(UserWarning):
    """A model was loaded as the graph that serves it, since its classes are not known."""


class UnknownClassError(GenerationError):
    """A part of a model has a class that neither the framework nor the caller knows."""

    @property
    def reason(self) -> str:
        """What is not known, in words that fit into a sentence."""
        return self.message if self.found is None else f"{self.message}: {self.found}"


class NotInConfigurationError(UnknownClassError):
    """A layer has learnt something that is not in the configuration, but in other files."""


class UnmatchedTensorsError(ValueError):
    """It is not certain which tensor belongs to which variable: leave it to the framework."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TensorStream:
    """Verified tensors on their way from a store.

    Attributes:
        specs: What they are, by their keys in the weights file, as in
            ``layers/dense/vars/0``; in the order of the manifest.
        read: Begins to read those with the given keys; yields key and array as they
            arrive.
        failures: What has gone wrong while reading, the caller's own exceptions
            included. Frameworks take any exception for a layer that does not fit.
    """

    specs: Mapping[str, TensorSpec]
    read: Callable[[Collection[str]], Iterator[tuple[str, Any]]]
    failures: list[BaseException] = field(default_factory=list)

    @property
    def keys(self) -> Collection[str]:
        """The keys of all tensors."""
        return self.specs.keys()


_MAX_CAUSE = 400
"""Characters of the framework's own message that an error of ours repeats."""


class Framework(ABC):
    """One generation of Keras. Every path is local."""

    name: str
    """The package: ``keras`` or ``tf_keras``."""

    generation: int

    @abstractmethod
    def given(self, custom_objects: Mapping[str, Any] | None) -> Container[str]:
        """Return the names of what the caller has registered, has in scope or passes."""

    def imports_modules_of(self, what: Recognition) -> bool:
        """Whether loading an artifact imports modules that its configuration names."""
        return True

    def reads_named_files_of(self, what: Recognition) -> bool:
        """Whether layers of an artifact read the vocabularies that their arguments name."""
        return True

    streams = False
    """Whether models of its own formats can be loaded straight from tensors."""

    def load_model_from_tensors(
        self,
        architecture: Mapping[str, Any],
        tensors: TensorStream,
        format: Format,
        *,
        custom_objects: Mapping[str, Any] | None,
        compile: bool,
        safe_mode: bool,
    ) -> Any:
        """Return the model that ``architecture`` describes, with the state in ``tensors``.

        Raises:
            UnmatchedTensorsError: only the framework's own loader can tell what is whose.
        """
        raise AssertionError(f"{self.name} does not stream")

    def load_model_lazily(
        self,
        architecture: Mapping[str, Any],
        tensors: TensorStream,
        format: Format,
        *,
        custom_objects: Mapping[str, Any] | None,
        compile: bool,
        safe_mode: bool,
        prefetch: int | bool,
    ) -> Any:
        """Return the model that ``architecture`` describes, which reads ``tensors`` later.

        Raises:
            UnmatchedTensorsError: as for :meth:`load_model_from_tensors`.
            FormatError: this is not for the backend in use.
        """
        raise AssertionError(f"{self.name} does not stream")

    def load_weights_from_tensors(
        self, model: Any, tensors: TensorStream, format: Format, *, skip_mismatch: bool
    ) -> None:
        """Give the variables of ``model`` the values in ``tensors``.

        Raises:
            UnmatchedTensorsError: as for :meth:`load_model_from_tensors`.
        """
        raise AssertionError(f"{self.name} does not stream")

    translates = False
    """Whether models of the other generation can be loaded from their tensors."""

    @property
    def runs_graphs(self) -> bool:
        """Whether a SavedModel whose classes are not known can be loaded as its graph."""
        return False

    def translate_model(
        self,
        architecture: Mapping[str, Any],
        tensors: NamedTensors,
        *,
        custom_objects: Mapping[str, Any] | None,
        compile: bool,
        safe_mode: bool,
    ) -> Any:
        """Return the model that ``architecture``, of the other generation, describes.

        Raises:
            GenerationError: the framework has nothing for a part of it.
            FormatError: its variables and ``tensors`` do not match.
        """
        raise AssertionError(f"{self.name} does not translate")

    def translate_architecture(
        self,
        architecture: Mapping[str, Any],
        *,
        where: str,
        custom_objects: Mapping[str, Any] | None,
        safe_mode: bool,
    ) -> Any:
        """Return a new model of an architecture of the other generation, with fresh weights.

        Raises:
            GenerationError: the framework has nothing for a part of it.
        """
        raise AssertionError(f"{self.name} does not translate")

    @abstractmethod
    def training(self, model: Any) -> Training:
        """Return what is to be known of ``model`` while it is trained."""

    @abstractmethod
    def versions(self) -> Mapping[str, str]:
        """Return the names and versions of the framework and its backend."""

    def stream_model(self, model: Any, format: Format, options: SaveOptions) -> StreamedSave | None:
        """Return the file that :meth:`save_model` writes, or ``None`` where only that will do."""
        return None

    def stream_weights(self, model: Any, format: Format) -> StreamedSave | None:
        """Return the file that :meth:`save_weights` writes, or ``None`` where only that will do."""
        return None

    @abstractmethod
    def save_model(self, model: Any, path: Path, format: Format, options: SaveOptions) -> None:
        """Write a whole model to ``path``, as the framework itself does."""

    @abstractmethod
    def load_model(
        self,
        path: Path,
        what: Recognition,
        *,
        where: str,
        custom_objects: Mapping[str, Any] | None,
        compile: bool,
        safe_mode: bool,
    ) -> Any:
        """Return the model in the artifact at ``path``, which came from ``where``."""

    @abstractmethod
    def save_weights(
        self, model: Any, path: Path, format: Format, max_shard_size: float | None
    ) -> None:
        """Write the weights of ``model`` to ``path`` (a prefix, for a checkpoint)."""

    @abstractmethod
    def load_weights(
        self, model: Any, path: Path, what: Recognition, options: WeightsOptions, *, where: str
    ) -> Any:
        """Read weights that came from ``where``; return what the framework returns."""

    @abstractmethod
    def to_json(self, model: Any) -> str:
        """Return the architecture of ``model``."""

    @abstractmethod
    def from_json(
        self, text: str, *, custom_objects: Mapping[str, Any] | None, safe_mode: bool
    ) -> Any:
        """Return a new model with the architecture in ``text`` and fresh weights."""

    @abstractmethod
    def runtime(self, model: Any, *, manifest_digest: str | None = None) -> Runtime:
        """Return what predicts with ``model``, on a batch of any size.

        Raises:
            FormatError: it is not known what the model takes.
        """

    @abstractmethod
    def export(self, model: Any, kind: str) -> bytes:
        """Return ``model`` as a file for another runtime, with the names that `runtime` has.

        Raises:
            FormatError: it cannot be had in that format, or not on this backend.
            MissingDependencyError: what converts it is not installed.
        """

    @abstractmethod
    def describe(self, model: Any) -> ModelDescription:
        """Return what is known of the variables of ``model``."""

    @contextmanager
    def naming_generation(
        self, what: Recognition, where: str, *, into_model: bool = False
    ) -> Iterator[None]:
        """Say which generation wrote an artifact when this one fails to read it.

        Only a failure on the other generation's artifact is renamed: any other is
        the framework's own, with the message that its users know.
        """
        try:
            yield
        except (TypeError, ValueError, KeyError, AttributeError, ImportError, OSError) as error:
            if what.generation in (None, self.generation) or isinstance(error, FormatError):
                raise
            raise self.other_generation(what, where, cause=error, into_model=into_model) from error

    def no_keras_model(self, what: Recognition, where: str) -> FormatError:
        """Return the error for a SavedModel that holds a graph and nothing of Keras."""
        return FormatError(
            f"{what.title}: it holds a TensorFlow program, but no Keras model",
            where=where,
            hint="Fetch it with 'remote-models pull' and open it with tf.saved_model.load",
        )

    def other_generation(
        self,
        what: Recognition,
        where: str,
        *,
        cause: Exception | None = None,
        into_model: bool = False,
    ) -> GenerationError:
        """Return the error that names who can open an artifact of the other generation.

        Args:
            what: The artifact.
            where: Where it came from.
            cause: Why this generation has failed, if it has tried.
            into_model: Whether it was to be loaded into a model that is there.
        """
        generation = what.generation or 5 - self.generation
        writer = {2: "tf_keras", 3: "keras"}[generation]
        reason = f": {_one_line(cause)}" if cause is not None else ""
        advice = (
            f"Open it with Keras {generation}: "
            f"pip install {writer}, then pass framework={writer!r} or use a {writer} model"
        )
        if into_model:
            advice = f"Load it into a model of Keras {generation}: pip install {writer}"
        if cause is not None:
            advice = (
                "If the cause is a shape, build the model as it was; if it is a class of your "
                f"own, pass custom_objects=. Else {advice[0].lower()}{advice[1:]}"
            )
        return GenerationError(
            f"{what.title}, which {self.name} cannot open{reason}", where=where, hint=advice
        )


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text[:_MAX_CAUSE].rstrip(".")
