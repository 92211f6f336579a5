"""Repositories whose versions are signed."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from weights.artifacts import SAMPLES

import remote_models as rm
from remote_models.errors import SignatureError
from remote_models.storage import Location
from signing.keys import KeyPair
from signing.models import MODELS

KERNEL = np.arange(6, dtype="float32").reshape(3, 2)


def test_only_signed_versions_are_opened(memory_base: Location, keys: KeyPair) -> None:
    url = str(memory_base)
    repository = rm.Repository(url, public_key=keys.public)
    rm.push_model(SAMPLES / MODELS["saved_model"], f"{url}/1")
    rm.push_model(SAMPLES / MODELS["model.keras"], f"{url}/2/model.keras")
    for version in (1, 2):
        with pytest.raises(SignatureError, match="not signed"):
            repository.open(version)
        rm.sign_model(repository.url(version), keys.private)
        for each in (repository, pickle.loads(pickle.dumps(repository))):
            assert np.array_equal(each.open(version).weights["dense/kernel"], KERNEL)
    assert [version.number for version in repository.versions()] == [1, 2]


def test_a_pruned_version_leaves_no_signature(memory_base: Location, keys: KeyPair) -> None:
    url = str(memory_base)
    for number in (1, 2, 3):
        rm.push_model(SAMPLES / MODELS["model.keras"], f"{url}/{number}/model.keras")
        rm.sign_model(f"{url}/{number}/model.keras", keys.private)
    rm.Repository(url).prune(keep_last=1)
    left = {path for path in MemoryFileSystem.store if path.startswith(f"/{memory_base.path}/")}
    assert not [path for path in left if "/1/" in path or "/2/" in path]
