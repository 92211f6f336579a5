"""Where layers write what is no tensor, such as vocabularies, on its way into an archive."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["AssetFolder"]


class AssetFolder:
    """A temporary folder that is made for the first layer that asks for it.

    Used in a ``with`` block, after which it is gone. ``make`` is what both generations
    of Keras call on their own ``DiskIOStore``.
    """

    def __init__(self) -> None:
        self._folder: Path | None = None

    def __enter__(self) -> Self:
        return self

    def make(self, path: str) -> str:
        """Return a folder for the files of the layer at ``path``."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix=".remote_models-"))
        target = self._folder / path
        target.mkdir(parents=True, exist_ok=True)
        return str(target)

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Yield the path in the archive and the content of every file."""
        if self._folder is None:
            return
        for folder, _, names in sorted(os.walk(self._folder)):
            for name in sorted(names):
                path = Path(folder, name)
                yield f"assets/{path.relative_to(self._folder).as_posix()}", path.read_bytes()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
