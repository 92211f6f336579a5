"""What scripts/serving_load does.

The server is uvicorn with ``asgi_app`` in a process of its own, the store SeaweedFS, the
model a small MLP whose versions add their number, so that each answer tells which one gave it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np

import remote_models as rm
from remote_models.testing import seaweedfs, set_environment

CONCURRENT = 64
ROW = [0.5] * 64
PATH = "/v1/models/digits:predict"
REFRESH = "0.2"
_ROOT = Path(__file__).parents[1]


def main() -> None:
    """Load the server; end with status 1 if it is no good."""
    parser = argparse.ArgumentParser(prog="serving_load")
    parser.add_argument("--seconds", type=float, default=30)
    seconds = parser.parse_args().seconds
    with seaweedfs() as store, set_environment(store):
        repository = rm.Repository(f"{store.make_bucket()}/digits")
        save_versions(repository)
        alone = plain_rate(repository, min(seconds, 5))
        with serve(str(repository.location)) as base_url:
            found = asyncio.run(load(base_url, repository, seconds))
    report(found, seconds, alone)


def save_versions(repository: rm.Repository) -> None:
    """Save three versions; production leads to the first."""
    import keras

    for number in (1, 2, 3):
        inputs = keras.layers.Input((64,))
        hidden = keras.layers.Dense(128, "relu", kernel_initializer="zeros")(inputs)
        last = keras.layers.Dense(
            10, kernel_initializer="zeros", bias_initializer=keras.initializers.Constant(number)
        )
        repository.save(keras.Model(inputs, last(hidden)), save_format="keras", exports=("tflite",))
    repository.set_alias("production", 1)


def plain_rate(repository: rm.Repository, seconds: float) -> float:
    """Return the predictions per second of LiteRT by itself, one thread, no server."""
    from ai_edge_litert.interpreter import Interpreter

    data = repository.open(1).read_export("tflite")
    interpreter = Interpreter(model_content=bytes(data), num_threads=1)
    interpreter.allocate_tensors()
    (taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()
    row = np.array([ROW], np.float32)
    count, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        interpreter.set_tensor(taken["index"], row)
        interpreter.invoke()
        interpreter.get_tensor(given["index"])
        count += 1
    return count / (time.perf_counter() - started)


@contextlib.contextmanager
def serve(url: str) -> Iterator[str]:
    """Run the server on a port that it chooses, and return its URL."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(_ROOT),
        "REMOTE_MODELS_URL": url,
        "REMOTE_MODELS_ALIAS": "production",
        "REMOTE_MODELS_RUNTIME": "litert",
        "REMOTE_MODELS_REFRESH": REFRESH,
        "REMOTE_MODELS_CACHE": "off",
    }
    command = [
        sys.executable, "-m", "uvicorn", "--factory", "remote_models.serving:asgi_app",
        "--port", "0", "--no-access-log",
    ]  # fmt: skip
    with subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as server:
        try:
            yield address_of(server)
        finally:
            server.kill()


def address_of(server: subprocess.Popen[str]) -> str:
    """Return the URL that uvicorn logs once it serves."""
    assert server.stderr is not None
    told = []
    for line in server.stderr:
        told.append(line)
        if "running on http" in line:
            return line.split("running on ")[1].split()[0]
    sys.exit(f"serving_load: the server did not start\n{''.join(told)}")


async def load(base_url: str, repository: rm.Repository, seconds: float) -> Counter[str]:
    """Ask all the time, and move the alias after a third and after two thirds of it."""
    found: Counter[str] = Counter()
    begun = {1: 0.0}  # when the alias was moved to each version
    ended = time.perf_counter() + seconds

    async def ask(client: httpx.AsyncClient) -> None:
        lowest = 1
        while time.perf_counter() < ended:
            try:
                answer = await client.post(PATH, json={"instances": [ROW]})
            except httpx.HTTPError as error:
                found[f"error: {type(error).__name__}"] += 1
                continue
            version = version_of(answer)
            # One client sees versions in their order, and none before its alias has moved.
            if version is None or version < lowest or version not in begun:
                found[f"wrong: {answer.status_code} {answer.text[:80]}"] += 1
                continue
            lowest = version
            found[f"version {version}"] += 1

    async def move() -> None:
        for number in (2, 3):
            await asyncio.sleep(seconds / 3)
            begun[number] = time.perf_counter()
            await asyncio.to_thread(repository.set_alias, "production", number)

    limits = httpx.Limits(max_connections=CONCURRENT, max_keepalive_connections=CONCURRENT)
    async with httpx.AsyncClient(base_url=base_url, limits=limits, timeout=60) as client:
        await asyncio.gather(move(), *(ask(client) for _ in range(CONCURRENT)))
        status = (await client.get("/ready")).json()
    found["swaps"] = status["swaps"]
    found["microseconds in predict"] = round(
        1e6 * status["predictions"]["seconds"] / max(1, status["predictions"]["count"])
    )
    return found


def version_of(answer: httpx.Response) -> int | None:
    """Return the version that an answer comes from, if it is a right one."""
    if answer.status_code != 200:
        return None
    document: Any = answer.json()
    values = set(document["predictions"][0])
    (value,) = values if len(values) == 1 else (0,)
    return int(value) if value in (1, 2, 3) else None


def report(found: Counter[str], seconds: float, alone: float) -> None:
    """Print what was found, and judge it."""
    answers = {name: count for name, count in found.items() if name.startswith("version ")}
    bad = {name: count for name, count in found.items() if name.startswith(("error", "wrong"))}
    rate = sum(answers.values()) / seconds
    for name in sorted(answers):
        print(f"{name}: {answers[name]} answers")
    print(f"swaps: {found['swaps']}, errors and wrong versions: {sum(bad.values())}")
    print(f"served: {rate:.0f} requests/s by {CONCURRENT} at once, client on the same machine")
    print(f"LiteRT in a loop: {alone:.0f} predictions/s, {1e6 / alone:.0f} us each")
    print(f"LiteRT in the server: {found['microseconds in predict']} us each")
    if bad or len(answers) != 3 or found["swaps"] != 2:
        sys.exit(f"serving_load: {bad or 'not every version answered'}")


if __name__ == "__main__":
    main()
