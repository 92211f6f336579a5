"""What each call needs on S3: the table of docs/repository.md, where policies are enforced."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from permissions.iam import Enforcer, enforcing_moto, needs

from remote_models.errors import AccessDeniedError
from remote_models.storage import Location
from remote_models.testing import set_environment
from repository.versions import fill, label_of, repository_at, save_next

TABLE = Path(__file__).parents[2] / "docs" / "repository.md"


def load(root: Location) -> None:
    assert label_of(repository_at(root).open("production")) == "v2"
    assert label_of(repository_at(root).open(1)) == "v1"


def save(root: Location) -> None:
    assert save_next(root, "v3").number == 3


def prune(root: Location) -> None:
    assert [each.number for each in repository_at(root).prune(keep_last=1).deleted] == [1]


OPERATIONS: dict[str, Callable[[Location], object]] = {
    "load or open": load,
    "save": save,
    "set an alias": lambda root: repository_at(root).set_alias("production", 1),
    "list versions": lambda root: repository_at(root).versions(),
    "list aliases": lambda root: repository_at(root).aliases(),
    "prune": prune,
}


@pytest.fixture(scope="module")
def enforcer() -> Iterator[Enforcer]:
    with enforcing_moto() as enforcer:
        yield enforcer


@pytest.fixture(params=["obstore", "fsspec"])
def client(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("REMOTE_MODELS_CLIENT", request.param)
    return str(request.param)


def attempt(enforcer: Enforcer, name: str, actions: list[str], *, versions: int = 2) -> None:
    """Do it in a new bucket, as somebody who may do ``actions`` there."""
    bucket = enforcer.make_bucket()
    root = Location.parse(f"s3://{bucket}/models")
    with set_environment(enforcer.administrator):
        if versions:
            fill(root, versions)
            repository_at(root).set_alias("production", 2)
    with set_environment(enforcer.account(bucket, actions)):
        OPERATIONS[name](root)


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("name", OPERATIONS)
def test_what_is_needed(enforcer: Enforcer, name: str) -> None:
    actions = needs(TABLE)[name]
    attempt(enforcer, name, actions)
    for missing in actions:
        with pytest.raises(AccessDeniedError):
            attempt(enforcer, name, [action for action in actions if action != missing])


@pytest.mark.usefixtures("client")
def test_the_first_version_needs_no_more(
    enforcer: Enforcer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(OPERATIONS, "first", lambda root: save_next(root, "v1"))
    attempt(enforcer, "first", needs(TABLE)["save"], versions=0)
    with pytest.raises(AccessDeniedError):
        attempt(enforcer, "first", ["s3:PutObject", "s3:DeleteObject"], versions=0)


def test_every_row_is_tried() -> None:
    assert set(needs(TABLE)) == set(OPERATIONS)
