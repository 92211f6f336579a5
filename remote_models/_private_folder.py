"""Folders of this user alone, for what processes leave each other on a machine."""

from __future__ import annotations

import os
import stat
import sys
from contextlib import suppress
from pathlib import Path

__all__ = ["FOLDER_MODE", "is_folder", "make_folder", "what_is_wrong_with"]

FOLDER_MODE = 0o700
"""Nobody else: model files may be secret, and what others may write to, they may replace."""


def make_folder(path: Path) -> None:
    """Make a folder where it is missing.

    Raises:
        OSError: it cannot be made, or something else has its name.
    """
    with suppress(FileExistsError):
        os.mkdir(path, FOLDER_MODE)
    if not is_folder(path):
        raise NotADirectoryError(f"{path} is no folder")


def is_folder(path: Path) -> bool:
    """Whether it is a folder itself, and not a link to one."""
    return stat.S_ISDIR(os.lstat(path).st_mode)


def what_is_wrong_with(folder: Path) -> str:
    """Return why a folder is not to be trusted or of no use, or ``""``."""
    info = os.lstat(folder)
    if sys.platform != "win32":
        if info.st_uid != os.geteuid():
            return f"{folder} belongs to another user"
        if info.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return f"others may write to {folder}"
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return f"{folder} cannot be written to"
    return ""
