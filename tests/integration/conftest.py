"""Servers, and the children that run scenarios against them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from integration.children import Case, Children
from remote_models.testing import Emulator, fake_gcs_server, seaweedfs, set_environment


@pytest.fixture(scope="session")
def s3_server() -> Iterator[Emulator]:
    """SeaweedFS; session scope because it takes three seconds to start."""
    with seaweedfs() as emulator:
        yield emulator


@pytest.fixture(scope="session")
def gcs_server() -> Iterator[Emulator]:
    """fake-gcs-server, as well."""
    with fake_gcs_server() as emulator:
        yield emulator


@pytest.fixture(scope="session")
def bases(
    s3_server: Emulator, gcs_server: Emulator, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, str]:
    """For each store the URL of a place of this session's own."""
    return {
        "local": str(tmp_path_factory.mktemp("local")),
        "memory": "memory://session",
        "s3": s3_server.make_bucket(),
        "gs": gcs_server.make_bucket(),
    }


@pytest.fixture(scope="session")
def children(
    request: pytest.FixtureRequest,
    bases: Mapping[str, str],
    s3_server: Emulator,
    gcs_server: Emulator,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Children]:
    """Every selected scenario of the session, running already."""
    params = [
        item.callspec.params.get("case")
        for item in request.session.items
        if isinstance(item, pytest.Function) and hasattr(item, "callspec")
    ]
    runs = Children(
        [each for each in params if isinstance(each, Case)],
        bases,
        {**s3_server.environment, **gcs_server.environment},
        tmp_path_factory.mktemp("children"),
    )
    try:
        yield runs
    finally:
        runs.close()


@pytest.fixture(scope="session", autouse=True)
def _children_meanwhile(request: pytest.FixtureRequest) -> None:
    """Start the children with the session's first test, so that they run beside the others."""
    if hasattr(request.config, "workerinput"):  # other processes run beside them anyway
        return
    if any("children" in getattr(item, "fixturenames", ()) for item in request.session.items):
        request.getfixturevalue("children")


@pytest.fixture(scope="module")
def clouds(s3_server: Emulator, gcs_server: Emulator) -> Iterator[None]:
    """This process finds the servers, too; per module, because a client takes seconds to make."""
    with set_environment(s3_server), set_environment(gcs_server):
        yield


@pytest.fixture(params=["local", "memory", "s3", "gs"])
def base(
    request: pytest.FixtureRequest, bases: Mapping[str, str], clouds: None, tmp_path: Path
) -> str:
    """An empty folder on each store in turn."""
    if request.param == "local":
        return str(tmp_path)
    return f"{bases[request.param]}/{tmp_path.name}"
