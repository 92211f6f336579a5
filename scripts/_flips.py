"""Damage small models byte by byte, and a large one bit by bit; see scripts/flips."""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import numpy as np  # noqa: E402
from flips.damages import MANIFEST, Artifact, broken_files, flipped, masks  # noqa: E402
from flips.ways import WAYS, Outcome, outcome  # noqa: E402
from weights.artifacts import delete, write_weights  # noqa: E402
from weights.published import FORMATS  # noqa: E402

import remote_models as rm  # noqa: E402
from remote_models.cache import Cache, CacheSettings, open_cache  # noqa: E402
from remote_models.errors import IntegrityError  # noqa: E402
from remote_models.remote_model import WholeReading  # noqa: E402
from remote_models.storage import Location  # noqa: E402

GOOD = {Outcome.NOTICED, Outcome.HARMLESS}
"""What may come of a read; that nothing but a lazy read finds a flip harmless is counted."""

MEGABYTES = 100

BITS_AT_ONCE = 500
"""Bits of the large model that one process flips."""

SMALL = 64 * 1024
"""Of samples with larger files, ``reads`` flips this many bytes a file at most."""

SHM = "/dev/shm" if os.path.isdir("/dev/shm") else None

Changes = Mapping[str, bytes | None]


@dataclass
class Report:
    """What came of the reads of one artifact, and the first damages that were missed."""

    counts: Counter[str] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)
    told: float = field(default_factory=time.monotonic)

    def add(self, damage: str, way: str, came: str) -> None:
        self.counts[f"{way}: {came}"] += 1
        is_lazy = way == "lazy read"
        if came not in GOOD or (came == Outcome.HARMLESS and not is_lazy):
            self.missed.append(f"{damage}: {way}: {came}")
            print(f"MISSED: {self.missed[-1]}", file=sys.stderr, flush=True)

    def tell(self, name: str) -> None:
        """Say how far it is, now and then: a run that is cut short has counted, too."""
        if time.monotonic() - self.told > 30:
            self.told = time.monotonic()
            missed = f"{len(self.missed)} missed"
            print(f"    {name}, until now: {dict(self.counts)}, {missed}", file=sys.stderr)

    def as_json(self) -> str:
        return json.dumps({"counts": self.counts, "missed": self.missed[:20]})


@dataclass(frozen=True)
class Flips:
    """Which bytes are flipped.

    Attributes:
        stride: Every which.
        whole: Whether each is flipped as a whole, too, besides one of its bits.
    """

    stride: int
    whole: bool

    def of(self, data: bytes, choose: Random, stride: int) -> Iterator[tuple[int, int]]:
        """Yield places, and what to flip there."""
        for at in range(choose.randrange(stride), len(data), stride):
            bit, byte = masks(choose)
            yield at, bit
            if self.whole:
                yield at, byte


