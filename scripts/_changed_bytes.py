"""Count what is sent of a model that is trained on in part; see scripts/changed_bytes."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from weights.counting_proxy import CountingProxy, counting_proxy  # noqa: E402

import remote_models as rm  # noqa: E402
from remote_models.manifest import Manifest  # noqa: E402
from remote_models.testing import seaweedfs, set_environment  # noqa: E402

EPOCHS = 3

LIMITS = {"weights": 0.08, "keras": 0.08, "h5": 1.1, "tf": 0.8}
"""The share of a version's bytes that may be sent for each save but the first. An ``.h5`` has
the head in front, and less than two parts of 5 MiB behind it; a SavedModel's graph is another
one each time it is traced."""

Save = Callable[[Any], Manifest]


def main() -> int:
    """Save after each epoch in each format, print what was sent, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("formats", nargs="*", default=list(LIMITS), metavar="|".join(LIMITS))
    parser.add_argument("--client", choices=["fsspec", "obstore"], default="obstore")
    arguments = parser.parse_args()
    os.environ["REMOTE_MODELS_CLIENT"] = arguments.client
    with seaweedfs() as server, counting_proxy(server.endpoint_url) as proxy:
        with set_environment(server):
            url = server.make_bucket()
        options = dict(proxy.storage_options(server))
        return max([_measure(name, url, options, proxy) for name in arguments.formats])


def _measure(name: str, url: str, options: Mapping[str, Any], proxy: CountingProxy) -> int:
    """Train a model, save it in one format after each epoch, and say whether it is too much."""
    import keras

    keras.utils.set_random_seed(1)
    model = _with_new_head(keras)
    save = _saver(name, f"{url}/{name}", options)
    failed = False
    for epoch in range(1, EPOCHS + 1):
        _train(model, epoch)
        proxy.clear()
        manifest = save(model)
        share = proxy.sent / manifest.total_size
        failed |= epoch > 1 and share > LIMITS[name]
        print(
            f"{name:8} save {epoch}: {proxy.sent:>12,} of {manifest.total_size:>12,} bytes sent"
            f" ({share:6.1%}), {proxy.nbytes:>9,} received, {proxy.requests:>3} requests",
            flush=True,
        )
    return int(failed)


def _with_new_head(keras: Any) -> Any:
    """Return a MobileNetV2 with values of its own that are frozen, and ten classes."""
    backbone = keras.applications.MobileNetV2(
        input_shape=(96, 96, 3), include_top=False, weights=None, pooling="avg"
    )
    backbone.trainable = False
    model = keras.Sequential([backbone, keras.layers.Dense(10, activation="softmax")])
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    return model


def _train(model: Any, seed: int) -> None:
    random = np.random.default_rng(seed)
    pictures = random.random((8, 96, 96, 3), "float32")
    model.fit(pictures, random.integers(0, 10, 8), verbose=0)


def _saver(name: str, url: str, options: Mapping[str, Any]) -> Save:
    if name == "weights":
        return lambda model: rm.save_weights(
            model, f"{url}/model.weights.h5", storage_options=options, progress=False
        )
    repository = rm.Repository(url, storage_options=options)
    return lambda model: repository.save(model, save_format=name, progress=False).manifest


if __name__ == "__main__":
    sys.exit(main())
