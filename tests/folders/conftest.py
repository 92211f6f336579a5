"""A Dask cluster on this machine."""

from __future__ import annotations

from collections.abc import Iterator

import distributed
import pytest


@pytest.fixture(scope="session")
def cluster() -> Iterator[distributed.LocalCluster]:
    """A scheduler and two workers, each a process of its own. One: it takes 2 s to start.

    Ports of its own: without an address, two sessions would meet at 8787.
    """
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0",
        scheduler_port=0, host="127.0.0.1", silence_logs=40,
    ) as cluster:  # fmt: skip
        yield cluster
