"""One answer in ten goes wrong in some way: what is read is right, and nothing else is asked."""

from __future__ import annotations

from collections import Counter

import pytest
from storage.test_conformance import publish
from weights.counting_proxy import Disturbance

from faults.servers import Disturbed
from remote_models.storage import RetryPolicy, TransferSettings, open_store, read_all, read_chunks

DATA = bytes(number * 7 % 251 for number in range(1000))

SLOW = (Disturbance.STALLED, Disturbance.TRICKLING, Disturbance.SILENT)
"""What does not fail: only the time tells."""

PASSING = [each for each in Disturbance if each is not Disturbance.EXPIRED]


def policy(disturbance: Disturbance) -> RetryPolicy:
    """Return one that asks a second time after 0.5 s where nothing else helps."""
    return RetryPolicy(first_pause=0.05, late=0.5 if disturbance in SLOW else 30.0)


@pytest.mark.parametrize("disturbance", PASSING)
@pytest.mark.parametrize("pinned", [False, True])
def test_a_range_that_goes_wrong_once(
    store: Disturbed, disturbance: Disturbance, *, pinned: bool
) -> None:
    publish(open_store(store.direct), store.direct.join("object"), DATA)
    location = store.base.join("object")
    opened = open_store(location)
    retry = policy(disturbance)
    opened.transfer = TransferSettings(max_request=100, max_concurrency=2, retry=retry)
    etag = opened.head(location).etag
    etag = etag if pinned else None
    store.proxy.clear()
    store.disturb_once(disturbance, "GET", "bytes=300-399")
    assert b"".join(read_chunks(opened, location, len(DATA), etag=etag)) == DATA
    asked = Counter(each.range for each in store.proxy.exchanges if each.method == "GET")
    # obstore asks for the other half of a body that was cut.
    attempts = sum(asked.pop(wanted, 0) for wanted in ("bytes=300-399", "bytes=350-399"))
    assert attempts == 2
    assert len(asked) == 9
    # A machine that is busy may be late by itself.
    assert disturbance in SLOW or set(asked.values()) == {1}


@pytest.mark.parametrize("disturbance", PASSING)
def test_an_object_of_unknown_size_that_goes_wrong_once(
    store: Disturbed, disturbance: Disturbance
) -> None:
    """As a manifest is read."""
    publish(open_store(store.direct), store.direct.join("object"), DATA)
    location = store.base.join("object")
    opened = open_store(location)
    opened.transfer = TransferSettings(retry=policy(disturbance))
    store.disturb_once(disturbance, "GET", "bytes=0-1048575")
    assert read_all(opened, location, limit=len(DATA)) == DATA
