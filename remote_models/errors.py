"""Every error that remote_models raises, in one tree.

::

    RemoteModelsError
    ├── StorageError (OSError)
    │   ├── ModelNotFoundError (FileNotFoundError)
    │   │   └── BucketNotFoundError
    │   ├── ModelExistsError (FileExistsError)
    │   │   └── ConflictError
    │   ├── AccessDeniedError (PermissionError)
    │   │   ├── CredentialsError
    │   │   └── ReadOnlyStoreError
    │   ├── StoreFullError
    │   ├── AmbiguousCommitError
    │   ├── UnsupportedRequestError
    │   └── StoreUnavailableError (ConnectionError)
    ├── IntegrityError
    │   ├── IncompleteModelError
    │   ├── ManifestError
    │   └── SignatureError
    ├── FormatError (ValueError)
    │   ├── UnrecognizedFormatError
    │   ├── UnsafeFormatError
    │   └── GenerationError
    ├── ArgumentError (ValueError)
    ├── TensorNotFoundError (KeyError)
    └── MissingDependencyError (ImportError)

``IntegrityError`` is deliberately no ``ValueError`` and no ``OSError``: code
that shrugs off bad values or missing files must not shrug off tampering.
"""

from __future__ import annotations

__all__ = [
    "AccessDeniedError",
    "AmbiguousCommitError",
    "ArgumentError",
    "BucketNotFoundError",
    "ConflictError",
    "CredentialsError",
    "FormatError",
    "GenerationError",
    "IncompleteModelError",
    "IntegrityError",
    "ManifestError",
    "MissingDependencyError",
    "ModelExistsError",
    "ModelNotFoundError",
    "ReadOnlyStoreError",
    "RemoteModelsError",
    "SignatureError",
    "StorageError",
    "StoreFullError",
    "StoreUnavailableError",
    "TensorNotFoundError",
    "UnrecognizedFormatError",
    "UnsafeFormatError",
    "UnsupportedRequestError",
]


class RemoteModelsError(Exception):
    """Base of every error that remote_models raises.

    Attributes:
        message: What happened, one sentence without a full stop.
        where: The URL, file, tensor or manifest field concerned, if any.
        expected: What should have been there, if that can be said.
        found: What was there instead, if that can be said.
        hint: What the caller can do about it, if anything.
    """

    def __init__(
        self,
        message: str,
        *,
        where: str | None = None,
        expected: object = None,
        found: object = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.expected = expected
        self.found = found
        self.hint = hint

    @property
    def summary(self) -> str:
        """The error in one line, without the hint."""
        text = f"{self.where}: {self.message}" if self.where else self.message
        details = [
            f"{label} {value}"
            for label, value in (("expected", self.expected), ("found", self.found))
            if value is not None
        ]
        return f"{text} ({', '.join(details)})" if details else text

    def __str__(self) -> str:
        return f"{self.summary}. {self.hint}" if self.hint else self.summary


class StorageError(RemoteModelsError, OSError):
    """The store refused or failed a request."""


class ModelNotFoundError(StorageError, FileNotFoundError):
    """Nothing is stored at the URL."""


class BucketNotFoundError(ModelNotFoundError):
    """The bucket, or the local directory that should hold the model, does not exist."""


class ModelExistsError(StorageError, FileExistsError):
    """Something is stored at the URL already and ``overwrite=False`` was asked for."""


class ConflictError(ModelExistsError):
    """Another writer was faster: the store refused to replace what it has just taken from it."""


class AccessDeniedError(StorageError, PermissionError):
    """The store knows who asks and says no."""


class CredentialsError(AccessDeniedError):
    """Credentials are absent, wrong or expired."""


class ReadOnlyStoreError(AccessDeniedError):
    """The store cannot be written to by anybody."""


class StoreFullError(StorageError):
    """No space is left, or a quota is used up."""


class AmbiguousCommitError(StorageError):
    """The answer to a commit was lost, and the store cannot be asked what became of it."""


class UnsupportedRequestError(StorageError):
    """The store does not know a request, or a condition on which it is to be done."""


class StoreUnavailableError(StorageError, ConnectionError):
    """The store cannot be reached, or keeps failing after retries."""


class IntegrityError(RemoteModelsError):
    """Stored bytes are not the bytes that the manifest vouches for."""


class IncompleteModelError(IntegrityError):
    """A save was cut short here, or is still under way, and no whole model is present."""


class ManifestError(IntegrityError):
    """A manifest is malformed, unsafe, or not the one that was asked for."""


class SignatureError(IntegrityError):
    """No good signature by the key that was given vouches for the model."""


class FormatError(RemoteModelsError, ValueError):
    """The artifact's format does not allow what was asked for."""


class UnrecognizedFormatError(FormatError):
    """The bytes are no model that remote_models knows."""


class UnsafeFormatError(FormatError):
    """The artifact could run code or reach outside itself when loaded."""


class GenerationError(FormatError):
    """The artifact belongs to the other generation of Keras."""


class ArgumentError(RemoteModelsError, ValueError):
    """An argument has a value that cannot work, or contradicts another."""


class TensorNotFoundError(RemoteModelsError, KeyError):
    """The artifact has no tensor of this name."""


class MissingDependencyError(RemoteModelsError, ImportError):
    """An optional package is needed for this and is not installed."""
