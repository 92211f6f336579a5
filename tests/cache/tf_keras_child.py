"""Load real models of tf_keras through the cache, in a process of its own.

``tf_keras_child.py URL CACHE`` prints one JSON object: what was found in each case.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tf_keras
from weights.counting_proxy import CountingProxy, counting_proxy

import remote_models as rm
from remote_models.cli import main as remote_models

L = tf_keras.layers

X = np.random.default_rng(0).random((32, 8), dtype="float32")
Y = X.sum(1, keepdims=True)


class Late(tf_keras.Model):  # type: ignore[misc]  # tf_keras has no types
    """Makes its variables when it is called first, and not before."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = L.Dense(5)
        self.out = L.Dense(1)

    def call(self, inputs: Any) -> Any:
        return self.out(self.hidden(inputs))


def trained() -> Any:
    model = tf_keras.Sequential([L.Input((8,)), L.Dense(300, activation="relu"), L.Dense(1)])
    model.compile("adam", "mse")
    model.fit(X, Y, epochs=1, verbose=0)
    return model


def entries(cache: Path) -> int:
    return sum(path.is_file() for path in (cache / "sha256").rglob("*"))


def asked(proxy: CountingProxy, action: Callable[[], Any]) -> tuple[Any, list[str]]:
    """Return what an action returns, and the names of the objects that were asked for."""
    proxy.clear()
    result = action()
    return result, [each.path.partition("?")[0].rpartition("/")[2] for each in proxy.exchanges]


def saved_model(proxy: CountingProxy, url: str, cache: Path) -> dict[str, Any]:
    model = trained()
    manifest = rm.save_model(model, url)
    saved = entries(cache)
    rm.load_model(url)
    loaded, names = asked(proxy, lambda: rm.load_model(url))
    pruned = remote_models(["cache", "prune", "--all", "-q"])
    left = entries(cache)
    # The optimizer's slots are read from the copy now, and the variables of another call.
    model.fit(X, Y, epochs=1, verbose=0, shuffle=False)
    loaded.fit(X, Y, epochs=1, verbose=0, shuffle=False)
    return {
        "kept by saving": saved,
        "asked for": names,
        "files": len({entry.sha256 for entry in manifest.files}),
        "pruned": pruned == 0 and left == 0,
        "continues": bool(np.allclose(model.predict(X, verbose=0), loaded.predict(X, verbose=0))),
    }


def late_variables(proxy: CountingProxy, url: str, cache: Path) -> dict[str, Any]:
    model = Late()
    expected = model(X).numpy()
    rm.save_weights(model, url)
    rm.load_weights(Late(), url)
    kept = entries(cache)
    fresh = Late()
    _, names = asked(proxy, lambda: rm.load_weights(fresh, url))
    before = len(fresh.variables)
    remote_models(["cache", "prune", "--all", "-q"])
    found = fresh(X).numpy()  # only now the variables are made, and read
    return {
        "kept": kept,
        "asked for": names,
        "made before": before,
        "predictions": bool(np.array_equal(found, expected)),
    }


def h5_and_keras(proxy: CountingProxy, url: str, cache: Path) -> dict[str, Any]:
    model = trained()
    found: dict[str, Any] = {}
    for ending in (".h5", ".keras"):
        rm.save_model(model, url + ending)
        rm.load_model(url + ending)
        loaded, names = asked(proxy, lambda: rm.load_model(url + ending))  # noqa: B023 - now
        same = np.array_equal(model.predict(X, verbose=0), loaded.predict(X, verbose=0))
        found[ending] = [names, bool(same)]
    return found


def near(proxy: CountingProxy, url: str, cache: Path) -> dict[str, Any]:
    """Nothing is kept of what lies on this machine already."""
    before = entries(cache)
    for place in ("memory://near/model", str(cache.parent / "near")):
        rm.save_model(trained(), place)
        rm.load_model(place)
    return {"more": entries(cache) - before}


def off(proxy: CountingProxy, url: str, cache: Path) -> dict[str, Any]:
    """As a home that cannot be written to: the same, without a cache."""
    rm.save_model(trained(), url)
    found = {}
    (cache.parent / "file").touch()
    for directory in ("off", str(cache.parent / "file/cache")):
        os.environ["REMOTE_MODELS_CACHE"] = directory
        for _ in range(2):
            _, names = asked(proxy, lambda: rm.load_model(url))
        found[directory == "off"] = "saved_model.pb" in names
    os.environ["REMOTE_MODELS_CACHE"] = str(cache)
    return {"downloads": list(found.values())}


CASES = (saved_model, late_variables, h5_and_keras, near, off)


def main(url: str, directory: str) -> None:
    with counting_proxy(os.environ["AWS_ENDPOINT_URL"]) as proxy:
        os.environ["AWS_ENDPOINT_URL"] = os.environ["AWS_ENDPOINT_URL_S3"] = proxy.endpoint_url
        found = {case.__name__: case(proxy, f"{url}/{case.__name__}", Path(directory))
                 for case in CASES}  # fmt: skip
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
