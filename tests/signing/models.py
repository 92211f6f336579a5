"""Signed models, and what one does with them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from weights.artifacts import SAMPLES

import remote_models as rm
from remote_models.storage import Location
from signing.keys import KeyPair

__all__ = ["MODELS", "Signed", "signed_at"]

MODELS = {"saved_model": "tf_keras-2.21.0/saved_model", "model.keras": "keras-3.15.1/model.keras"}
"""A directory and a file."""


@dataclass(frozen=True, kw_only=True)
class Signed:
    """A signed model, and the keys that belong to its signature."""

    location: Location
    keys: KeyPair
    manifest: rm.Manifest

    @property
    def url(self) -> str:
        return str(self.location)

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.location.storage_options)

    @property
    def is_directory(self) -> bool:
        return self.location.name == "saved_model"

    def file(self, path: str) -> Location:
        return (self.location if self.is_directory else self.location.parent).join(path)

    @property
    def signature(self) -> Location:
        name = "model.sig" if self.is_directory else f"{self.location.name}.sig"
        return self.file(name)

    @property
    def stored_manifest(self) -> Location:
        if self.is_directory:
            return self.file("manifest.json")
        return self.file(f"{self.location.name}.manifest.json")

    def at(self, location: Location) -> Signed:
        return replace(self, location=location)

    def sign(self, **arguments: Any) -> rm.Manifest:
        return rm.sign_model(self.url, self.keys.private, storage_options=self.options, **arguments)

    def open(self, **arguments: Any) -> rm.RemoteModel:
        arguments = {"public_key": self.keys.public, **arguments}
        return rm.open_model(self.url, storage_options=self.options, **arguments)

    def verify(self, **arguments: Any) -> rm.VerifyReport:
        arguments = {"public_key": self.keys.public, **arguments}
        return rm.verify_model(self.url, storage_options=self.options, **arguments)

    def pull(self, directory: Path, **arguments: Any) -> list[Path]:
        arguments = {"public_key": self.keys.public, **arguments}
        return rm.pull_model(self.url, directory, storage_options=self.options, **arguments)


def signed_at(base: Location, name: str, keys: KeyPair) -> Signed:
    location = base.join(name)
    options = dict(location.storage_options)
    manifest = rm.push_model(SAMPLES / MODELS[name], str(location), storage_options=options)
    signed = Signed(location=location, keys=keys, manifest=manifest)
    assert signed.sign(manifest_digest=manifest.digest).digest == manifest.digest
    return signed
