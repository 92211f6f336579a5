"""Damage small models byte by byte, and a large one bit by bit; see scripts/flips."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import numpy as np  # noqa: E402
from flips.damages import Artifact, broken_files, flipped, masks  # noqa: E402
from flips.ways import WAYS, Outcome, outcome  # noqa: E402
from weights.artifacts import write_weights  # noqa: E402
from weights.published import FORMATS  # noqa: E402

import remote_models as rm  # noqa: E402
from remote_models.errors import IntegrityError  # noqa: E402
from remote_models.remote_model import WholeReading  # noqa: E402
from remote_models.storage import Location  # noqa: E402

GOOD = {Outcome.NOTICED, Outcome.HARMLESS}
"""What may come of a read; that nothing but a lazy read finds a flip harmless is counted."""

MEGABYTES = 100

Changes = Mapping[str, bytes | None]


@dataclass
class Report:
    """What came of the reads of one artifact, and the first damages that were missed."""

    counts: Counter[str] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)

    def add(self, damage: str, way: str, came: str) -> None:
        self.counts[f"{way}: {came}"] += 1
        is_lazy = way == "lazy read"
        if came not in GOOD or (came == Outcome.HARMLESS and not is_lazy):
            self.missed.append(f"{damage}: {way}: {came}")

    def as_json(self) -> str:
        return json.dumps({"counts": self.counts, "missed": self.missed[:20]})


def damages(artifact: Artifact, stride: int) -> Iterator[tuple[str, Changes]]:
    """Yield every flipped byte, and every broken file."""
    choose = Random(0)
    for path, data in artifact.contents.items():
        for at in range(choose.randrange(stride), len(data), stride):
            for mask in masks(choose):
                yield f"{path}[{at}] ^ {mask}", {path: flipped(data, at, mask)}
    yield from broken_files(artifact)


def read(name: str, stride: int) -> Report:
    """Damage one of the samples, and read it in each way."""
    report = Report()
    with tempfile.TemporaryDirectory() as folder:
        artifact = Artifact.publish(name, Location.parse("memory://flips"), Path(folder))
        expected = rm.open_model(artifact.url).weights.fetch()
        for damage, changes in damages(artifact, stride):
            with artifact.holding(changes):
                for way in WAYS:
                    report.add(damage, way, outcome(way, artifact.url, expected))
    return report


# Loads of the frameworks


def make_model(generation: Any) -> Any:
    """Return a small model that was trained, so that its optimizer has a state."""
    layers = generation.layers
    inputs = layers.Input((4,))
    hidden = layers.BatchNormalization(name="norm")(layers.Dense(3, name="in")(inputs))
    model = generation.Model(inputs, layers.Dense(2, name="out")(hidden))
    model.compile("adam", "mean_squared_error")
    model.fit(np.ones((4, 4)), np.ones((4, 2)), verbose=0)
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


def load(name: str, stride: int) -> Report:
    """Damage what a framework has saved, and load it.

    Args:
        name: ``tf_keras/m.h5``, or ``tf_keras/m.h5/keras`` where the other one loads it.
        stride: Of the bytes that are flipped.
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
    for damage, changes in damages(artifact, stride):
        with artifact.holding(changes):
            try:
                attempt()
            except (IntegrityError, rm.UnverifiedModelWarning):
                report.add(damage, "load", Outcome.NOTICED)
            else:
                report.add(damage, "load", Outcome.MISSED)
    return report


# A large model


def flip_large(bits: int) -> Report:
    """Flip random bits of a large file, and read it as a load does."""
    report = Report()
    choose = Random(0)
    values = np.random.default_rng(0)
    rows = MEGABYTES * 10**6 // 4 // 4096 // 8
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.weights.h5"
        write_weights(path, {f"dense_{n}": [values.random((rows, 4096), "f4")] for n in range(8)})
        rm.adopt_model(path)
        size = path.stat().st_size
        with path.open("r+b") as file:
            for _ in range(bits):
                at, mask = choose.randrange(size), 1 << choose.randrange(8)
                with _flipped_in_place(file, at, mask):
                    report.add(f"byte {at} ^ {mask}", "load", _read_whole(path))
    return report


def _read_whole(path: Path) -> str:
    try:
        with WholeReading(rm.open_model(path)) as reading:
            for _ in reading.weights.stream():
                pass
    except IntegrityError:
        return Outcome.NOTICED
    return Outcome.MISSED


class _flipped_in_place:  # noqa: N801 - a context manager, as those of contextlib are called
    def __init__(self, file: Any, at: int, mask: int) -> None:
        self._file, self._at, self._mask = file, at, mask

    def _flip(self) -> None:
        self._file.seek(self._at)
        (byte,) = self._file.read(1)
        self._file.seek(self._at)
        self._file.write(bytes([byte ^ self._mask]))
        self._file.flush()

    def __enter__(self) -> None:
        self._flip()

    def __exit__(self, *error: object) -> None:
        self._flip()


# All of it


def jobs(parts: Sequence[str], stride: int, bits: int) -> Iterator[list[str]]:
    """Yield the arguments of each child."""
    if "loads" in parts:
        for framework, files in SAVES.items():
            yield from (["loads", f"{framework}/{file}", str(stride)] for file in files)
        for file in ("m.keras", "m.h5", "saved_model"):
            yield ["loads", f"tf_keras/{file}/keras", str(stride)]
    if "large" in parts:
        yield ["large", f"{bits} bits of {MEGABYTES} MB", str(bits)]
    if "reads" in parts:
        yield from (["reads", name, str(stride)] for name in FORMATS)


def run_child(part: str, name: str, number: int) -> Report:
    if part == "large":
        return flip_large(number)
    return (read if part == "reads" else load)(name, number)


def start_child(job: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Run a job in a process of its own and return its name and report."""
    name = " ".join(job[:2])
    child = subprocess.run(
        [sys.executable, __file__, "--child", *job], stdout=subprocess.PIPE, text=True,
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
    parser.add_argument("--bits", type=int, default=10_000, help="of the large model")
    parser.add_argument("--parts", default="reads,loads,large")
    parser.add_argument("--only", help="a single model, as in keras/m.h5")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        part, name, number = arguments.child
        print(run_child(part, name, int(number)).as_json())
        return 0
    wanted = [
        job
        for job in jobs(arguments.parts.split(","), arguments.stride, arguments.bits)
        if arguments.only in (None, job[1])
    ]
    with ThreadPoolExecutor(arguments.processes) as pool:
        found = dict(pool.map(start_child, wanted))
    total: Counter[str] = Counter()
    for name, report in found.items():
        total.update(report["counts"])
        for line in report["missed"]:
            print(f"MISSED {name}: {line}")
    print(f"all: {dict(total)}")
    return int(any(report["missed"] for report in found.values()) or not total)


if __name__ == "__main__":
    sys.exit(main())
