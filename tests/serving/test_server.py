"""A server loads once, follows its repository, and goes on whatever goes wrong."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path

import numpy as np
import pytest

from remote_models import Repository
from remote_models.errors import (
    ArgumentError,
    IntegrityError,
    ModelNotFoundError,
    RemoteModelsError,
)
from remote_models.serving import ModelServer
from remote_models.storage import Location
from serving.models import X, damage, save_adder, save_next


def added(server: ModelServer) -> float:
    """Return the number that the model adds."""
    return float((server.predict(X)["y"] - X)[0, 0])


def serve(location: Location, **arguments: object) -> ModelServer:
    return ModelServer(location.url, storage_options=location.storage_options, **arguments)  # type: ignore[arg-type]


def test_an_artifact_is_served_and_followed(base: Location) -> None:
    model = base.join("model")
    manifest = save_adder(model, 1)
    with serve(model) as server:
        assert added(server) == 1
        assert server.alias is None
        status = server.status
        assert status.model.version is None
        assert status.model.manifest_digest == manifest.digest
        assert status.model.runtime.name == "onnx"
        assert status.predictions.count == 1
        assert 0 < status.predictions.last <= status.predictions.longest
        assert not server.refresh()
        save_adder(model, 2)
        assert server.refresh()
        assert added(server) == 2
        assert server.status.swaps == 1


def test_a_repository_is_followed(base: Location) -> None:
    save_next(base)
    with serve(base) as server:
        assert (added(server), server.alias, server.status.model.version) == (1, "latest", 1)
        save_next(base)
        assert server.refresh()
        assert (added(server), server.status.model.version) == (2, 2)


def test_another_alias_is_followed_back_and_forth(memory_base: Location) -> None:
    save_next(memory_base)
    save_next(memory_base)
    repository = Repository(memory_base.url)
    repository.set_alias("production", 2)
    with serve(memory_base, alias="production") as server:
        assert added(server) == 2
        repository.set_alias("production", 1)
        assert server.refresh()
        assert added(server) == 1


def test_what_is_pinned_never_changes(memory_base: Location) -> None:
    model = memory_base.join("model")
    digest = save_adder(model, 1).digest
    with serve(model, manifest_digest=digest) as server:
        save_adder(model, 2)
        assert not server.refresh()
        assert added(server) == 1
    with pytest.raises(IntegrityError):
        serve(model, manifest_digest=digest)


def test_a_version_of_a_repository_is_pinned_by_either_url(memory_base: Location) -> None:
    digest = save_next(memory_base).digest
    for url in (memory_base, memory_base.join("1")):
        with serve(url, manifest_digest=digest) as server:
            assert added(server) == 1


def test_a_refresh_that_fails_changes_nothing(base: Location) -> None:
    save_next(base)
    with serve(base) as server:
        save_next(base)
        damage(base.join("2"))
        with pytest.raises(IntegrityError):
            server.refresh()
        assert added(server) == 1
        failure = server.status.failure
        assert failure is not None
        assert "model.onnx" in failure
        assert not server.try_refresh()
        save_next(base)
        assert server.refresh()
        assert added(server) == 3
        assert server.status.failure is None


def test_a_damaged_model_is_not_served(base: Location) -> None:
    save_adder(base.join("model"), 1)
    damage(base.join("model"))
    with pytest.raises(IntegrityError):
        serve(base.join("model"))


def test_nothing_is_there(base: Location) -> None:
    with pytest.raises(ModelNotFoundError):
        serve(base.join("model"))
    with pytest.raises(ModelNotFoundError):
        serve(base.join("model"), alias="latest")


def test_what_frameworks_raise_is_survived(
    memory_base: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_next(memory_base)
    with serve(memory_base) as server:
        save_next(memory_base)

        def fail(*_: object, **__: object) -> None:
            raise KeyError("a framework's own")

        with monkeypatch.context() as patch:
            patch.setattr("remote_models.serving._source.load_runtime", fail)
            assert not server.try_refresh()
        assert server.status.failure == 'KeyError: "a framework\'s own"'
        assert added(server) == 1


def test_requests_end_on_the_version_on_which_they_began(memory_base: Location) -> None:
    save_next(memory_base)
    server = serve(memory_base)
    with server.use() as old:
        save_next(memory_base)
        assert server.refresh()
        assert added(server) == 2
        assert (server.run(old, X)["y"] - X)[0, 0] == 1
    with pytest.raises(ArgumentError, match="closed"):
        old.runtime.predict(X)
    server.close()
    assert server.is_closed
    with pytest.raises(ArgumentError, match="closed"):
        server.predict(X)
    server.close()


def test_a_thread_looks_again_and_again(memory_base: Location) -> None:
    save_next(memory_base)
    with serve(memory_base, refresh=0.01) as server:
        save_next(memory_base)
        wait_until(lambda: server.status.model.version == 2)
        damage(memory_base.join("2"))
        save_next(memory_base)
        wait_until(lambda: server.status.model.version == 3)


def test_a_server_that_nobody_has_any_more_goes_with_its_thread(memory_base: Location) -> None:
    save_next(memory_base)
    server = serve(memory_base, refresh=0.01)
    gone = weakref.ref(server)
    (thread,) = [each for each in threading.enumerate() if each.name == "remote_models-refresh"]
    del server
    gc.collect()
    thread.join(timeout=30)
    assert not thread.is_alive()
    assert gone() is None


def test_a_request_looks_where_nothing_runs_in_between(memory_base: Location) -> None:
    save_next(memory_base)
    with serve(memory_base, refresh=0.05) as server:
        server.check_on_request()
        save_next(memory_base)
        time.sleep(0.1)
        assert server.status.model.version == 1
        assert added(server) == 2
    with serve(memory_base, refresh=1000) as server:
        server.check_on_request()
        save_next(memory_base)
        assert added(server) == 2


def test_many_threads_never_see_an_error_or_a_wrong_version(memory_base: Location) -> None:
    save_next(memory_base)
    wrong: list[object] = []
    stopped = threading.Event()
    counts = [0] * 8
    with serve(memory_base) as server:

        def ask(index: int) -> None:
            lowest = 1.0
            while not stopped.is_set():
                try:
                    found = added(server)
                except RemoteModelsError as error:
                    wrong.append(error)
                    return
                if not lowest <= found <= 5:
                    wrong.append(found)
                lowest = found
                counts[index] += 1

        threads = [threading.Thread(target=ask, args=[index]) for index in range(8)]
        for each in threads:
            each.start()
        for _ in range(4):
            save_next(memory_base)
            server.refresh()
        stopped.set()
        for each in threads:
            each.join()
        assert not wrong
        assert min(counts) > 0
        assert server.status.swaps == 4
        assert server.status.predictions.count == sum(counts)


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({}, "REMOTE_MODELS_URL"),
        ({"URL": "memory://m", "REFRESH": "soon"}, "REMOTE_MODELS_REFRESH"),
        ({"URL": "memory://m", "REFRESH": "-1"}, "more than 0"),
        ({"URL": "memory://m", "REFRESH": "nan"}, "more than 0"),
        ({"URL": "memory://m", "RUNTIME": "torch"}, "expected auto, keras"),
        ({"URL": "memory://m", "REFRESH": "1", "MANIFEST_DIGEST": "sha256:0"}, "pinned"),
    ],
)
def test_variables_that_make_no_sense(
    variables: dict[str, str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"REMOTE_MODELS_{name}", value)
    with pytest.raises(ArgumentError, match=told):
        ModelServer()


def test_the_environment_names_the_model(
    memory_base: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_next(memory_base)
    save_next(memory_base)
    Repository(memory_base.url).set_alias("production", 1)
    monkeypatch.setenv("REMOTE_MODELS_URL", memory_base.url)
    monkeypatch.setenv("REMOTE_MODELS_ALIAS", "production")
    monkeypatch.setenv("REMOTE_MODELS_RUNTIME", "onnx")
    monkeypatch.setenv("REMOTE_MODELS_MANIFEST_DIGEST", "")
    with ModelServer() as server:
        assert added(server) == 1
    with ModelServer(alias="latest") as server:
        assert added(server) == 2
    monkeypatch.setenv("REMOTE_MODELS_MANIFEST_DIGEST", "sha256:" + "0" * 64)
    with ModelServer(memory_base.url) as server:  # a URL of its own: no variable counts
        assert added(server) == 2


def wait_until(is_so: object) -> None:
    deadline = time.monotonic() + 60
    assert callable(is_so)
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("arguments", [{"refresh": 0}, {"alias": ""}, {"runtime": ""}])
def test_arguments_that_make_no_sense(memory_base: Location, arguments: dict[str, object]) -> None:
    save_next(memory_base)
    with pytest.raises(ArgumentError):
        serve(memory_base, **arguments)


def test_inputs_are_checked(memory_base: Location) -> None:
    save_next(memory_base)
    with serve(memory_base) as server, pytest.raises(ArgumentError):
        server.predict(np.zeros((1, 3), np.float32))


FORK = """
import os, sys
import numpy as np
from remote_models.errors import UnsupportedRequestError
from remote_models.serving import ModelServer

server = ModelServer(sys.argv[1])
child = os.fork()
if child == 0:
    for use in (lambda: server.predict(np.ones((1, 2), "float32")), server.refresh):
        try:
            use()
        except UnsupportedRequestError:
            continue
        os._exit(1)
    os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
server.predict(np.ones((1, 2), "float32"))
"""


def test_a_fork_is_told_to_make_a_server_of_its_own(tmp_path: Path) -> None:
    save_adder(Location.parse(tmp_path / "model"), 1)
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK]
    done = subprocess.run(
        [*command, str(tmp_path / "model")],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.stdout.split(), done.returncode) == (["7"], 0), done.stderr