def damages(artifact: Artifact, flips: Flips) -> Iterator[tuple[str, Changes]]:
    """Yield every flipped byte, and every broken file."""
    choose = Random(0)
    for path, data in artifact.contents.items():
        stride = max(flips.stride, len(data) // SMALL)
        for at, mask in flips.of(data, choose, stride):
            yield f"{path}[{at}] ^ {mask}", {path: flipped(data, at, mask)}
    yield from broken_files(artifact)


def read(name: str, flips: Flips) -> Report:
    """Damage one of the samples, and read it in each way."""
    report = Report()
    with tempfile.TemporaryDirectory(dir=SHM) as folder:
        artifact = Artifact.publish(name, Location.parse("memory://flips"), Path(folder))
        expected = rm.open_model(artifact.url).weights.fetch()
        for damage, changes in damages(artifact, flips):
            report.tell(name)
            with artifact.holding(changes):
                for way in WAYS:
                    report.add(damage, way, outcome(way, artifact.url, expected))
        kept = Kept.of(artifact.url, Path(folder))
        for path, data in kept.contents.items():
            choose = Random(path.name)
            for at, mask in flips.of(data, choose, max(flips.stride, len(data) // SMALL)):
                report.tell(name)
                with kept.without_original(artifact), _flipped_in_place(path, at, mask):
                    report.add(f"cache {path.name}[{at}] ^ {mask}", "cache", kept.reuse())
    return report


@dataclass(frozen=True)
class Kept:
    """What the cache keeps of an artifact, by second names: it removes what is damaged.

    Attributes:
        url: The artifact.
        cache: The cache.
        folder: Where copies come and go.
        entries: What the cache calls each file, by its second name.
    """

    url: str
    cache: Cache
    folder: Path
    entries: Mapping[Path, Path]

    @classmethod
    def of(cls, url: str, folder: Path) -> Kept:
        """Load an artifact into an empty cache."""
        cache = open_cache(CacheSettings(directory=folder / "cache"))
        assert isinstance(cache, Cache)
        (folder / "second").mkdir()
        with tempfile.TemporaryDirectory(dir=folder) as copy:
            rm.open_model(url).download(Path(copy), cache=cache)
        entries = {}
        for entry in sorted((folder / "cache").rglob("*")):
            if len(entry.name) == 64 and entry.stat().st_size:
                second = folder / "second" / entry.name
                entry.chmod(0o600)
                os.link(entry, second)
                entries[second] = entry
        assert entries
        return cls(url, cache, folder, entries)

    @property
    def contents(self) -> Mapping[Path, bytes]:
        return {path: path.read_bytes() for path in self.entries}

    @contextmanager
    def without_original(self, artifact: Artifact) -> Iterator[None]:
        """Leave the manifest alone in the store, so that what is damaged cannot be copied."""
        removed = {path: None for path in artifact.places if path != MANIFEST}
        with artifact.holding(removed):
            yield

    def reuse(self) -> str:
        """Load out of the cache; what has been removed from it is put back."""
        try:
            with tempfile.TemporaryDirectory(dir=self.folder) as copy:
                rm.open_model(self.url).download(Path(copy), cache=self.cache)
        except IntegrityError:
            return Outcome.NOTICED
        finally:
            for second, entry in self.entries.items():
                if not entry.exists():
                    os.link(second, entry)
        return Outcome.MISSED


# Loads of the frameworks


def make_model(generation: Any) -> Any:
    """Return a very small model that was trained, so that its optimizer has a state."""
    inputs = generation.layers.Input((1,))
    model = generation.Model(inputs, generation.layers.Dense(1, name="out")(inputs))
    optimizer = generation.optimizers.SGD(0.1, momentum=0.9)
    model.compile(optimizer, "mean_squared_error")
    model.fit(np.ones((4, 1)), np.ones((4, 1)), verbose=0)
    return model


def load_whole(url: str, _model: Any, framework: str) -> None:
    rm.load_model(url, framework=framework)


def load_into(url: str, model: Any, _framework: str) -> None:
    rm.load_weights(model, url)


Load = Callable[[str, Any, str], None]

SAVES: Mapping[str, Mapping[str, tuple[Load, Mapping[str, Any]]]] = {
    "keras": {
        "m.keras": (load_whole, {}),
        "m.h5": (load_whole, {}),
        "saved_model": (load_whole, {}),
        "m.weights.h5": (load_into, {}),
        "m.weights.json": (load_into, {"max_shard_size": 1e-6}),
    },
    "tf_keras": {
        "m.keras": (load_whole, {}),
        "m.h5": (load_whole, {}),
        "saved_model": (load_whole, {}),
        "m.weights.h5": (load_into, {}),
        "checkpoint": (load_into, {}),
    },
}
"""By the framework that saves: names, how they are loaded, and arguments to save weights."""


def load(name: str, flips: Flips) -> Report:
    """Damage what a framework has saved, and load it.

    Args:
        name: ``tf_keras/m.h5``, or ``tf_keras/m.h5/keras`` where the other one loads it.
        flips: Which bytes are flipped.
    """
    import importlib
    import warnings

    saver, file, loader = (*name.split("/"), "")[:3]
    generation = importlib.import_module(saver)
    model = make_model(generation)
    how, arguments = SAVES[saver][file]
    url = f"memory://flips/{file}"
    if how is load_whole:
        rm.save_model(model, url)
    else:
        rm.save_weights(model, url, **arguments)
    artifact = Artifact.at(url)
    report = Report()
    warnings.simplefilter("ignore")
    warnings.simplefilter("error", rm.UnverifiedModelWarning)
    attempt = partial(how, url, model, loader or saver)
    attempt()  # undamaged, it loads
    for damage, changes in damages(artifact, flips):
        report.tell(name)
        with artifact.holding(changes):
            try:
                attempt()
            except (IntegrityError, rm.UnverifiedModelWarning):
                report.add(damage, "load", Outcome.NOTICED)
            else:
                report.add(damage, "load", Outcome.MISSED)
    return report


# A large model


def flip_large(name: str, bits: int) -> Report:
    """Flip random bits of a large file, and read it in each way.

    Args:
        name: ``bits 500``: how many others have flipped, which chooses the bits.
        bits: How many.
    """
    report = Report()
    choose = Random(name)
    values = np.random.default_rng(0)
    rows = MEGABYTES * 10**6 // 4 // 4096 // 8
    with tempfile.TemporaryDirectory(dir=SHM) as scratch:
        folder = Path(scratch)
        path = folder / "large.weights.h5"
        write_weights(path, {f"dense_{n}": [values.random((rows, 4096), "f4")] for n in range(8)})
        rm.adopt_model(path)
        kept = _keep_large(path)
        (second,) = kept.entries
        size = path.stat().st_size
        for _ in range(bits):
            report.tell(name)
            at, mask = choose.randrange(size), 1 << choose.randrange(8)
            damage = f"byte {at} ^ {mask}"
            with _flipped_in_place(path, at, mask):
                report.add(damage, "load", _read_whole(path))
                report.add(damage, "lazy read", _read_rows(path, at))
                report.add(damage, "verify", outcome("verify", str(path), {}))
            with _flipped_in_place(second, at, mask):
                report.add(damage, "cache", kept.reuse())
    return report


def _keep_large(path: Path) -> Kept:
    """Keep a file in a cache, and leave its manifest alone in the store."""
    url = f"memory://flips/{path.name}"
    rm.push_model(path, url)
    kept = Kept.of(url, path.parent)
    delete(Location.parse(url))
    return kept


def _read_whole(path: Path) -> str:
    try:
        with WholeReading(rm.open_model(path)) as reading:
            for _ in reading.weights.stream():
                pass
    except IntegrityError:
        return Outcome.NOTICED
    return Outcome.MISSED


def _read_rows(path: Path, at: int) -> str:
    """Read the row of a tensor in which a byte lies; nothing where it lies in none."""
    with rm.open_model(path) as remote:
        manifest = remote.manifest
        assert manifest is not None
        for tensor in manifest.tensors:
            (piece,) = tensor.pieces
            if piece.offset <= at < piece.stop:
                row = (at - piece.offset) * tensor.shape[0] // piece.nbytes
                try:
                    _ = remote.weights[tensor.label][row : row + 1]
                except IntegrityError:
                    return Outcome.NOTICED
                return Outcome.WRONG
    return Outcome.HARMLESS


class _flipped_in_place:  # noqa: N801 - a context manager, as those of contextlib are called
    def __init__(self, path: Path, at: int, mask: int) -> None:
        self._path, self._at, self._mask = path, at, mask

    def _flip(self) -> None:
        with self._path.open("r+b") as file:
            file.seek(self._at)
            (byte,) = file.read(1)
            file.seek(self._at)
            file.write(bytes([byte ^ self._mask]))

    def __enter__(self) -> None:
        self._flip()

    def __exit__(self, *error: object) -> None:
        self._flip()


# All of it


def jobs(parts: Sequence[str], bits: int) -> Iterator[tuple[str, str, int]]:
    """Yield the arguments of each child: of which part, which model, and how many bits."""
    if "large" in parts:
        for start in range(0, bits, BITS_AT_ONCE):
            yield "large", f"bits {start}", min(BITS_AT_ONCE, bits - start)
    if "loads" in parts:
        for framework, files in SAVES.items():
            yield from (("loads", f"{framework}/{file}", 0) for file in files)
        for file in ("m.keras", "m.h5", "saved_model"):
            yield "loads", f"tf_keras/{file}/keras", 0
    if "reads" in parts:
        yield from (("reads", name, 0) for name in FORMATS)


def run_child(part: str, name: str, bits: int, flips: Flips) -> Report:
    if part == "large":
        return flip_large(name, bits)
    return (read if part == "reads" else load)(name, flips)


def start_child(job: tuple[str, str, int], options: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Run a job in a process of its own and return its name and report."""
    name = " ".join(job[:2])
    child = subprocess.run(
        [sys.executable, __file__, *options, "--child", *map(str, job)],
        stdout=subprocess.PIPE, text=True,
        env={**os.environ, "KERAS_BACKEND": "tensorflow"}, check=False,
    )  # fmt: skip
    if child.returncode:
        return name, {"counts": {}, "missed": [f"the child failed: {child.returncode}"]}
    found: dict[str, Any] = json.loads(child.stdout.splitlines()[-1])
    print(f"{name}: {found['counts']}", flush=True)
    return name, found


def main() -> int:
    """Run all parts, print what came of them, and say whether nothing was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stride", type=int, default=1, help="of bytes that are flipped")
    parser.add_argument("--whole", action="store_true", help="flip whole bytes, too")
    parser.add_argument("--bits", type=int, default=10_000, help="of the large model")
    parser.add_argument("--parts", default="reads,loads,large")
    parser.add_argument("--only", help="a single model, as in keras/m.h5")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    flips = Flips(arguments.stride, arguments.whole)
    if arguments.child:
        logging.disable(logging.WARNING)  # the cache tells of each damaged file
        part, name, bits = arguments.child
        print(run_child(part, name, int(bits), flips).as_json())
        return 0
    wanted = [
        job
        for job in jobs(arguments.parts.split(","), arguments.bits)
        if arguments.only in (None, job[1])
    ]
    options = ["--stride", str(flips.stride), *(["--whole"] if flips.whole else [])]
    with ThreadPoolExecutor(arguments.processes) as pool:
        found = dict(pool.map(partial(start_child, options=options), wanted))
    total: Counter[str] = Counter()
    for name, report in found.items():
        total.update(report["counts"])
        for line in report["missed"]:
            print(f"MISSED {name}: {line}")
    print(f"all: {dict(total)}")
    return int(any(report["missed"] for report in found.values()) or not total)


if __name__ == "__main__":
    sys.exit(main())
