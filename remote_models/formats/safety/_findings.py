"""What is wrong with an artifact that a framework must not see, and the error for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from remote_models.errors import UnsafeFormatError

__all__ = ["Finding", "refuse"]

_SHOWN = 3
"""Findings that an error names."""

_MAX_SHOWN = 160
"""Characters of a finding's part that a stranger chose."""

_HINT = "If you trust whoever saved it, pass safe_mode=False"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that could run code or reach outside the artifact.

    Attributes:
        owner: The layer, operation or member that does it, in words.
        problem: What it does, in words that follow the owner.
        hint: How to allow it, if there is another way than trusting all of it.
        name: The name of a class or function that has to be given, else empty.
        is_file: Whether it is a file that a layer reads.
    """

    owner: str
    problem: str
    hint: str = ""
    name: str = ""
    is_file: bool = False

    def __str__(self) -> str:
        """The finding as a sentence without a full stop."""
        return f"{shorten(self.owner)} {self.problem}"


def shorten(text: object) -> str:
    """Return a text that a stranger chose, fit to print."""
    shown = ascii(text)[1:-1] if isinstance(text, str) else ascii(text)
    return shown if len(shown) <= _MAX_SHOWN else f"{shown[:_MAX_SHOWN]}…"


def refuse(findings: Sequence[Finding], where: str) -> None:
    """Do nothing without findings.

    Raises:
        UnsafeFormatError: there are findings; it names the first ones.
    """
    if not findings:
        return
    shown = list(dict.fromkeys(map(str, findings)))
    more = f"; and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    hint = next((each.hint for each in findings if each.hint), "")
    raise UnsafeFormatError(
        f"{'; '.join(shown[:_SHOWN])}{more}",
        where=where,
        hint=f"{hint}. {_HINT}" if hint else _HINT,
    )
