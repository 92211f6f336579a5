"""What the options that several verbs share mean to the library."""

from __future__ import annotations

import argparse
import json
from typing import Any

from remote_models.errors import ArgumentError

__all__ = ["progress_of", "storage_options_of"]


def storage_options_of(options: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments for the fsspec filesystem, each as JSON or else as text.

    Raises:
        ArgumentError: a word is not ``KEY=VALUE``; what may be a secret is not repeated.
    """
    parsed: dict[str, Any] = {}
    for word in options.storage_option:
        key, equals, value = word.partition("=")
        if not (key and equals):
            raise ArgumentError(
                "not a storage option", where="-o", expected="KEY=VALUE", found=repr(key)
            )
        try:
            parsed[key] = json.loads(value)
        except ValueError:
            parsed[key] = value
    return parsed


def progress_of(options: argparse.Namespace) -> bool | None:
    """Draw no bar where the caller asked for quiet, and one on a terminal otherwise."""
    return False if options.quiet else None
