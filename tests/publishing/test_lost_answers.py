"""Answers that are lost after the server has done what was asked: the truth is told.

A proxy passes a request on and resets the connection instead of answering, at each request
of a save that changes something in turn. The clients ask again by themselves; what comes
back then is a refusal, or that an upload does not exist any more.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Protocol

import gcsfs.retry
import pytest
from weights.counting_proxy import CountingProxy, Disturbance, counting_proxy

from publishing.artifacts import (
    Content,
    directory,
    expected,
    load,
    observe,
    save,
    single,
    snapshot,
)
from publishing.request_scenarios import large
from remote_models.errors import AmbiguousCommitError, ConflictError, RemoteModelsError
from remote_models.remote_model import RemoteModel, manifest_location
from remote_models.storage import Location, TransferSettings, open_store
from remote_models.storage._retry import RetryPolicy
from remote_models.testing import Emulator

EVERY = int(os.environ.get("REMOTE_MODELS_TEST_LOST_EVERY", "4"))
"""Every which request's answer is lost; scripts/races says 1."""

MOST_REQUESTS = 100

CHANGES = ("PUT", "POST", "DELETE")

CLIENTS = [("seaweed", "obstore"), ("seaweed", "fsspec"), ("moto", "obstore"),
           ("moto", "fsspec"), ("ministack", "obstore"), ("ministack", "fsspec"),
           ("fake_gcs", "auto")]  # fmt: skip


class Buckets(Protocol):
    """What the fixture of that name is."""

    def prefix(self, emulator: Emulator, *, versioning: bool = False) -> Location: ...


class Once:
    """Disturbs one request that changes something, and counts them."""

    def __init__(self, at: int, *, then: Disturbance | None = None) -> None:
        self._at = at
        self._then = then
        self._lock = threading.Lock()
        self.seen = 0

    def __call__(self, method: str, _range: str | None) -> Disturbance | None:
        with self._lock:
            if self._then is not None and self.seen > self._at:
                return self._then
            if method not in CHANGES:
                return None
            self.seen += 1
            return Disturbance.LOST if self.seen - 1 == self._at else None

    @property
    def reached(self) -> bool:
        return self.seen > self._at


@pytest.fixture(params=CLIENTS, ids="-".join)
def through(
    request: pytest.FixtureRequest, buckets: Buckets, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[CountingProxy, Callable[[], Location], Callable[[Location], Location]]]:
    """A proxy, what makes an empty prefix, and what leads a location through the proxy."""
    server, client = request.param
    # gcsfs waits a second before it asks again.
    monkeypatch.setitem(gcsfs.retry.DEFAULT_RETRY_CONFIG, "initial", 0.05)
    monkeypatch.setenv("REMOTE_MODELS_CLIENT", client)
    emulator: Emulator = request.getfixturevalue(server)
    with counting_proxy(emulator.endpoint_url) as proxy:

        def prefix() -> Location:
            return buckets.prefix(emulator)

        def passing(location: Location) -> Location:
            options = {**location.storage_options, "endpoint_url": proxy.endpoint_url}
            return replace(location, storage_options=options)

        yield proxy, prefix, passing


@pytest.mark.parametrize(
    ("content", "present", "overwrite"),
    [
        pytest.param(single, False, False, id="first file, exclusive"),
        pytest.param(single, False, True, id="first file"),
        pytest.param(single, True, True, id="file over file"),
        pytest.param(large, False, False, id="first large file, exclusive"),
        pytest.param(large, True, True, id="large file over file"),
        pytest.param(directory, False, False, id="first directory, exclusive"),
        pytest.param(directory, True, True, id="directory over directory"),
    ],
)
def test_the_true_outcome_is_told(
    request: pytest.FixtureRequest,
    through: tuple[CountingProxy, Callable[[], Location], Callable[[Location], Location]],
    content: Callable[[str], Content],
    *,
    present: bool,
    overwrite: bool,
) -> None:
    proxy, prefix, passing = through
    found: Counter[str] = Counter()
    for at in range(0, MOST_REQUESTS, EVERY):
        location = prefix().join(content("new").name)
        if present:
            save(location, content("old"))
        once = Once(at)
        proxy.disturbs = once
        outcome = attempt(passing(location), content("new"), overwrite=overwrite)
        if not once.reached:
            assert outcome == "saved"
            break
        seen = observe(location, content("old"), content("new"))
        where = f"{outcome}, and a reader finds {seen}, after request {at}"
        # Nobody is silent here, so that what became of it can always be known.
        assert outcome in ("saved", "failed"), where
        assert (outcome == "saved") == (seen == "new"), where
        if outcome == "saved":
            check_finished(location, content("new"))
        found[outcome] += 1
    name = request.node.callspec.id
    print(f"{name}: {found.total()} answers lost, {dict(found)}, all of them told truly")
    assert found["saved"] >= 1


def attempt(location: Location, content: Content, *, overwrite: bool) -> str:
    try:
        save(location, content, overwrite=overwrite)
    except AmbiguousCommitError:
        return "unknown"
    except ConflictError:
        return "conflict"
    except RemoteModelsError:
        return "failed"
    return "saved"


def check_finished(location: Location, content: Content) -> None:
    assert load(location) == expected(content)
    remote = RemoteModel.open(open_store(location), location)
    assert remote.verify().ok
    assert remote.manifest is not None
    document = snapshot(location.parent)[
        manifest_location(location, remote.layout).path[len(location.parent.path) + 1 :]
    ]
    assert b"pending" not in document


@pytest.mark.parametrize("through", CLIENTS[:1], ids="-".join, indirect=True)
@pytest.mark.parametrize("overwrite", [True, False])
def test_where_nobody_says_what_is_there_the_error_says_so(
    through: tuple[CountingProxy, Callable[[], Location], Callable[[Location], Location]],
    *,
    overwrite: bool,
) -> None:
    """The server is gone with the answer."""
    proxy, prefix, passing = through
    location = prefix().join("model.h5")
    proxy.disturbs = Once(0, then=Disturbance.RESET)
    store = open_store(passing(location))
    store.transfer = TransferSettings(retry=RetryPolicy(attempts=1))
    with pytest.raises(AmbiguousCommitError, match=r"verify_model\(url\)") as caught:
        save(passing(location), single("new"), overwrite=overwrite, store=store)
    assert caught.value.where == str(location.with_suffix(".manifest.json"))
    assert observe(location, single("new")) == "incomplete"  # that is as far as it came
    save(location, single("next"))
    assert load(location) == expected(single("next"))
