"""Count what lazy reads cost, and hold it against limits; see scripts/lazy_reads."""

from __future__ import annotations

import argparse
import compileall
import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import fsspec
import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from signing.keys import key_pair  # noqa: E402
from weights.artifacts import SAMPLES, same, write_legacy, write_weights  # noqa: E402
from weights.counting_proxy import CountingProxy, counting_proxy  # noqa: E402

import remote_models as rm  # noqa: E402
from remote_models.storage import Location  # noqa: E402
from remote_models.testing import Emulator, seaweedfs  # noqa: E402

MIB = 1024 * 1024

TENSORS = 32
"""Half of them of 60 MiB, half of 4 MiB: 1 GiB in all."""

COLD_STARTS = 5
"""Fresh processes, of whose figures the medians are told; one with ``--small``."""

CLIENTS = {"fsspec": "s3fs", "obstore": "obstore"}
"""Values of REMOTE_MODELS_CLIENT, and the package that each stands for."""

MAX_RSS_MIB = 150
"""Of a cold start. Importing TensorFlow alone takes 550."""


@dataclass
class Report:
    """Measured figures, and whether each keeps its limit."""

    rows: list[tuple[str, str, str, bool]] = field(default_factory=list)

    def add(self, what: str, found: float, limit: float | None = None, unit: str = "") -> None:
        """Add a figure; without a limit it is only told."""
        ok = limit is None or found <= limit
        self.rows.append((what, f"{found:,.10g}{unit}", _limit(limit, unit), ok))

    def print(self) -> None:
        """Print all figures as a table."""
        first = max(len(what) for what, _, _, _ in self.rows)
        second = max(len(found) for _, found, _, _ in self.rows)
        for what, found, limit, ok in self.rows:
            line = f"{what:<{first}}  {found:>{second}}  {limit}"
            print(line.rstrip() if ok else f"{line}  EXCEEDED")

    @property
    def ok(self) -> bool:
        """Whether every figure keeps its limit."""
        return all(row[3] for row in self.rows)


