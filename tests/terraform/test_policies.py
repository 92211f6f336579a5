"""The roles of aws_access, made by a genuine provider on a server that enforces policies.

With them the library saves and loads, and can do nothing else.
"""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from permissions.iam import enforcing_moto
from repository.versions import label_of, save_next
from weights.artifacts import SAMPLES

import remote_models as rm
from remote_models.errors import AccessDeniedError
from remote_models.repository import Repository
from remote_models.storage import Location
from remote_models.testing import Emulator, set_environment
from terraform.genuine import PLATFORM, apply

pytestmark = [
    pytest.mark.skipif(shutil.which("terraform") is None, reason="no terraform here"),
    pytest.mark.skipif(not PLATFORM, reason="the genuine provider is for Linux on x86_64"),
]

MODEL = SAMPLES / "keras-3.15.1" / "exported"
OTHER = SAMPLES / "tf_keras-2.21.0" / "saved_model"
ISSUER = "token.actions.githubusercontent.com"
SUBJECT = "repo:acme/train:ref:refs/heads/main"


@dataclass(frozen=True, kw_only=True)
class Roles:
    """The server as seen by who has each role, and by who may do all but is not trusted.

    Attributes:
        trust: Who may become the writer, as the provider has told IAM.
    """

    url: str
    administrator: Emulator
    writer: Emulator
    reader: Emulator
    stranger: Emulator
    writer_arn: str
    trust: list[dict[str, Any]]


def become(emulator: Emulator, arn: str) -> Emulator:
    """Return the server as seen by who has taken a role."""
    with set_environment(emulator):
        answer = boto3.Session().client("sts").assume_role(RoleArn=arn, RoleSessionName="test")
    keys = answer["Credentials"]
    key, secret, token = (keys[n] for n in ("AccessKeyId", "SecretAccessKey", "SessionToken"))
    variables = {
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_SESSION_TOKEN": token,
    }
    return replace(
        emulator,
        environment={**emulator.environment, **variables},
        storage_options={
            **emulator.storage_options,
            "key": key,
            "secret": secret,
            "token": token,
        },
    )


@pytest.fixture(scope="module")
def roles(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Roles]:
    with enforcing_moto() as enforcer:
        administrator = enforcer.administrator
        bucket = f"test-{secrets.token_hex(8)}"
        with set_environment(administrator):
            boto3.Session().client("s3").create_bucket(Bucket=bucket)
            trusted = boto3.Session().client("sts").get_caller_identity()["Arn"]
        variables = {
            "name_prefix": "models",
            "bucket_name": bucket,
            "prefix": "models/",
            "writer_principal_arns": [trusted],
            "reader_principal_arns": [trusted],
            "oidc_issuer_url": f"https://{ISSUER}",
            "oidc_writer_subjects": [SUBJECT],
        }
        folder = tmp_path_factory.mktemp("terraform")
        outputs = apply("aws_access", variables, administrator, folder)
        with set_environment(administrator):
            iam = boto3.Session().client("iam")
            writer = iam.get_role(RoleName="models-writer")["Role"]
            policies = {
                who: iam.get_role_policy(RoleName=f"models-{who}", PolicyName="models")
                for who in ("reader", "writer")
            }
        assert {who: json.loads(outputs[f"{who}_policy_json"]) for who in ("reader", "writer")} == {
            who: policy["PolicyDocument"] for who, policy in policies.items()
        }
        everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        yield Roles(
            url=f"s3://{bucket}",
            administrator=administrator,
            writer=become(administrator, outputs["writer_role_arn"]),
            reader=become(administrator, outputs["reader_role_arn"]),
            stranger=enforcer._make("stranger", [everything]),
            writer_arn=outputs["writer_role_arn"],
            trust=writer["AssumeRolePolicyDocument"]["Statement"],
        )


@pytest.fixture(params=["obstore", "fsspec"])
def url(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, roles: Roles) -> str:
    """A folder below the prefix, through each client."""
    monkeypatch.setenv("REMOTE_MODELS_CLIENT", request.param)
    return f"{roles.url}/models/{secrets.token_hex(4)}"


def test_writer_saves_and_reader_loads(roles: Roles, url: str, tmp_path: Path) -> None:
    with set_environment(roles.writer):
        rm.push_model(MODEL, f"{url}/model", overwrite=False)
        rm.push_model(OTHER, f"{url}/model")
        assert rm.verify_model(f"{url}/model").ok
    with set_environment(roles.reader):
        rm.pull_model(f"{url}/model", tmp_path / "model")
        with rm.open_model(f"{url}/model") as remote:
            assert remote.weights.fetch()
    assert (tmp_path / "model/saved_model.pb").read_bytes() == (
        OTHER / "saved_model.pb"
    ).read_bytes()


def test_continuous_integration_may_become_the_writer(roles: Roles) -> None:
    _principal, signed_in = roles.trust
    assert signed_in["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert signed_in["Principal"]["Federated"].endswith(f":oidc-provider/{ISSUER}")
    assert signed_in["Condition"] == {
        "StringEquals": {f"{ISSUER}:aud": "sts.amazonaws.com"},
        "StringLike": {f"{ISSUER}:sub": [SUBJECT]},
    }


def test_strangers_become_nobody(roles: Roles) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        become(roles.stranger, roles.writer_arn)


def test_writer_keeps_a_repository(roles: Roles, url: str) -> None:
    with set_environment(roles.writer):
        assert save_next(Location.parse(url), "v1").number == 1
        assert save_next(Location.parse(url), "v2").number == 2
        Repository(url).set_alias("production", 1)
    with set_environment(roles.reader):
        assert label_of(Repository(url).open("production")) == "v1"


def test_reader_writes_nothing(roles: Roles, url: str) -> None:
    with set_environment(roles.reader), pytest.raises(AccessDeniedError):
        rm.push_model(MODEL, f"{url}/model")
    with set_environment(roles.administrator):
        bucket = roles.url.removeprefix("s3://")
        prefix = url.removeprefix(f"{roles.url}/")
        assert (
            boto3.Session().client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix)["KeyCount"]
            == 0
        )


@pytest.mark.usefixtures("url")
def test_neither_leaves_the_prefix(roles: Roles, tmp_path: Path) -> None:
    elsewhere = f"{roles.url}/other/model"
    with set_environment(roles.administrator):
        rm.push_model(MODEL, elsewhere)
    for role in (roles.reader, roles.writer):
        with set_environment(role), pytest.raises(AccessDeniedError):
            rm.pull_model(elsewhere, tmp_path / "model")
    with set_environment(roles.writer), pytest.raises(AccessDeniedError):
        rm.push_model(OTHER, elsewhere)
    with set_environment(roles.administrator):
        assert rm.verify_model(elsewhere).ok


def test_neither_lists(roles: Roles, url: str) -> None:
    for role in (roles.reader, roles.writer):
        with set_environment(role), pytest.raises(AccessDeniedError):
            list(rm.list_models(url))
