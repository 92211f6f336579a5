"""Saves below a prefix that aws_model_bucket declares write-once.

No server at hand knows the conditions of its policy, so that a proxy refuses what S3 would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from fnmatch import fnmatchcase
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from publishing.artifacts import Content, directory, expected, load, save, single
from publishing.request_scenarios import large
from repository.versions import label_of, repository_at, save_next
from weights.counting_proxy import CountingProxy, counting_proxy

from remote_models.errors import AccessDeniedError
from remote_models.storage import Location
from remote_models.testing import Emulator
from terraform.modules import ROOT, Module

MODEL_FILES = Module(ROOT / "aws_model_bucket").local_values["model_files"]


def permits(method: str, path: str, headers: frozenset[str]) -> bool:
    """Return what the two statements of the policy say of a request."""
    parts = urlsplit(path)
    query = parse_qs(parts.query, keep_blank_values=True)
    # s3:ObjectCreationOperation: neither the beginning of a multipart upload nor a part.
    creates = (method == "PUT" and "partNumber" not in query) or (
        method == "POST" and "uploadId" in query
    )
    if not creates:
        return True
    key = unquote(parts.path)
    if any(fnmatchcase(key, pattern) for pattern in MODEL_FILES):
        return "if-none-match" in headers
    return bool({"if-match", "if-none-match"} & headers)


@pytest.fixture(params=["obstore", "fsspec"])
def base(
    request: pytest.FixtureRequest,
    moto: Emulator,
    moto_base: Location,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Location]:
    """An empty prefix, write-once, through each client."""
    monkeypatch.setenv("REMOTE_MODELS_CLIENT", request.param)
    with counting_proxy(moto.endpoint_url) as proxy:
        proxy.permits = permits
        yield behind(moto_base, proxy)


def behind(location: Location, proxy: CountingProxy) -> Location:
    options = {**location.storage_options, "endpoint_url": proxy.endpoint_url}
    return replace(location, storage_options=options)


@pytest.mark.parametrize("make", [single, directory, large])
def test_a_model_is_saved_once(base: Location, make: Callable[[str], Content]) -> None:
    old, new = make("old"), make("new")
    location = base.join(old.name)
    save(location, old, overwrite=False)
    with pytest.raises(AccessDeniedError):
        save(location, new)
    assert load(location) == expected(old)


def test_a_repository_works_as_ever(base: Location) -> None:
    for number, label in enumerate(("v1", "v2"), start=1):
        assert save_next(base, label).number == number
        repository_at(base).set_alias("production", number)
    assert label_of(repository_at(base).open("production")) == "v2"
    assert label_of(repository_at(base).open(1)) == "v1"
