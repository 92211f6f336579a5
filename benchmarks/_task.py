"""What one process is to move, and from where to where."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks._models import TINY, Artifact

__all__ = ["Task"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """An artifact, on disk and in a bucket.

    Attributes:
        artifact: What it is.
        folder: Where it lies on disk.
        bucket: Where it lies, or is to lie, in the store.
    """

    artifact: Artifact
    folder: Path
    bucket: str

    @property
    def path(self) -> Path:
        """The file on disk."""
        return self.folder / self.artifact.name

    @property
    def key(self) -> str:
        """The name in the bucket."""
        return self.artifact.name

    @property
    def url(self) -> str:
        """The URL in the store."""
        return f"s3://{self.bucket}/{self.key}"

    @property
    def size(self) -> int:
        """How many bytes the file has."""
        return self.path.stat().st_size

    def tiny(self) -> Task:
        """Return the same with the smallest model."""
        artifact = Artifact(stack=TINY, format=self.artifact.format)
        return Task(artifact=artifact, folder=self.folder, bucket=self.bucket)
