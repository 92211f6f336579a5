"""Where a model's configuration lies inside its files, and the digest that vouches for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from remote_models._fields import (
    malformed,
    object_field,
    parse_relative_path,
    size_field,
    text_field,
)
from remote_models.digest import is_sha256

__all__ = ["KERAS_METADATA", "MODEL_CONFIG", "TRAINING_CONFIG", "StoredDocument"]

MODEL_CONFIG = "model_config"
"""The name of a JSON document: a model's ``class_name`` and ``config``."""

TRAINING_CONFIG = "training_config"
"""The name of a JSON document: what a legacy model was compiled with."""

KERAS_METADATA = "keras_metadata"
"""The name of a ``SavedMetadata`` message (tf_keras/protobuf/saved_metadata.proto)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredDocument:
    """A text or message inside an artifact that says what the model is.

    Attributes:
        name: What it is: one of the names above, or the name of another member of a
            ``.keras`` archive, such as a vocabulary.
        file: The file, relative to the artifact.
        offset: The first byte.
        nbytes: How many bytes.
        sha256: Hexadecimal SHA-256 of these bytes.
    """

    name: str
    file: str
    offset: int
    nbytes: int
    sha256: str

    def to_json(self) -> dict[str, Any]:
        """Return the element of ``documents`` that describes this one."""
        return {
            "name": self.name,
            "file": self.file,
            "offset": self.offset,
            "nbytes": self.nbytes,
            "sha256": self.sha256,
        }

    @classmethod
    def from_json(cls, value: object, *, where: str) -> StoredDocument:
        """Read an element of ``documents``; the inverse of :meth:`to_json`.

        Raises:
            ManifestError: a member is absent or malformed.
        """
        fields = object_field(value, where)
        digest = fields.get("sha256")
        if not is_sha256(digest):
            raise malformed(f"{where}.sha256", "64 lower-case hexadecimal digits", digest)
        return cls(
            name=text_field(fields.get("name"), f"{where}.name"),
            file=parse_relative_path(fields.get("file"), where=f"{where}.file"),
            offset=size_field(fields.get("offset"), f"{where}.offset"),
            nbytes=size_field(fields.get("nbytes"), f"{where}.nbytes"),
            sha256=str(digest),
        )
