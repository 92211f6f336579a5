"""Stores that ignore the conditions on which they are asked to write: a proxy drops them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from weights.counting_proxy import CountingProxy, counting_proxy

import remote_models as rm
from publishing.artifacts import Content, directory, expected, load, save, single
from publishing.faults import Fault, FaultyStore, Plan
from remote_models.errors import UnsupportedRequestError
from remote_models.storage import (
    CommittedFile,
    Location,
    StagedFile,
    check_conditions,
    open_store,
)
from remote_models.testing import Emulator

CONDITIONS = frozenset({"if-match", "if-none-match"})


@pytest.fixture
def proxy(moto: Emulator) -> Iterator[CountingProxy]:
    """Before moto, which does not compare signatures: these cover the headers."""
    with counting_proxy(moto.endpoint_url) as proxy:
        yield proxy


@pytest.fixture(params=["obstore", "fsspec"])
def passing(
    request: pytest.FixtureRequest,
    proxy: CountingProxy,
    moto_base: Location,
    monkeypatch: pytest.MonkeyPatch,
) -> Location:
    """An empty prefix, reached through the proxy."""
    monkeypatch.setenv("REMOTE_MODELS_CLIENT", request.param)
    options = {**moto_base.storage_options, "endpoint_url": proxy.endpoint_url}
    return replace(moto_base, storage_options=options)


@pytest.mark.parametrize("content", [single, directory])
def test_a_store_that_ignores_conditions_is_named(
    proxy: CountingProxy, passing: Location, content: Callable[[str], Content]
) -> None:
    proxy.strips = CONDITIONS
    location = passing.join(content("new").name)
    with pytest.warns(rm.UnconditionalStoreWarning, match="not safe here") as caught:
        save(location, content("new"), overwrite=False)
    assert len(caught) == 1
    assert str(location) in str(caught[0].message)
    assert load(location) == expected(content("new"))


def test_a_store_that_keeps_them_is_tried_with_one_request(
    proxy: CountingProxy, passing: Location
) -> None:
    store = open_store(passing)
    counts = []
    for version in ("one", "two"):
        proxy.clear()
        save(passing.join(f"{version}/model.h5"), single(version), overwrite=False, store=store)
        counts.append(sum(each.method == "PUT" for each in proxy.exchanges))
    assert store.refuses
    assert counts == [4, 3]


def test_overwriting_tries_nothing(proxy: CountingProxy, passing: Location) -> None:
    proxy.strips = CONDITIONS
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save(passing.join("model.h5"), single("new"))
    assert sum(each.method == "PUT" for each in proxy.exchanges) == 3


@pytest.mark.parametrize("kind", ["local", "memory"])
def test_this_machine_need_not_be_tried(request: pytest.FixtureRequest, kind: str) -> None:
    base: Location = request.getfixturevalue(f"{kind}_base")
    store = open_store(base)
    assert check_conditions(store, base.join("object"), b"data") is None
    assert store.refuses is None
    assert store.list(base) == {}


class KnowingNone(FaultyStore):
    """Answers conditions with 501."""

    def stage(
        self,
        location: Location,
        size: int,
        *,
        if_absent: bool = False,
        if_match: str | None = None,
    ) -> StagedFile:
        staged = super().stage(location, size)
        if if_absent or if_match is not None:
            staged.commit = self.refuse  # type: ignore[method-assign]
        return staged

    def refuse(self) -> CommittedFile:
        raise UnsupportedRequestError("not here")


@pytest.mark.parametrize("content", [single, directory])
def test_a_store_that_knows_no_conditions_is_written_to_all_the_same(
    memory_base: Location, content: Callable[[str], Content]
) -> None:
    location = memory_base.join(content("one").name)
    for version in ("one", "two"):
        store = KnowingNone(open_store(location), Plan(Fault.KILL, 10_000))
        with pytest.warns(rm.UnconditionalStoreWarning, match="knows no conditions") as caught:
            save(location, content(version), store=store)
        assert len(caught) == 1
        assert load(location) == expected(content(version))


def test_a_store_that_knows_no_conditions_creates_nothing_exclusively(
    memory_base: Location,
) -> None:
    store = KnowingNone(open_store(memory_base), Plan(Fault.KILL, 10_000))
    with pytest.raises(UnsupportedRequestError):
        save(memory_base.join("model.h5"), single("one"), overwrite=False, store=store)
    assert open_store(memory_base).list(memory_base) == {}
