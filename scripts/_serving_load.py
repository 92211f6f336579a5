"""What scripts/serving_load does.

The server is uvicorn with ``asgi_app`` in a process of its own, the store SeaweedFS, the
model a small MLP whose versions add their number, so that each answer tells which one gave it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import numpy as np

_ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(_ROOT / "tests"))

from serving.models import save_version_of  # noqa: E402

import remote_models as rm  # noqa: E402
from remote_models.testing import seaweedfs, set_environment  # noqa: E402

CONCURRENT = 64
ROW = [0.5] * 64
BODY = json.dumps({"instances": [ROW]}).encode()
PATH = "/v1/models/digits:predict"
REFRESH = "0.2"


def main() -> None:
    """Load the server; end with status 1 if it is no good."""
    parser = argparse.ArgumentParser(prog="serving_load")
    parser.add_argument("--seconds", type=float, default=30)
    seconds = parser.parse_args().seconds
    with seaweedfs() as store, set_environment(store):
        repository = rm.Repository(f"{store.make_bucket()}/digits")
        save_versions(repository)
        alone = plain_rate(repository, min(seconds, 5))
        with serve(str(repository.location)) as (base_url, process):
            before = processor_seconds(process)
            found = asyncio.run(load(base_url, repository, seconds))
            spent = processor_seconds(process) - before
    report(found, seconds, spent, alone)


def save_versions(repository: rm.Repository) -> None:
    """Save three versions; production leads to the first."""
    for _ in range(3):
        save_version_of(repository.location, "tflite", mlp)
    repository.set_alias("production", 1)


def mlp(number: int) -> bytes:
    """Return an MLP for LiteRT, each output of which is the number."""
    import keras
    import tensorflow as tf

    inputs = keras.layers.Input((64,))
    hidden = keras.layers.Dense(128, "relu", kernel_initializer="zeros")(inputs)
    last = keras.layers.Dense(
        10, kernel_initializer="zeros", bias_initializer=keras.initializers.Constant(number)
    )
    converter = tf.lite.TFLiteConverter.from_keras_model(keras.Model(inputs, last(hidden)))
    return bytes(converter.convert())


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
def serve(url: str) -> Iterator[tuple[str, int]]:
    """Run the server on a port that it chooses, and return its URL and process."""
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
            yield address_of(server), server.pid
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


class Client:
    """One connection that is kept: a whole client would take more time than the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, base_url: str) -> Self:
        """Connect to a server of this machine."""
        address = urlsplit(base_url)
        return cls(*await asyncio.open_connection(address.hostname, address.port))

    async def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """Return the status and the body of an answer."""
        self._writer.write(
            f"{method} {path} HTTP/1.1\r\nHost: model\r\nContent-Length: {len(body)}\r\n\r\n"
            .encode() + body
        )  # fmt: skip
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.split("content-length:")[1].split()[0])
        return int(head.split()[1]), await self._reader.readexactly(length)


async def load(base_url: str, repository: rm.Repository, seconds: float) -> Counter[str]:
    """Ask all the time, and move the alias after a third and after two thirds of it."""
    found: Counter[str] = Counter()
    begun = {1}  # the versions to which the alias was moved
    ended = time.perf_counter() + seconds

    async def ask() -> None:
        client = await Client.connect(base_url)
        lowest = 1
        while time.perf_counter() < ended:
            try:
                status, body = await client.ask("POST", PATH, BODY)
            except (OSError, EOFError) as error:
                found[f"error: {type(error).__name__}"] += 1
                client = await Client.connect(base_url)
                continue
            version = version_of(status, body)
            # One client sees versions in their order, and none before its alias has moved.
            if version is None or version < lowest or version not in begun:
                found[f"wrong: {status} {body[:80]!r}"] += 1
                continue
            lowest = version
            found[f"version {version}"] += 1

    async def move() -> None:
        for number in (2, 3):
            await asyncio.sleep(seconds / 3)
            begun.add(number)
            await asyncio.to_thread(repository.set_alias, "production", number)

    await asyncio.gather(move(), *(ask() for _ in range(CONCURRENT)))
    client = await Client.connect(base_url)
    status = json.loads((await client.ask("GET", "/ready"))[1])
    found["swaps"] = status["swaps"]
    found["microseconds in predict"] = round(
        1e6 * status["predictions"]["seconds"] / max(1, status["predictions"]["count"])
    )
    return found


def version_of(status: int, body: bytes) -> int | None:
    """Return the version that an answer comes from, if it is a right one."""
    if status != 200:
        return None
    document: Any = json.loads(body)
    values = set(document["predictions"][0])
    (value,) = values if len(values) == 1 else (0,)
    return int(value) if value in (1, 2, 3) else None


def processor_seconds(process: int) -> float:
    """Return the processor time that a process has had (Linux: proc(5), stat, 14 and 15)."""
    fields = Path(f"/proc/{process}/stat").read_text("ascii").rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def report(found: Counter[str], seconds: float, spent: float, alone: float) -> None:
    """Print what was found, and judge it."""
    answers = {name: count for name, count in found.items() if name.startswith("version ")}
    bad = {name: count for name, count in found.items() if name.startswith(("error", "wrong"))}
    count = sum(answers.values())
    for name in sorted(answers):
        print(f"{name}: {answers[name]} answers")
    print(f"swaps: {found['swaps']}, errors and wrong versions: {sum(bad.values())}")
    print(f"served: {count / seconds:.0f} requests/s, {CONCURRENT} at once")
    print(f"server: {1e6 * spent / max(1, count):.0f} us of processor each")
    print(f"LiteRT in a loop: {alone:.0f} predictions/s, {1e6 / alone:.0f} us each")
    print(f"LiteRT in the server: {found['microseconds in predict']} us each, its turn awaited")
    if bad or len(answers) != 3 or found["swaps"] != 2:
        sys.exit(f"serving_load: {bad or 'not every version answered'}")


if __name__ == "__main__":
    main()
