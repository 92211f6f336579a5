"""Saves that are killed at each of their requests, and what a reader may find then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from publishing.artifacts import Content, directory, expected, load, observe, save, single
from remote_models.storage import Location

__all__ = ["SCENARIOS", "RequestScenario"]

_PART = 8 * 1024 * 1024


class RequestScenario(Protocol):
    """A save to a server, below a URL."""

    @property
    def present(self) -> bool:
        """Whether a version "old" is there before."""

    @property
    def resumes(self) -> bool:
        """Whether another save of the same was killed before, half-way."""

    @property
    def readable(self) -> frozenset[str]:
        """What a reader may get on a bucket that keeps no versions.

        "old", "new", "nothing", "incomplete" (an unfinished save) or "damaged" (an
        IntegrityError).
        """

    def save(self, base: Location, version: str) -> object:
        """Save a version."""

    def observe(self, base: Location) -> str:
        """Return what a reader gets; never a mixture."""

    def check(self, base: Location, version: str) -> None:
        """Make sure that a version is there, whole, and all others as they should be."""


@dataclass(frozen=True, kw_only=True)
class _Model:
    """One URL, which is written again and again."""

    content: Callable[[str], Content]
    readable: frozenset[str]
    present: bool = False
    resumes: bool = False
    overwrite: bool = True

    def save(self, base: Location, version: str) -> object:
        content = self.content(version)
        overwrite = self.overwrite or version != "new"
        return save(base.join(content.name), content, overwrite=overwrite)

    def observe(self, base: Location) -> str:
        known = [self.content(version) for version in ("old", "new")]
        return observe(base.join(known[0].name), *known)

    def check(self, base: Location, version: str) -> None:
        content = self.content(version)
        assert load(base.join(content.name)) == expected(content)


@dataclass(frozen=True, kw_only=True)
class _Repository:
    """A repository, which gets one more version."""

    save_format: str
    present: bool = True
    resumes: bool = False
    readable: frozenset[str] = frozenset({"old", "new"})

    def save(self, base: Location, version: str) -> object:
        from repository.versions import save_next

        return save_next(base, version, save_format=self.save_format)

    def observe(self, base: Location) -> str:
        from repository.versions import label_of, repository_at

        return label_of(repository_at(base).open("latest"))

    def check(self, base: Location, version: str) -> None:
        from repository.versions import label_of, repository_at

        repository = repository_at(base)
        found = [label_of(repository.open(each.number)) for each in repository.versions()]
        assert [found[0], found[-1]] == ["old", version]
        assert self.observe(base) == version


def large(version: str) -> Content:
    """One file of three parts."""
    content = single(version)
    (name,) = content.files
    block = content.files[name] * 1000
    data = (block * (2 * _PART // len(block) + 1))[: 2 * _PART + 4096]
    return replace(content, files={name: data})


_FIRST = frozenset({"nothing", "incomplete", "new"})
_OVER = frozenset({"old", "new"})

SCENARIOS: dict[str, RequestScenario] = {
    "first file": _Model(content=single, readable=_FIRST),
    "first file, exclusive": _Model(content=single, readable=_FIRST, overwrite=False),
    "first large file": _Model(content=large, readable=_FIRST),
    "first large file, resumed": _Model(content=large, readable=_FIRST, resumes=True),
    "first directory": _Model(content=directory, readable=_FIRST),
    "file over file": _Model(content=single, present=True, readable=_OVER),
    "large file over file": _Model(content=large, present=True, readable=_OVER),
    "large file over file, resumed": _Model(
        content=large, present=True, readable=_OVER, resumes=True
    ),
    "directory over directory": _Model(
        content=directory, present=True, readable=_OVER | {"incomplete"}
    ),
    "next version": _Repository(save_format="tf"),
    "next version of a file": _Repository(save_format="keras"),
}
