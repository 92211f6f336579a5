"""Saves that are killed at each of their requests, and what a reader may find then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from publishing.artifacts import Content, directory, single

__all__ = ["SCENARIOS", "RequestScenario"]

_PART = 8 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class RequestScenario:
    """A save to a server.

    Attributes:
        content: What is saved, by its version.
        present: Whether a version "old" is there before.
        readable: What a reader may get on a bucket that keeps no versions: "old", "new",
            "nothing", "incomplete" (an unfinished save) or "damaged" (an IntegrityError).
        overwrite: How it is saved.
    """

    content: Callable[[str], Content]
    present: bool
    readable: frozenset[str]
    overwrite: bool = True


def large(version: str) -> Content:
    """One file of three parts."""
    content = single(version)
    (name,) = content.files
    block = content.files[name] * 1000
    data = (block * (2 * _PART // len(block) + 1))[: 2 * _PART + 4096]
    return replace(content, files={name: data})


SCENARIOS = {
    "first file": RequestScenario(
        content=single, present=False, readable=frozenset({"nothing", "incomplete", "new"})
    ),
    "first file, exclusive": RequestScenario(
        content=single,
        present=False,
        readable=frozenset({"nothing", "incomplete", "new"}),
        overwrite=False,
    ),
    "first large file": RequestScenario(
        content=large, present=False, readable=frozenset({"nothing", "incomplete", "new"})
    ),
    "first directory": RequestScenario(
        content=directory, present=False, readable=frozenset({"nothing", "incomplete", "new"})
    ),
    "file over file": RequestScenario(
        content=single, present=True, readable=frozenset({"old", "new"})
    ),
    "large file over file": RequestScenario(
        content=large, present=True, readable=frozenset({"old", "new"})
    ),
    "directory over directory": RequestScenario(
        content=directory, present=True, readable=frozenset({"old", "incomplete", "new"})
    ),
}
