"""Fuzz the parsers of ``_fuzz_parsers`` under Atheris, guided by coverage; see scripts/fuzz.

libFuzzer makes up bytes, and keeps those that reach something new. They are taken for the
choices by which ``_fuzz_parsers`` damages real files, one after the other, or else, of
parsers that take bytes, for the file itself. An input that a parser does not answer as it
should is kept as a file, with which ``--parser NAME --input FILE`` does it again.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any, Self

RAW = 0x80
"""The first byte of an input from which on the rest is the file itself."""

MAX_BYTES = 64 * 1024

REAL_SECONDS = 60
"""For one input; the slowest takes some milliseconds."""

OUTCOMES = {b"a": "accepted", b"r": "refused", b"e": "error"}

BYTES_ALONE = ("manifest", "table", "zip", "hdf5")
"""Parsers whose input is a file."""


class Choices(Random):
    """A source of chances that takes them from bytes, as long as there are any."""

    def __init__(self, data: bytes) -> None:
        super().__init__(zlib.crc32(data))
        self._data = data
        self._at = 0

    def __new__(cls, _data: bytes) -> Self:
        return super().__new__(cls)

    def getrandbits(self, k: int) -> int:
        """Return a number of ``k`` bits."""
        taken = self._data[self._at : self._at + (k + 7) // 8]
        if not taken:
            return super().getrandbits(k)
        self._at += len(taken)
        return int.from_bytes(taken, "little") & ((1 << k) - 1)

    def random(self) -> float:
        """Return a number from 0 to 1."""
        return self.getrandbits(16) / (1 << 16)


def made_of(fuzz: Any, name: str, data: bytes) -> Any:
    """Return the input of a parser that bytes stand for."""
    if name in BYTES_ALONE and data and data[0] >= RAW:
        return data[1:]
    return fuzz.PARSERS[name].make(Choices(data[1:]))


# The process that parses


def run_child(name: str, seconds: int, folder: Path) -> None:
    """Parse what libFuzzer makes up, and note in files what came of each input."""
    import atheris

    with atheris.instrument_imports(include=["remote_models"]):
        import _fuzz_parsers as fuzz

    fuzz.attempt(name, -1)  # imports what it imports, before memory is limited
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + fuzz.MEMORY, used + fuzz.MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    marks = os.open(folder / "outcomes", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    known: set[str] = set()

    def parse(data: bytes) -> None:
        outcome = answer(fuzz, name, data)
        os.write(marks, outcome[:1].encode() if outcome in OUTCOMES.values() else b"e")
        if outcome not in OUTCOMES.values() and outcome not in known:
            known.add(outcome)
            (folder / f"error-{len(list(folder.iterdir()))}").write_bytes(data)
            with (folder / "errors").open("a") as file:
                print(json.dumps(outcome), file=file)

    options = [f"-max_total_time={seconds}", f"-timeout={REAL_SECONDS}", "-rss_limit_mb=0",
               f"-max_len={MAX_BYTES}", f"-artifact_prefix={folder}/", "-verbosity=0",
               str(corpus(fuzz, name, folder))]  # fmt: skip
    atheris.Setup([sys.argv[0], *options], parse)
    atheris.Fuzz()


def answer(fuzz: Any, name: str, data: bytes) -> str:
    """Parse what bytes stand for and return ``accepted``, ``refused``, or what went wrong."""
    parser = fuzz.PARSERS[name]
    made = made_of(fuzz, name, data)
    return str(fuzz.outcome_of(parser, made))


def corpus(fuzz: Any, name: str, folder: Path) -> Path:
    """Return a folder with what libFuzzer begins with: choices, and whole files."""
    found = folder / "corpus"
    if found.is_dir():  # a child before this one died
        return found
    found.mkdir()
    for number in range(32):
        data = bytes(1) + Random(number).randbytes(64)
        (found / f"choices-{number}").write_bytes(data)
    for number, content in enumerate(fuzz.files_of(name) if name in BYTES_ALONE else ()):
        if len(content) < MAX_BYTES:
            (found / f"file-{number}").write_bytes(bytes([RAW]) + content)
    return found


# The process that watches


def fuzz_one(name: str, seconds: float) -> tuple[str, Counter[str], list[str], list[str]]:
    """Run children, one after the other where they die; return counts, errors and deaths."""
    folder = Path(tempfile.mkdtemp(prefix=f"fuzz-{name}-"))
    until = time.monotonic() + seconds
    deaths: list[str] = []
    while (left := round(until - time.monotonic())) > 0:
        command = [sys.executable, __file__, "--child", name, str(left), str(folder)]
        child = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", check=False
        )
        if child.returncode == 0:
            break
        deaths.append(f"{name}: exit status {child.returncode}: {child.stderr[-600:]}")
        if not any((folder / each).exists() for each in ("outcomes", "errors")):
            break  # it does not even start
    marks = (folder / "outcomes").read_bytes() if (folder / "outcomes").exists() else b""
    counts = Counter({what: marks.count(mark) for mark, what in OUTCOMES.items()})
    told = folder / "errors"
    errors = [f"{name}: {line}, inputs in {folder}" for line in told.read_text().splitlines()] \
        if told.exists() else []  # fmt: skip
    return name, +counts, errors, deaths


def report(found: Sequence[tuple[str, Counter[str], list[str], list[str]]], fuzz: Any) -> int:
    """Print the results and return the exit status."""
    failed = False
    for name, counts, errors, deaths in found:
        told = ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))
        print(f"{name}: {counts.total()} inputs: {told}, {len(deaths)} died")
        fatal = [] if fuzz.PARSERS[name].may_die else deaths
        failed |= bool(errors or fatal or not counts)
        for line in errors:
            print(f"ERROR {line}")
        for line in deaths:
            print(f"{'died in libhdf5' if fuzz.PARSERS[name].may_die else 'ERROR'} {line}")
    return int(failed)


def main() -> int:
    """Fuzz every parser, print what came of it, and say whether all is well."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=60.0, help="for each parser")
    options.add_argument("--parser", help="this one only")
    options.add_argument("--input", type=Path, help="parse this file and show the error")
    options.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    arguments = options.parse_args()
    if arguments.child:
        name, seconds, folder = arguments.child
        run_child(name, int(seconds), Path(folder))
        return 0
    import _fuzz_parsers as fuzz

    if arguments.input is not None:
        made = made_of(fuzz, arguments.parser, arguments.input.read_bytes())
        fuzz.PARSERS[arguments.parser].parse(made)
        return 0
    names = [arguments.parser] if arguments.parser else list(fuzz.PARSERS)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(lambda name: fuzz_one(name, arguments.seconds), names))
    return report(found, fuzz)


if __name__ == "__main__":
    sys.exit(main())
