"""All models of a folder verified, adopted and copied, and repositories pruned, by anybody."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import distributed
import pytest
from publishing.artifacts import snapshot
from repository.versions import fill as fill_repository
from repository.versions import repository_at

import remote_models as rm
from folders.models import BARE, DAMAGED, WHOLE, fill
from remote_models.errors import (
    ArgumentError,
    ManifestError,
    ModelExistsError,
    ModelNotFoundError,
    RemoteModelsError,
)
from remote_models.storage import Location, open_store

ALL = sorted([BARE, DAMAGED, *WHOLE])


@pytest.fixture
def client(cluster: distributed.LocalCluster) -> Iterator[distributed.Client]:
    with distributed.Client(cluster) as client:
        yield client


@pytest.fixture(params=["threads", "one thread", "processes", "dask"])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor | None]:
    if request.param == "threads":
        yield None
    elif request.param == "one thread":
        with ThreadPoolExecutor(1) as pool:
            yield pool
    elif request.param == "processes":
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as processes:
            yield processes
    else:
        yield request.getfixturevalue("client").get_executor(pure=False)


@pytest.fixture(params=["local", "s3"])
def root(request: pytest.FixtureRequest) -> Location:
    """A folder of models that other processes see, too."""
    base: Location = request.getfixturevalue(f"{request.param}_base")
    fill(base.join("models"))
    return base.join("models")


def test_walks(root: Location, executor: Executor | None) -> None:
    options = root.storage_options
    seen: list[str] = []
    reports = rm.verify_models(
        root.url, executor=executor, storage_options=options,
        on_result=lambda result: seen.append(result.path),
    )  # fmt: skip
    assert [each.path for each in reports] == sorted(seen) == ALL
    assert [each.path for each in reports if each.value and each.value.ok] == list(WHOLE)
    failed = {each.path: each.error for each in reports if each.error}
    assert list(failed) == [BARE]
    assert isinstance(failed[BARE], ManifestError)
    assert "Adopt the model" in str(failed[BARE])

    (adopted,) = rm.adopt_models(root.url, executor=executor, storage_options=options)
    assert (adopted.path, adopted.error) == (BARE, None)
    assert adopted.value == rm.open_model(adopted.url, storage_options=options).manifest
    assert rm.adopt_models(root.url, executor=executor, storage_options=options) == []

    aim = root.parent.join("copies")
    copies = rm.copy_models(root.url, aim.url, executor=executor, storage_options=options)
    assert [each.path for each in copies if each.error] == [DAMAGED]
    assert str(root.join(DAMAGED)) in str(copies[ALL.index(DAMAGED)].error)
    verified = rm.verify_models(aim.url, executor=executor, storage_options=options)
    assert [each.path for each in verified if each.value and each.value.ok] == [
        path for path in ALL if path != DAMAGED
    ]
    again = rm.copy_models(
        root.url, aim.url, executor=executor, storage_options=options, overwrite=False
    )
    assert {type(each.error) for each in again if each.path != DAMAGED} == {ModelExistsError}


def test_the_work_is_done_in_the_processes_of_a_cluster(
    client: distributed.Client, local_base: Location
) -> None:
    fill(local_base.join("models"))
    processes = set(client.run(os.getpid).values())
    assert len(processes - {os.getpid()}) == 2
    executor = client.get_executor(pure=False)
    rm.verify_models(local_base.join("models").url, executor=executor)
    done = client.run(lambda: "remote_models" in __import__("sys").modules)
    assert any(done.values())


@pytest.mark.parametrize("in_cluster", [False, True])
def test_all_repositories_are_pruned(local_base: Location, request: Any, in_cluster: bool) -> None:
    client = request.getfixturevalue("client") if in_cluster else None
    executor = client.get_executor(pure=False) if client else None
    root = local_base.join("models")
    for folder in ("", "x", "x/y", "runs", "runs/1", "runs/2", "runs/3"):
        open_store(local_base).make_directory(root.join(folder) if folder else root)
    for name in ("one", "x/y/two"):
        fill_repository(root.join(name), 4)
    for number in "123":  # numbered by hand: no repository
        rm.copy_model(root.join("one/1").url, root.join(f"runs/{number}").url)
    repository_at(root.join("one")).set_alias("production", 1)
    before = snapshot(root)
    planned = rm.prune_repositories(root.url, keep_last=1, dry_run=True, executor=executor)
    assert snapshot(root) == before
    done = rm.prune_repositories(root.url, keep_last=1, executor=executor)
    for results in (planned, done):
        assert [each.path for each in results] == ["one", "x/y/two"]
        deleted = [
            [version.number for version in each.value.deleted] for each in results if each.value
        ]
        assert deleted == [[2, 3], [1, 2, 3]]
    assert [each.number for each in repository_at(root.join("one")).versions()] == [1, 4]
    assert rm.verify_model(root.join("runs/1").url).ok
    with pytest.raises(ArgumentError):
        rm.prune_repositories(root.url)
    with pytest.raises(ModelNotFoundError, match="no repository"):
        rm.prune_repositories(root.join("runs").url, keep_last=1)


def test_what_cannot_be_walked_is_refused(base: Location, tmp_path: Any) -> None:
    options = base.storage_options
    with pytest.raises(ModelNotFoundError):
        rm.verify_models(base.url, storage_options=options)
    (tmp_path / "notes.txt").write_text("no model")
    with pytest.raises(ModelNotFoundError, match="no model is stored below"):
        rm.verify_models(tmp_path)
    fill(base.join("models"))
    for inside in (base.join("models"), base.join("models/x/y")):
        with pytest.raises(ArgumentError, match="inside of what is to be copied"):
            rm.copy_models(base.join("models").url, inside.url, storage_options=options)


class Broken(Executor):
    """Loses its processes after the first task."""

    def __init__(self) -> None:
        self.futures: list[Future[Any]] = []

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.futures.append(Future())
        if len(self.futures) == 1:
            self.futures[0].set_exception(RuntimeError("the worker is gone"))
        return self.futures[-1]


def test_an_executor_that_breaks_leaves_nothing_waiting(memory_base: Location) -> None:
    fill(memory_base)
    broken = Broken()
    with pytest.raises(RuntimeError, match="the worker is gone"):
        rm.verify_models(memory_base.url, executor=broken)
    assert len(broken.futures) == len(ALL)
    assert all(future.cancelled() for future in broken.futures[1:])


def test_errors_survive_the_way_back() -> None:
    import pickle

    from remote_models import errors

    kinds = [getattr(errors, name) for name in errors.__all__]
    for kind in kinds:
        error = kind("what", where="there", expected=1, found=2, hint="Do it")
        back: RemoteModelsError = pickle.loads(pickle.dumps(error))
        assert type(back) is kind
        assert str(back) == str(error)
    assert len(kinds) > 20
