"""Where the cache lies and how large it may grow: what the environment says."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from remote_models._size import parse_size

__all__ = ["CacheSettings"]

_DIRECTORY = "REMOTE_MODELS_CACHE"

_MAX_SIZE = "REMOTE_MODELS_CACHE_SIZE"

_OFF = ("off", "0")

_DEFAULT_MAX_SIZE = 10 * 1000**3
"""A few models of the size for which a download is slow, and little on today's disks."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheSettings:
    """Where the cache lies and how large it may grow.

    Attributes:
        directory: The folder; ``None`` to do without a cache.
        max_size: Bytes of all entries together.
        is_default: Whether nobody chose the folder, so that it is the user's own.
        reason: Why there is no folder, if there is none.
    """

    directory: Path | None
    max_size: int = _DEFAULT_MAX_SIZE
    is_default: bool = False
    reason: str = ""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> CacheSettings:
        """Read ``REMOTE_MODELS_CACHE`` and ``REMOTE_MODELS_CACHE_SIZE``.

        The first is a folder (``~`` is the home directory), or ``off`` or ``0``. Without
        it, or if it is empty, the folder is the platform's for caches of this user.

        Raises:
            ArgumentError: the second is no size.
        """
        size = environ.get(_MAX_SIZE)
        max_size = parse_size(size, _MAX_SIZE) if size else _DEFAULT_MAX_SIZE
        chosen = environ.get(_DIRECTORY)
        if chosen and chosen.lower() in _OFF:
            return cls(directory=None, max_size=max_size, reason=f"{_DIRECTORY}={chosen}")
        directory = _chosen(chosen) if chosen else _users_own()
        if directory is None:
            return cls(directory=None, max_size=max_size, reason="there is no home directory")
        return cls(directory=Path(directory), max_size=max_size, is_default=not chosen)


def _chosen(text: str) -> str | None:
    path = os.path.expanduser(text)
    # Without a home "~" stays as it is, and would become a folder of that name.
    return None if path.startswith("~") else os.path.abspath(path)


def _users_own() -> str | None:
    # Of all that is imported for a cache only this takes time (20 ms), and only here.
    import platformdirs

    try:
        directory = platformdirs.user_cache_dir("remote_models", appauthor=False)
    except RuntimeError:  # no home directory; older releases return what is no path
        return None
    return directory if os.path.isabs(directory) else None
