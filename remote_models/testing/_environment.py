"""Point the clients of this process at an emulator."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from remote_models.testing._emulator import Emulator

# Anything of a developer's own that begins like this could win over the
# emulator: AWS_PROFILE, AWS_SESSION_TOKEN, GOOGLE_APPLICATION_CREDENTIALS, ...
_HIDDEN_PREFIXES = {
    "AWS_": ("AWS_", "BOTO_"),
    "STORAGE_": ("STORAGE_", "GOOGLE_", "GCSFS_", "CLOUDSDK_"),
}


@contextmanager
def set_environment(emulator: Emulator) -> Iterator[None]:
    """Set ``emulator.environment`` in ``os.environ``, and restore what was there.

    Other variables of the same cloud are hidden meanwhile, so that a
    developer's profile or session token reaches no test. An environment for S3
    and one for Google Cloud Storage nest. fsspec's instance caches are emptied
    at both ends: a cached file system would keep talking to the server that it
    was made for.
    """
    hidden = names_to_hide(emulator.environment)
    before = {name: os.environ.get(name) for name in {*hidden, *emulator.environment}}
    try:
        _assign({**dict.fromkeys(hidden), **emulator.environment})
        _forget_file_systems()
        yield
    finally:
        _assign(before)
        _forget_file_systems()


def names_to_hide(environment: Mapping[str, str]) -> list[str]:
    prefixes = tuple(
        prefix
        for mark, hidden in _HIDDEN_PREFIXES.items()
        if any(name.startswith(mark) for name in environment)
        for prefix in hidden
    )
    return [name for name in os.environ if name.startswith(prefixes)]


def _assign(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _forget_file_systems() -> None:
    # By name, because fsspec has no types; only classes already in use are listed.
    for file_system in importlib.import_module("fsspec.registry").registry.values():
        file_system.clear_instance_cache()
