"""What an answer says of itself, against what was asked for."""

from __future__ import annotations

import re

from remote_models.errors import StoreUnavailableError

__all__ = ["check_range", "check_whole"]

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
"""RFC 9110, section 14.4."""


def check_range(
    content_range: str | None, start: int, stop: int, nbytes: int, *, where: str
) -> None:
    """Refuse an answer that is not the bytes ``start`` to ``stop``, as far as the object goes.

    Proxies and caches on the way have been seen to answer with the whole object, with
    another range, or with more or fewer bytes than they announce. That a server may
    leave a range out of account (RFC 9110, section 14.2) is no error where it comes to
    the same.

    Args:
        content_range: The header of that name, which an answer with status 200 has not.
        start: The first byte that was asked for.
        stop: The byte behind the last.
        nbytes: How many bytes have come.
        where: The object's URL.

    Raises:
        StoreUnavailableError: it is another; asked again, the store may do better.
    """
    match = _CONTENT_RANGE.fullmatch(content_range or "")
    if match is None:
        fits = content_range is None and start == 0 and nbytes <= stop
        found = content_range or f"{nbytes} bytes without a range"
    else:
        first, last = int(match[1]), int(match[2])
        end = stop if match[3] == "*" else min(stop, int(match[3]))
        fits = first == start and last + 1 == end and nbytes == end - start
        found = f"{nbytes} bytes as {content_range!r}"
    if not fits:
        raise StoreUnavailableError(
            "the answer is not what was asked for",
            where=where,
            expected=f"bytes {start}-{stop - 1}",
            found=found,
            hint="Try again, or look at what is between here and the store",
        )


def check_whole(size: int, nbytes: int, *, where: str) -> None:
    """Refuse an answer of ``nbytes`` bytes that is said to be an object of ``size`` bytes.

    Raises:
        StoreUnavailableError: it is not; asked again, the store may do better.
    """
    if nbytes != size:
        raise StoreUnavailableError(
            "the answer broke off", where=where, expected=f"{size} bytes",
            found=f"{nbytes} bytes", hint="Try again",
        )  # fmt: skip
