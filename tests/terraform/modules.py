"""Terraform's modules, read without Terraform."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hcl2

__all__ = ["MODULES", "ROOT", "Module"]

ROOT = Path(__file__).parents[2] / "terraform"
MODULES = sorted(str(each.parent.relative_to(ROOT)) for each in ROOT.rglob("versions.tf"))


@dataclass(frozen=True)
class Module:
    """One folder of .tf files.

    Attributes:
        folder: Where they lie.
    """

    folder: Path

    def file(self, name: str) -> dict[str, Any]:
        """Return what a file says, without quotation marks."""
        text = (self.folder / name).read_text(encoding="utf-8")
        return dict(_plain(hcl2.loads(text)))

    @property
    def variables(self) -> dict[str, dict[str, Any]]:
        return _labelled(self.file("variables.tf")["variable"])

    @property
    def outputs(self) -> dict[str, dict[str, Any]]:
        return _labelled(self.file("outputs.tf")["output"])

    @property
    def local_values(self) -> dict[str, Any]:
        return {
            name: value
            for block in self.file("main.tf").get("locals", [])
            for name, value in block.items()
        }

    @property
    def requirements(self) -> dict[str, Any]:
        """What versions.tf asks for."""
        (block,) = self.file("versions.tf")["terraform"]
        return dict(block)

    @property
    def readme(self) -> str:
        return (self.folder / "README.md").read_text(encoding="utf-8")

    @property
    def tests(self) -> str:
        """The module's own tests, as text."""
        return "\n".join(
            path.read_text(encoding="utf-8")
            for path in sorted((self.folder / "tests").glob("*.tftest.hcl"))
        )


def _labelled(blocks: list[dict[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    return {name: body for block in blocks for name, body in block.items()}


def _plain(value: Any) -> Any:
    """Take off the quotation marks with which python-hcl2 tells text from expressions."""
    if isinstance(value, dict):
        return {_unquoted(key): _plain(each) for key, each in value.items() if key[:2] != "__"}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return _unquoted(value) if isinstance(value, str) else value


def _unquoted(text: str) -> str:
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return text[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    return text
