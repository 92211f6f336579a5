"""What the options that several verbs share mean to the library."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

from remote_models.errors import ArgumentError

__all__ = ["progress_of", "second_options_of", "storage_options_of"]


def storage_options_of(options: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments for the fsspec filesystem, each as JSON or else as text.

    Raises:
        ArgumentError: a word is not ``KEY=VALUE``; what may be a secret is not repeated.
    """
    return _parsed(options.storage_option, "-o")


def second_options_of(options: argparse.Namespace) -> dict[str, Any]:
    """Return the same for the second URL of a verb: those of the first, if there are none.

    Raises:
        ArgumentError: a word is not ``KEY=VALUE``.
    """
    if not options.second_option:
        return storage_options_of(options)
    return _parsed(options.second_option, "--second-option")


def _parsed(words: Sequence[str], flag: str) -> dict[str, Any]:
    parsed: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not (key and equals):
            raise ArgumentError(
                "not a storage option", where=flag, expected="KEY=VALUE", found=repr(key)
            )
        try:
            parsed[key] = json.loads(value)
        except ValueError:
            parsed[key] = value
    return parsed


def progress_of(options: argparse.Namespace) -> bool | None:
    """Draw no bar where the caller asked for quiet, and one on a terminal otherwise."""
    return False if options.quiet else None
