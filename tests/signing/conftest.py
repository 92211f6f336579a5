"""Signed models in every store."""

from __future__ import annotations

import pytest

from remote_models.storage import Location
from signing.keys import KeyPair, key_pair
from signing.models import MODELS, Signed, signed_at


@pytest.fixture(scope="session")
def keys() -> KeyPair:
    return key_pair()


@pytest.fixture(params=MODELS)
def model_name(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def signed(base: Location, model_name: str, keys: KeyPair) -> Signed:
    """A signed directory and a signed file, in each of the stores."""
    return signed_at(base, model_name, keys)


@pytest.fixture
def local(local_base: Location, model_name: str, keys: KeyPair) -> Signed:
    """A signed directory and a signed file on this machine."""
    return signed_at(local_base, model_name, keys)
