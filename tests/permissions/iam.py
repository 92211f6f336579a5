"""Accounts of a moto server that may do what their policy says, and nothing else.

moto enforces policies once it is told to (its documentation, "IAM-like Access Control"):
actions, resources and signatures, but no conditions.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import boto3

from remote_models.testing import Emulator, moto_server

__all__ = ["Enforcer", "enforcing_moto", "needs"]

_BUCKET_ACTIONS = {"s3:ListBucket", "s3:ListBucketMultipartUploads", "s3:ListBucketVersions"}
"""Actions whose resource is the bucket (Service Authorization Reference, "Amazon S3")."""


@dataclass(frozen=True)
class Enforcer:
    """The server, as seen by who may do all."""

    administrator: Emulator
    _iam: Any

    def make_bucket(self) -> str:
        """Make a bucket, as who may do all; return its name."""
        name = f"test-{secrets.token_hex(8)}"
        _client("s3", self.administrator).create_bucket(Bucket=name)
        return name

    def account(self, bucket: str, actions: Iterable[str]) -> Emulator:
        """Return the server as seen by a new account that may do ``actions`` in a bucket."""
        name = f"user-{secrets.token_hex(6)}"
        return self._make(name, [
            {
                "Effect": "Allow",
                "Action": action,
                "Resource": f"arn:aws:s3:::{bucket}"
                + ("" if action in _BUCKET_ACTIONS else "/*"),
            }
            for action in sorted(actions)
        ])  # fmt: skip

    def _make(self, name: str, statements: list[dict[str, str]]) -> Emulator:
        self._iam.create_user(UserName=name)
        if statements:
            document = {"Version": "2012-10-17", "Statement": statements}
            self._iam.put_user_policy(
                UserName=name, PolicyName="it", PolicyDocument=json.dumps(document)
            )
        keys = self._iam.create_access_key(UserName=name)["AccessKey"]
        key, secret = keys["AccessKeyId"], keys["SecretAccessKey"]
        variables = {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}
        return replace(
            self.administrator,
            environment={**self.administrator.environment, **variables},
            storage_options={**self.administrator.storage_options, "key": key, "secret": secret},
        )


@contextmanager
def enforcing_moto() -> Iterator[Enforcer]:
    """Run a moto server that enforces policies while the block lasts."""
    with moto_server() as emulator:
        first = Enforcer(emulator, _client("iam", emulator))
        allow = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        administrator = first._make("administrator", [allow])
        # How many requests pass before policies count.
        told = Request(
            f"{emulator.endpoint_url}/moto-api/reset-auth",
            data=b"0",
            headers={"Content-Type": "text/plain"},
        )
        with urlopen(told):
            pass
        yield Enforcer(administrator, _client("iam", administrator))


def _client(service: str, emulator: Emulator) -> Any:
    return boto3.client(
        service,
        endpoint_url=emulator.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id=emulator.environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=emulator.environment["AWS_SECRET_ACCESS_KEY"],
    )


def needs(page: Path) -> dict[str, list[str]]:
    """Return the actions that each row of a page's table names first."""
    rows = re.findall(r"^\| ([^|]+?) \| (`s3:[^|]+?) \|", page.read_text("utf-8"), re.MULTILINE)
    return {name: re.findall(r"`(s3:\w+)`", cell) for name, cell in rows}
