"""Credentials that expire, and those that are renewed while a store is in use."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from storage.test_conformance import publish
from weights.counting_proxy import CountingProxy, Disturbance, counting_proxy

from faults.servers import Disturbed
from remote_models.errors import CredentialsError
from remote_models.storage import Location, open_store, read_all
from remote_models.testing import Emulator, set_environment

both_clients = pytest.mark.parametrize("client", ["s3fs", "obstore"], indirect=True)


@both_clients
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_an_expired_token_is_told_as_such_and_at_once(
    store: Disturbed, client: str, method: str
) -> None:
    location = store.base.join("object")
    publish(open_store(store.direct), store.direct.join("object"), b"hello")
    store.proxy.disturbs = lambda its, _: Disturbance.EXPIRED if its == method else None
    store.proxy.clear()
    opened = open_store(location)

    def act() -> None:
        if method == "GET":
            read_all(opened, location, limit=100)
        else:
            publish(opened, location, b"other")

    with pytest.raises(CredentialsError, match=r"have expired.*Get new ones"):
        act()
    assert sum(each.method == method for each in store.proxy.exchanges) == 1


class Issuer:
    """Gives out credentials, of which only the latest are good.

    They always have a minute left: every client renews such before it uses them.
    """

    def __init__(self) -> None:
        self.number = 1

    @property
    def key(self) -> str:
        return f"KEY{self.number}"

    def document(self) -> dict[str, object]:
        expiration = datetime.now(UTC) + timedelta(minutes=1)
        return {
            "AccessKeyId": self.key, "SecretAccessKey": "secret",
            "Expiration": expiration.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }  # fmt: skip

    def rotate(self) -> None:
        self.number += 1


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def proxy(moto: Emulator, issuer: Issuer) -> Iterator[CountingProxy]:
    """moto takes any key; the proxy before it takes the issuer's latest."""
    with counting_proxy(moto.endpoint_url) as proxy:
        proxy.admits = lambda authorization: f"Credential={issuer.key}/" in authorization
        yield proxy


@pytest.fixture
def environment(
    moto: Emulator, proxy: CountingProxy, monkeypatch: pytest.MonkeyPatch
) -> Iterator[pytest.MonkeyPatch]:
    """The proxy's address, and no credentials."""
    with set_environment(moto):
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
            monkeypatch.setenv(name, proxy.endpoint_url)
        yield monkeypatch


def check_renewal(issuer: Issuer, base: Location) -> None:
    """Use one store before and after its credentials were exchanged for others."""
    location = Location.parse(base.join("object").url)
    opened = open_store(location)
    for content in (b"first", b"second", b"third"):
        publish(opened, location, content)
        issuer.rotate()
        time.sleep(0.2)  # obstore uses what it has just got for 0.1 s
        assert read_all(opened, location, limit=100) == content


@pytest.fixture
def container(issuer: Issuer, environment: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The service that ECS and EKS put beside a container."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            assert self.headers["Authorization"] == "let me in"
            body = json.dumps({**issuer.document(), "Token": "token"}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    token = tmp_path / "token"
    token.write_text("let me in", encoding="utf-8")
    url = f"http://127.0.0.1:{server.server_address[1]}/credentials"
    environment.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url)
    environment.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(token))
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@both_clients
@pytest.mark.usefixtures("container")
def test_credentials_of_a_container_are_renewed(
    client: str, issuer: Issuer, moto_base: Location
) -> None:
    check_renewal(issuer, moto_base)
    assert issuer.number == 4


@pytest.mark.parametrize("client", ["s3fs"], indirect=True)
def test_credentials_of_a_process_are_renewed(
    client: str,
    issuer: Issuer,
    moto_base: Location,
    environment: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    document = tmp_path / "credentials.json"
    config = tmp_path / "config"
    program = tmp_path / "program.py"
    program.write_text(f"print(open({str(document)!r}).read())", encoding="utf-8")
    config.write_text(
        f"[profile rotating]\ncredential_process = {sys.executable} {program}\n", encoding="utf-8"
    )
    environment.setenv("AWS_CONFIG_FILE", str(config))
    environment.setenv("AWS_PROFILE", "rotating")

    class Writing(Issuer):
        def rotate(self) -> None:
            super().rotate()
            self.write()

        def write(self) -> None:
            issuer.number = self.number
            document.write_text(json.dumps({"Version": 1, **self.document()}), encoding="utf-8")

    writing = Writing()
    writing.write()
    check_renewal(writing, moto_base)
    assert issuer.number == 4
