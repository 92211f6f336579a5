"""No credential is in what an error prints, its traceback included."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Any

import fsspec
import pytest
from fsspec import AbstractFileSystem

import remote_models as rm
from remote_models.errors import RemoteModelsError
from remote_models.storage import Location
from remote_models.storage._store import Store

SECRET = "s3cr3t-value"

LOCATIONS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "a presigned URL": ("https://host/m.keras?X-Amz-Signature=" + SECRET, {}),
    "a password": (f"ftp://user:{SECRET}@host/m.keras", {}),
    "options": ("abfs://box/m.keras", {"account_key": SECRET}),
    "nested options": ("abfs://box/m.keras", {"kwargs": {"session": {"auth_token": SECRET}}}),
    "a list in options": ("abfs://box/m.keras", {"credentials": ["anon", SECRET]}),
    "an endpoint": ("abfs://box/m.keras", {"endpoint": f"https://user:{SECRET}@host"}),
}


class Talkative(AbstractFileSystem):  # type: ignore[misc]  # fsspec ships no types
    """A filesystem whose errors quote all that they know."""

    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        super().__init__()
        self._text = f"{url} {options}"

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        raise OSError(f"request failed: {self._text}") from ConnectionError(self._text)


@pytest.mark.parametrize("name", LOCATIONS)
def test_errors_quote_no_secret(name: str) -> None:
    url, options = LOCATIONS[name]
    location = Location.parse(url, options)
    with pytest.raises(RemoteModelsError) as caught:
        Store(Talkative(url, options)).head(location)
    printed = "".join(traceback.format_exception(caught.value))
    assert "request failed" in printed
    for text in (printed, repr(caught.value), repr(location), str(location), f"{[location]}"):
        assert SECRET not in text


def test_a_cause_without_secrets_stays() -> None:
    location = Location.parse("abfs://box/m.keras", {"account_key": SECRET})
    with pytest.raises(RemoteModelsError) as caught:
        Store(Talkative("abfs://box/m.keras", {})).head(location)
    assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.parametrize("url", ["memory://m.keras", "s3://bucket/m.keras"])
def test_wrong_options_are_named_and_not_quoted(url: str) -> None:
    def refuse(self: Any, **options: Any) -> None:
        raise TypeError(f"what is {options}?")

    options = {"secret": SECRET, "config_kwargs": {"nonsense": {"token": SECRET}}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REMOTE_MODELS_CLIENT", "fsspec")
        patch.setattr(fsspec.get_filesystem_class(url.partition(":")[0]), "__init__", refuse)
        with pytest.raises(RemoteModelsError) as caught:
            rm.open_model(url, storage_options=options)
    printed = "".join(traceback.format_exception(caught.value))
    assert "secret" in printed
    assert SECRET not in printed
