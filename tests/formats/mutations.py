"""Recognise damaged HDF5 files in processes that may die of it.

``python mutations.py FIRST LAST`` damages a sample for every seed and prints one line
for each outcome that is not a recognition or an error of ours. libhdf5 1.14
left to itself never returns from, or crashes on, about one of 700 such files.
"""

from __future__ import annotations

import io
import os
import random
import signal
import sys
from pathlib import Path

from remote_models.errors import FormatError
from remote_models.formats import recognise_file

SECONDS = 2.0
"""For one file; the slowest that ends takes some milliseconds."""

FILES = sorted(Path(__file__).parent.glob("samples/*keras-*/*.h5"))


def damaged(seed: int) -> bytes:
    """Return a sample with up to 40 bytes changed, most of them near its start."""
    choose = random.Random(seed)
    data = bytearray(choose.choice(FILES).read_bytes())
    for _ in range(choose.randint(1, 40)):
        end = len(data) if choose.random() < 0.3 else 4096
        data[choose.randrange(end)] = choose.randrange(256)
    return bytes(data)


def attempt(seed: int) -> str | None:
    """Return what went wrong with Python's own means, if anything did."""
    try:
        recognise_file(io.BytesIO(damaged(seed)), where="here")
    except FormatError as error:
        return None if len(str(error).splitlines()) == 1 else f"{seed} many lines"
    except Exception as error:  # noqa: BLE001 - what must not happen
        return f"{seed} {type(error).__name__}: {error}"
    return None


def run(first: int, last: int) -> int:
    """Try seeds in a process of their own; return the seed that it died of, or ``last``."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        for seed in range(first, last):
            os.write(writer, seed.to_bytes(4, "little"))
            signal.setitimer(signal.ITIMER_REAL, SECONDS)  # nothing handles it: the process dies
            problem = attempt(seed)
            if problem is not None:
                print(problem, flush=True)
        os.write(writer, last.to_bytes(4, "little"))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as progress:
        reached = progress.read()[-4:]
    os.waitpid(child, 0)
    return int.from_bytes(reached, "little")


def main(first: int, last: int) -> None:
    """Try every seed, whatever the others do to their process."""
    while (first := run(first, last)) < last:
        print(f"{first} killed", flush=True)
        first += 1


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
