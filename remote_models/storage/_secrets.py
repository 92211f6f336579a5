"""Keep credentials out of what is printed: errors of other libraries quote URLs and options."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from remote_models.storage._location import Location

__all__ = ["quotes_secret", "without_secrets"]

_SECRET = re.compile(
    r"secret|token|passw|pwd|key|credential|auth|signature|sas|connection_string|cookie",
    re.IGNORECASE,
)
"""What the names of options are called that hold credentials."""

_SHORTEST = 4
"""Characters of a credential; shorter ones stand in any text."""

_USERINFO = re.compile(r"[^/@]*@")

_HIDDEN = "…"


def quotes_secret(error: BaseException, location: Location) -> bool:
    """Whether an error, or one that it came from, quotes a credential of ``location``."""
    secrets = list(_secrets(location))
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while secrets and waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        text = f"{each!r} {each}"
        if any(secret in text for secret in secrets):
            return True
        waiting += (each.__cause__, each.__context__)
    return False


def without_secrets(text: str, location: Location) -> str:
    """Return a text in which every credential of ``location`` is left out."""
    for secret in sorted(_secrets(location), key=len, reverse=True):
        text = text.replace(secret, _HIDDEN)
    return text


def _secrets(location: Location) -> Iterator[str]:
    """Yield the user and password of a URL, its query, and the options that are credentials."""
    userinfo = _USERINFO.match(location.path)
    found = [userinfo[0].rstrip("@")] if userinfo else []
    found += found[0].split(":") if found else []
    if location.protocol in ("http", "https"):
        query = location.path.partition("?")[2]
        found += [query, *re.split(r"[&=]", query)]
    found += _in_options(location.storage_options, is_secret=False)
    yield from dict.fromkeys(each for each in found if len(each) >= _SHORTEST)


def _in_options(value: Any, *, is_secret: bool) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            named = isinstance(name, str) and _SECRET.search(name) is not None
            yield from _in_options(inner, is_secret=is_secret or named)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _in_options(inner, is_secret=is_secret)
    elif isinstance(value, str):
        if is_secret:
            yield value
        elif "://" in value and (userinfo := _USERINFO.match(value.partition("://")[2])):
            yield userinfo[0].rstrip("@")
