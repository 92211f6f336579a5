"""S3 for the emulators: accounts, and the few requests that fixtures need.

Requests are signed by botocore and sent without it. A botocore client would
read the developer's ``~/.aws``, obey ``AWS_PROFILE`` and take longer to
construct than moto to start.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from remote_models.testing._emulator import Emulator
from remote_models.testing._http import Reply, exchange
from remote_models.testing._package import import_package
from remote_models.testing._process import log_path

_REGION = "us-east-1"
_ENABLE_VERSIONING = (
    b'<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    b"<Status>Enabled</Status></VersioningConfiguration>"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """A pair of S3 keys at one endpoint."""

    endpoint_url: str
    access_key: str
    secret_key: str

    @property
    def environment(self) -> dict[str, str]:
        """Variables that make AWS clients use this account, and nothing else."""
        return {
            # Both: s3fs and botocore prefer the second to the first.
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ENDPOINT_URL_S3": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": _REGION,
            "AWS_REGION": _REGION,
            # No profile of the developer's, no request to a metadata service.
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }

    @property
    def storage_options(self) -> dict[str, object]:
        """Arguments for ``s3fs.S3FileSystem``."""
        return {
            "key": self.access_key,
            "secret": self.secret_key,
            "endpoint_url": self.endpoint_url,
            "client_kwargs": {"region_name": _REGION},
        }

    def emulator(self, name: str, directory: Path) -> Emulator:
        """Return the server at the endpoint, whose output is logged in ``directory``."""
        return Emulator(
            name=name,
            endpoint_url=self.endpoint_url,
            environment=self.environment,
            storage_options=self.storage_options,
            log_path=log_path(directory),
            _scheme="s3",
            _create_bucket=self.create_bucket,
        )

    def request(self, method: str, path: str, body: bytes = b"") -> Reply:
        """Send one signed request, such as ``PUT`` to ``bucket/key``.

        Raises:
            MissingDependencyError: botocore is not installed.
            StoreUnavailableError: The server does not answer.
        """
        auth = import_package("botocore.auth")
        credentials = import_package("botocore.credentials")
        awsrequest = import_package("botocore.awsrequest")
        url = f"{self.endpoint_url}/{path}"
        request = awsrequest.AWSRequest(method=method, url=url, data=body)
        keys = credentials.Credentials(self.access_key, self.secret_key)
        auth.S3SigV4Auth(keys, "s3", _REGION).add_auth(request)
        return exchange(method, url, headers=dict(request.headers.items()), body=body)

    def create_bucket(self, name: str, versioning: bool) -> None:
        """Create a bucket.

        Raises:
            StorageError: The server refused.
        """
        self.request("PUT", name).require_ok(name)
        if versioning:
            self.request("PUT", f"{name}?versioning", _ENABLE_VERSIONING).require_ok(name)
