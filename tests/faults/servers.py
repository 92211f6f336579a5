"""A store behind a proxy that disturbs, by each of the three clients."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from weights.counting_proxy import CountingProxy, Disturbance, counting_proxy

from remote_models.storage import Location
from remote_models.testing import Emulator
from remote_models.testing._http import exchange
from remote_models.testing._s3 import Account

__all__ = ["CLIENTS", "Disturbed", "disturbed"]

CLIENTS = ("s3fs", "obstore", "gcsfs")


@dataclass(frozen=True, kw_only=True)
class Disturbed:
    """A prefix, seen through a proxy and past it.

    Attributes:
        proxy: The proxy.
        base: The prefix, through the proxy.
        direct: The prefix, past it.
    """

    proxy: CountingProxy
    base: Location
    direct: Location

    def disturb_once(self, disturbance: Disturbance, method: str, wanted: str | None) -> None:
        """Let one request of a kind be disturbed, and none after it."""
        left = [disturbance]
        lock = threading.Lock()

        def disturb(this: str, its: str | None) -> Disturbance | None:
            with lock:
                return left.pop() if left and (this, its) == (method, wanted) else None

        self.proxy.disturbs = disturb


@contextmanager
def disturbed(emulator: Emulator, direct: Location) -> Iterator[Disturbed]:
    """Put a proxy before the server of ``direct`` for the length of a block."""
    with counting_proxy(emulator.endpoint_url) as proxy:
        options = {**direct.storage_options, "endpoint_url": proxy.endpoint_url}
        if direct.protocol == "s3":
            account = Account(
                endpoint_url=emulator.endpoint_url,
                access_key=str(direct.storage_options["key"]),
                secret_key=str(direct.storage_options["secret"]),
            )
            proxy.whole = lambda path: account.request("GET", urlsplit(path).path[1:]).body
        else:
            proxy.whole = lambda path: exchange("GET", f"{emulator.endpoint_url}{path}").body
        yield Disturbed(proxy=proxy, base=replace(direct, storage_options=options), direct=direct)
