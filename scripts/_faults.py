"""Save and load while requests go wrong; see scripts/faults."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Before gcsfs is imported, which would ask Google about each bucket.
os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"
os.environ["NO_GCE_CHECK"] = "true"
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from faults.campaign import Campaign, Tally  # noqa: E402
from faults.servers import CLIENTS, Disturbed, disturbed  # noqa: E402

from remote_models.storage import Location  # noqa: E402
from remote_models.testing import fake_gcs_server, seaweedfs  # noqa: E402


@contextmanager
def store(client: str) -> Iterator[Disturbed]:
    """Run a server and its proxy for one client."""
    os.environ["REMOTE_MODELS_CLIENT"] = "obstore" if client == "obstore" else "fsspec"
    server = fake_gcs_server if client == "gcsfs" else seaweedfs
    with server() as emulator:
        direct = Location.parse(f"{emulator.make_bucket()}/faults", emulator.storage_options)
        with disturbed(emulator, direct) as found:
            yield found


def keras_models(campaign: Campaign, count: int) -> None:
    """Save and load real models, one after the other."""
    import keras
    import numpy as np

    import remote_models as rm

    for number in range(count):
        model = keras.Sequential([keras.layers.Input((64,)), keras.layers.Dense(500)])
        suffix = (".keras", ".h5", "")[number % 3]
        location = campaign.store.base.join(f"keras-{number}{suffix}")
        options = dict(location.storage_options)
        rm.save_model(model, location.url, storage_options=options, progress=False)
        found = rm.load_model(location.url, storage_options=options, progress=False)
        pairs = zip(model.get_weights(), found.get_weights(), strict=True)
        is_right = all(np.array_equal(ours, theirs) for ours, theirs in pairs)
        campaign.expect(location.name, is_right, "saves and loads by Keras")


def run(client: str, models: int, keras: int) -> Tally:
    """Return what one client has come to."""
    with store(client) as found:
        campaign = Campaign(found, rate=1, latency=0.025)
        tally = campaign.run(models)
        if keras:
            keras_models(campaign, keras)
        tally.requests = found.proxy.requests
    return tally


def main() -> int:
    """Run the clients that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=200, help="for each client")
    parser.add_argument("--keras", type=int, default=12, help="of these with real Keras, besides")
    parser.add_argument("--client", choices=CLIENTS, action="append")
    arguments = parser.parse_args()
    failures = 0
    for client in arguments.client or CLIENTS:
        begun = time.monotonic()
        tally = run(client, arguments.models, arguments.keras)
        print(f"{client}, {time.monotonic() - begun:.0f} s: {tally}", flush=True)
        for failure in tally.failures:
            print(f"    WRONG: {failure}")
        failures += len(tally.failures)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
