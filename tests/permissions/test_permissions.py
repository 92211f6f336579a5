"""What each verb needs on S3: exactly that is enough, and with one action less it is refused.

What it needs is read from the table of docs/permissions.md.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import boto3
import pytest
from publishing.artifacts import directory, save
from publishing.faults import Fault, FaultyStore, Killed, Plan
from signing.keys import key_pair
from weights.artifacts import SAMPLES

import remote_models as rm
from permissions.iam import Enforcer, enforcing_moto, needs
from remote_models.errors import AccessDeniedError
from remote_models.storage import Location, open_store
from remote_models.testing import set_environment

TABLE = Path(__file__).parents[2] / "docs" / "permissions.md"

KERAS = SAMPLES / "keras-3.15.1" / "model.keras"
SAVED_MODEL = SAMPLES / "keras-3.15.1" / "exported"
UNFINISHED = 14
"""The operation of a save at which it is killed when one of its files has appeared."""

OTHER_SAVED_MODEL = SAMPLES / "tf_keras-2.21.0" / "saved_model"


@dataclass(frozen=True, kw_only=True)
class Operation:
    """Something that is done with a bucket.

    Attributes:
        act: What is done, below a URL, with an empty folder of this machine.
        prepare: What an administrator does before.
    """

    act: Callable[[str, Path], object]
    prepare: Callable[[str], object] = lambda _: None


def put_bare(url: str) -> None:
    """Put a model there as others do, without a manifest."""
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    for path in SAVED_MODEL.rglob("*"):
        if path.is_file():
            key = f"{prefix}/model/{path.relative_to(SAVED_MODEL).as_posix()}"
            boto3.Session().client("s3").put_object(Bucket=bucket, Key=key, Body=path.read_bytes())


def read_tensors(url: str, _folder: Path) -> None:
    with rm.open_model(f"{url}/model") as remote:
        assert remote.weights.fetch()


def leave_unfinished(url: str) -> None:
    """Kill a first save between two of its files."""
    location = Location.parse(f"{url}/model")
    store = FaultyStore(open_store(location), Plan(Fault.KILL, UNFINISHED))
    with pytest.raises(Killed):
        save(location, directory("new"), store=store)
    assert set(open_store(location).list(location)) == {"manifest.json", "fingerprint.pb"}


def verify_all(url: str) -> None:
    (result,) = rm.verify_models(url)
    if result.error:
        raise result.error
    assert result.value is not None
    assert result.value.ok


def sign(url: str, folder: Path) -> None:
    folder.mkdir()
    rm.sign_model(f"{url}/model", key_pair().write(folder)[0])


def sweep(url: str, *, dry_run: bool) -> None:
    report = rm.collect_garbage(url, older_than=timedelta(0), dry_run=dry_run)
    # It goes on with what it may, and tells what it had to leave.
    left = [each for each in report.skipped if "unfinished uploads" not in each]
    if left:
        raise AccessDeniedError(left[0])
    assert len(report.leftovers) == 2


def pull_bare(url: str, folder: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rm.UnverifiedModelWarning)
        rm.pull_model(f"{url}/model", folder)


OPERATIONS = {
    "load": Operation(
        prepare=lambda url: rm.push_model(SAVED_MODEL, f"{url}/model"),
        act=lambda url, folder: rm.pull_model(f"{url}/model", folder),
    ),
    "read tensors": Operation(
        prepare=lambda url: rm.push_model(SAVED_MODEL, f"{url}/model"),
        act=read_tensors,
    ),
    "verify": Operation(
        prepare=lambda url: rm.push_model(SAVED_MODEL, f"{url}/model"),
        act=lambda url, _: rm.verify_model(f"{url}/model"),
    ),
    "load without a manifest": Operation(prepare=put_bare, act=pull_bare),
    "adopt": Operation(prepare=put_bare, act=lambda url, _: rm.adopt_model(f"{url}/model")),
    "list": Operation(
        prepare=lambda url: rm.push_model(SAVED_MODEL, f"{url}/model"),
        act=lambda url, _: list(rm.list_models(url)),
    ),
    "verify all below a URL": Operation(
        prepare=lambda url: rm.push_model(SAVED_MODEL, f"{url}/model"),
        act=lambda url, _: verify_all(url),
    ),
    "copy": Operation(
        prepare=lambda url: rm.push_model(SAVED_MODEL, f"{url}/model"),
        act=lambda url, _: rm.copy_model(f"{url}/model", f"{url}/copy"),
    ),
    "save": Operation(act=lambda url, _: rm.push_model(KERAS, f"{url}/model.keras")),
    "save over an old one": Operation(
        prepare=lambda url: rm.push_model(OTHER_SAVED_MODEL, f"{url}/model"),
        act=lambda url, _: rm.push_model(SAVED_MODEL, f"{url}/model"),
    ),
    "sign": Operation(
        prepare=lambda url: rm.push_model(SAVED_MODEL, f"{url}/model"),
        act=sign,
    ),
    "gc": Operation(prepare=leave_unfinished, act=lambda url, _: sweep(url, dry_run=True)),
    "gc --delete": Operation(
        prepare=leave_unfinished, act=lambda url, _: sweep(url, dry_run=False)
    ),
    "save with overwrite=False": Operation(
        act=lambda url, _: rm.push_model(SAVED_MODEL, f"{url}/model", overwrite=False)
    ),
}


@pytest.fixture(scope="module")
def enforcer() -> Iterator[Enforcer]:
    with enforcing_moto() as enforcer:
        yield enforcer


@pytest.fixture(params=["obstore", "fsspec"])
def client(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("REMOTE_MODELS_CLIENT", request.param)
    return str(request.param)


def attempt(enforcer: Enforcer, operation: Operation, actions: list[str], folder: Path) -> None:
    """Do it in a new bucket, as somebody who may do ``actions`` there."""
    bucket = enforcer.make_bucket()
    with set_environment(enforcer.administrator):
        operation.prepare(f"s3://{bucket}/models")
    with set_environment(enforcer.account(bucket, actions)):
        operation.act(f"s3://{bucket}/models", folder)


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("name", OPERATIONS)
def test_what_is_needed(enforcer: Enforcer, name: str, tmp_path: Path) -> None:
    actions = needs(TABLE)[name]
    attempt(enforcer, OPERATIONS[name], actions, tmp_path / "all")
    for missing in actions:
        fewer = [action for action in actions if action != missing]
        with pytest.raises(AccessDeniedError):
            attempt(enforcer, OPERATIONS[name], fewer, tmp_path / missing)


def test_every_row_is_tried() -> None:
    assert set(needs(TABLE)) == set(OPERATIONS)