def _limit(limit: float | None, unit: str) -> str:
    return "" if limit is None else f"at most {limit:,.10g}{unit}"


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A server, a proxy before it that counts, and an empty bucket."""

    emulator: Emulator
    proxy: CountingProxy
    bucket: str
    folder: Path
    report: Report

    def push(self, path: Path) -> Location:
        """Publish a file, past the proxy, and return where it lies behind the proxy."""
        url = f"{self.bucket}/{path.name}"
        rm.push_model(path, url, storage_options=self.emulator.storage_options)
        path.unlink()
        return Location.parse(url, self.proxy.storage_options(self.emulator))

    def open(self, location: Location, *, verify: bool = True) -> rm.RemoteModel:
        """Open what was pushed, through the proxy."""
        options = location.storage_options
        return rm.open_model(str(location), verify=verify, storage_options=options)

    @contextmanager
    def counted(
        self, what: str, *, requests: float | None = None, nbytes: float | None = None
    ) -> Iterator[None]:
        """Count what passes during a block, and hold it against limits."""
        self.proxy.clear()
        yield
        self.report.add(f"{what}: requests", self.proxy.requests, requests)
        self.report.add(f"{what}: bytes", self.proxy.nbytes, nbytes)


def measure_model(bench: Bench, scale: float) -> None:
    """Open a model of 32 tensors, and read one of its small and one of its large tensors."""
    random = np.random.default_rng(0)
    large, small = (int(size * MIB * scale) // 4096 for size in (60, 4))
    arrays = {
        f"dense_{number}": random.random((large if number % 2 else small, 1024), "float32")
        for number in range(TENSORS)
    }
    path = bench.folder / "model.weights.h5"
    write_weights(path, {layer: [array] for layer, array in arrays.items()})
    foreign = upload(bench, path)
    location = bench.push(path)
    with bench.counted("open a model of 32 tensors", requests=1, nbytes=100_000):
        weights = bench.open(location).weights
    for name, what in (("dense_2", "small"), ("dense_3", "large")):
        array = arrays[name]
        label = f"read a {what} tensor of {array.nbytes:,} bytes"
        requests = -(-array.nbytes // (8 * MIB))
        with bench.counted(label, requests=requests, nbytes=array.nbytes):
            found = np.asarray(weights[f"{name}/kernel"])
        assert same(found, array)
    measure_signed(bench, location, arrays["dense_2"])
    structure = 4 + 3 * TENSORS
    with bench.counted(
        "open the same without a manifest", requests=structure, nbytes=structure * MIB / 4
    ):
        assert len(bench.open(foreign, verify=False).weights) == TENSORS


def measure_signed(bench: Bench, location: Location, array: Any) -> None:
    """Open the same by a public key alone, and read a small tensor that is vouched for."""
    keys = key_pair()
    rm.sign_model(str(location), keys.private, storage_options=bench.emulator.storage_options)
    what = f"open it by a public key and read {array.nbytes:,} bytes"
    with bench.counted(what, requests=3, nbytes=array.nbytes + 110_000):
        remote = rm.open_model(
            str(location), public_key=keys.public, storage_options=location.storage_options
        )
        found = np.asarray(remote.weights["dense_2/kernel"])
    assert same(found, array)


def upload(bench: Bench, path: Path) -> Location:
    """Put a file where no manifest is."""
    url = f"{bench.bucket}/foreign/{path.name}"
    location = Location.parse(url, bench.proxy.storage_options(bench.emulator))
    direct = replace(location, storage_options=bench.emulator.storage_options)
    filesystem = fsspec.filesystem("s3", **direct.storage_options)
    filesystem.put_file(str(path), direct.path)
    return location


def measure_rows(bench: Bench, scale: float) -> None:
    """Read 100 random rows of a large embedding: a block each, at most."""
    rows, width = int(1024 * 1024 * scale), 256
    table = np.arange(rows * width, dtype="float32").reshape(rows, width)
    path = bench.folder / "embedding.weights.h5"
    write_weights(path, {"embedding": [table]})
    location = bench.push(path)
    remote = bench.open(location)
    assert remote.manifest is not None
    (tensor,) = remote.weights.values()
    wanted = np.random.default_rng(3).integers(0, rows, 100)
    what = f"read 100 random rows of {table.nbytes:,} bytes"
    with bench.counted(what, requests=100, nbytes=100 * remote.manifest.block_size):
        assert same(tensor[wanted], table[wanted])
    with bench.counted("read one row", requests=1, nbytes=remote.manifest.block_size):
        assert same(tensor[rows // 2], table[rows // 2])


def measure_small_tensors(bench: Bench) -> None:
    """Read 300 small tensors that lie together, and 300 that lie among large ones."""
    random = np.random.default_rng(2)
    small = {f"layer_{n:03}": random.random(1024 * (1 + n % 10), "float32") for n in range(300)}
    path = bench.folder / "many.h5"
    write_legacy(path, {layer: {"kernel": array} for layer, array in small.items()})
    weights = bench.open(bench.push(path)).weights
    total = sum(array.nbytes for array in small.values())
    with bench.counted("read 300 small tensors", requests=8, nbytes=1.25 * total):
        found = weights.fetch()
    assert all(same(found[f"{layer}/kernel"], array) for layer, array in small.items())
    kernel = random.random((128, 512), "float32")
    path = bench.folder / "scattered.h5"
    write_legacy(path, {layer: {"kernel": kernel, "bias": array} for layer, array in small.items()})
    weights = bench.open(bench.push(path)).weights
    with bench.counted("read 300 small tensors among large ones"):
        weights.fetch(lambda tensor: tensor.name.endswith("bias"))


def measure_cold_starts(bench: Bench, count: int) -> None:
    """Time fresh processes that read one tensor of a SavedModel in S3, with each client."""
    for package in ("numpy", "fsspec", "s3fs", "aiobotocore", "botocore", "aiohttp", "obstore"):
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.submodule_search_locations:
            compileall.compile_dir(spec.submodule_search_locations[0], quiet=2)
    compileall.compile_dir(ROOT / "remote_models", quiet=2)
    url = f"{bench.bucket}/saved_model"
    options = bench.emulator.storage_options
    rm.push_model(SAMPLES / "tf_keras-2.21.0/saved_model", url, storage_options=options)
    for client, package in CLIENTS.items():
        if importlib.util.find_spec(package) is not None:
            runs = [cold_start(url, bench.emulator, client) for _ in range(count)]
            report_cold_start(bench.report, f"cold start with {package}", runs)


def report_cold_start(report: Report, label: str, runs: Sequence[Any]) -> None:
    """Add the medians of some cold starts."""
    report.add(label, _median([sum(run["marks"].values()) for run in runs]), unit=" s")
    for what in runs[0]["marks"]:
        report.add(f"{label}: {what}", _median([run["marks"][what] for run in runs]), unit=" s")
    rss = _median([run["peak_rss_kib"] / 1024 for run in runs])
    report.add(f"{label}: peak memory", rss, MAX_RSS_MIB, unit=" MiB")
    unwanted = sorted({name for run in runs for name in run["unwanted"]})
    report.add(" ".join([f"{label}: unwanted imports", *unwanted]), len(unwanted), 0)


def _median(values: Sequence[float]) -> float:
    return round(statistics.median(values), 3)


def cold_start(url: str, emulator: Emulator, client: str) -> dict[str, Any]:
    """Run one fresh process and return what it measured."""
    script = ROOT / "scripts/_cold_start.py"
    command = [sys.executable, str(script), str(time.time()), url, "dense/kernel"]
    environment = {**emulator.environment, "REMOTE_MODELS_CLIENT": client}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


def main() -> int:
    """Measure, print the table, and say whether every limit is kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="a sixteenth of the size")
    parser.add_argument("--models", action="store_true", help="compare ResNet50 and MobileNetV2")
    arguments = parser.parse_args()
    if arguments.models:
        from _lazy_models import compare_models

        return compare_models()
    scale = 1 / 16 if arguments.small else 1.0
    report = Report()
    with (
        tempfile.TemporaryDirectory() as folder,
        seaweedfs() as emulator,
        counting_proxy(emulator.endpoint_url) as proxy,
    ):
        bench = Bench(
            emulator=emulator,
            proxy=proxy,
            bucket=emulator.make_bucket(),
            folder=Path(folder),
            report=report,
        )
        measure_model(bench, scale)
        measure_rows(bench, scale)
        measure_small_tensors(bench)
        measure_cold_starts(bench, 1 if arguments.small else COLD_STARTS)
    report.print()
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main())
