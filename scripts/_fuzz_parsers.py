"""Damage real files and hand them to the parsers; see scripts/fuzz.

Every input is made from its number alone, so that ``--parser NAME --input N`` makes it
again. A parser runs in a process of its own, with little memory and a limit of time for
each input, since libhdf5 may crash or hang; the process says which input it is at.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from formats.bundles import string_tensor, table  # noqa: E402
from resealing import resealed  # noqa: E402
from weights.artifacts import SAMPLES, get  # noqa: E402

import remote_models as rm  # noqa: E402
from remote_models.errors import (  # noqa: E402
    FormatError,
    IntegrityError,
    ManifestError,
    RemoteModelsError,
)
from remote_models.formats import Format, recognise_file, shard_names  # noqa: E402
from remote_models.formats._hdf5_index import index_hdf5  # noqa: E402
from remote_models.formats._keras_index import index_keras_archive  # noqa: E402
from remote_models.formats._keras_metadata import architecture_of_keras_metadata  # noqa: E402
from remote_models.formats._object_graph import OBJECT_GRAPH, describe  # noqa: E402
from remote_models.formats._table import read_table  # noqa: E402
from remote_models.formats._tensor_bundle import index_checkpoint  # noqa: E402
from remote_models.formats.indexing import (  # noqa: E402
    decode_strings,
    find_documents,
    parse_architecture,
)
from remote_models.manifest import StoredManifest  # noqa: E402
from remote_models.remote_model import manifest_location  # noqa: E402
from remote_models.tensors import Role, StoredTensor  # noqa: E402

KERAS_2 = SAMPLES / "tf_keras-2.21.0"
KERAS_3 = SAMPLES / "keras-3.15.1"

CHECKPOINTS = (
    (KERAS_2 / "checkpoint", "small"),
    (KERAS_2 / "saved_model", "variables/variables"),
    (KERAS_3 / "exported", "variables/variables"),
)

MEMORY = 768 * 1024 * 1024
"""Bytes of address space that an input may take on top of what the process has."""

CPU_SECONDS = 5.0
"""For one input; the slowest takes some milliseconds."""

REAL_SECONDS = 60.0
"""For one input that waits instead of computing."""

EDGES = (0, 1, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, (1 << 63) - 1, (1 << 64) - 1)

Random = random.Random


# Ways to damage


def damaged(choose: Random, data: bytes, other: bytes) -> bytes:
    """Change a few places of ``data``; ``other`` is where strange bytes come from."""
    changed = bytearray(data)
    for _ in range(choose.choice((1, 1, 2, 4, 16))):
        _damage_once(choose, changed, other)
    return bytes(changed)


def _damage_once(choose: Random, data: bytearray, other: bytes) -> None:
    at = choose.randrange(len(data) + 1) if choose.random() < 0.5 else choose.randrange(
        min(len(data), 512) + 1
    )  # fmt: skip
    length = choose.choice((1, 2, 4, 8, 64))
    kind = choose.randrange(7)
    if kind == 0 and data:
        data[at % len(data)] ^= 1 << choose.randrange(8)
    elif kind == 1 and data:
        data[at % len(data)] = choose.randrange(256)
    elif kind == 2:
        width = choose.choice((1, 2, 4, 8))
        value = choose.choice(EDGES) & ((1 << 8 * width) - 1)
        data[at : at + width] = value.to_bytes(width, "little")
    elif kind == 3:
        del data[at : at + length]
    elif kind == 4:
        data[at:at] = data[at : at + length]
    elif kind == 5:
        start = choose.randrange(len(other) + 1)
        data[at : at + length] = other[start : start + length]
    elif choose.random() < 0.2:
        del data[at:]


def damaged_json(choose: Random, document: Any) -> Any:
    """Change a few members of a JSON document."""
    document = json.loads(json.dumps(document))
    for _ in range(choose.choice((1, 1, 2, 5))):
        nodes = list(_nodes(document))
        owner, key = choose.choice(nodes)
        kind = choose.randrange(4)
        if kind == 0:
            del owner[key]
        elif kind == 1:
            other, name = choose.choice(nodes)
            owner[key] = json.loads(json.dumps(other[name]))
        else:
            owner[key] = choose.choice(STRANGE_VALUES)()
        if not document:
            break
    return document


def _nodes(value: Any) -> Iterator[tuple[Any, Any]]:
    members: Any = ()
    if isinstance(value, dict):
        members = value.items()
    elif isinstance(value, list):
        members = enumerate(value)
    for key, member in list(members):
        yield value, key
        yield from _nodes(member)


def _deep() -> Any:
    value: Any = []
    for _ in range(150):
        value = [value]
    return value


STRANGE_VALUES: Sequence[Callable[[], Any]] = (
    lambda: None, lambda: True, lambda: 0, lambda: -1, lambda: 1 << 63, lambda: 10**400,
    lambda: 1e308, lambda: 0.5, lambda: "", lambda: "../x", lambda: "/etc/passwd",
    lambda: "\ud800", lambda: "a" * 5000, list, dict, lambda: [[]], lambda: {"": {}}, _deep,
    lambda: "Bidirectional", lambda: "Functional", lambda: [0] * 40, lambda: {"class_name": "LSTM"},
)  # fmt: skip


# The parsers


@dataclass(frozen=True)
class Parser:
    """Something that reads what strangers wrote.

    Attributes:
        make: Makes an input from a source of chances.
        parse: Parses it.
        declared: The errors that it may answer with.
        may_die: Whether libhdf5 is behind it, which no guard makes quite safe.
    """

    make: Callable[[Random], Any]
    parse: Callable[[Any], object]
    declared: tuple[type[RemoteModelsError], ...]
    may_die: bool = False


@cache
def contents(pattern: str) -> Sequence[bytes]:
    """The samples whose path matches."""
    found = [path.read_bytes() for path in sorted(SAMPLES.glob(pattern)) if path.is_file()]
    assert found, pattern
    return found


@cache
def manifests() -> Sequence[bytes]:
    """Manifests of samples, and the examples of the specification."""
    found = [path.read_bytes() for path in sorted((ROOT / "tests/manifests").rglob("*.json"))]
    for number, source in enumerate((KERAS_3 / "model.keras", KERAS_2 / "saved_model")):
        url = f"memory://fuzz/{number}/{source.name}"
        rm.push_model(source, url)
        remote = rm.open_model(url)
        found.append(get(manifest_location(remote.location, remote.layout)))
    return found


def make_manifest(choose: Random) -> bytes:
    """A damaged manifest, half of them still JSON, with a right checksum as a rule."""
    data = choose.choice(manifests())
    if choose.random() < 0.3:
        return damaged(choose, data, choose.choice(manifests()))
    document = damaged_json(choose, json.loads(data))
    try:
        return resealed(document) if choose.random() < 0.8 else _dumped(document)
    except ValueError:  # half of a surrogate pair
        return _dumped(document)


def _dumped(document: Any) -> bytes:
    return json.dumps(document).encode()


@cache
def checkpoints() -> Sequence[tuple[str, Mapping[str, bytes], Mapping[bytes, bytes]]]:
    """The prefix, the files and the entries of the index of each checkpoint."""
    found = []
    for folder, prefix in CHECKPOINTS:
        files = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }
        found.append((prefix, files, read_table(files[f"{prefix}.index"], where="sample")))
    return found


def make_table(choose: Random) -> bytes:
    """A damaged table, or one of damaged entries whose checksums are right."""
    prefix, files, entries = choose.choice(checkpoints())
    if choose.random() < 0.5:
        index = files[f"{prefix}.index"]
        return damaged(choose, index, index)
    return table(_damaged_entries(choose, entries), block=choose.choice((1, 3, 1000)))


def _damaged_entries(choose: Random, entries: Mapping[bytes, bytes]) -> Mapping[bytes, bytes]:
    changed = dict(entries)
    everything = b"".join(entries.values())
    for _ in range(choose.choice((1, 1, 3))):
        key = choose.choice(list(changed))
        kind = choose.randrange(5)
        if kind == 0:
            changed[damaged(choose, key, everything)] = changed.pop(key)
        elif kind == 1 and len(changed) > 1:
            del changed[key]
        else:
            changed[key] = damaged(choose, changed[key], everything)
    return changed


Files = tuple[str, Mapping[str, bytes]]


def make_bundle(choose: Random) -> Files:
    """A checkpoint whose entries, or whose bytes, are damaged; its table is sound."""
    prefix, files, entries = choose.choice(checkpoints())
    changed = dict(files)
    changed[f"{prefix}.index"] = table(_damaged_entries(choose, entries))
    if choose.random() < 0.3:
        name = choose.choice(list(files))
        changed[name] = damaged(choose, changed[name], files[name])
    return prefix, changed


def parse_bundle(made: Files) -> list[StoredTensor]:
    """Index a checkpoint."""
    prefix, files = made
    sizes = {name: len(data) for name, data in files.items()}
    return index_checkpoint(
        prefix, sizes, lambda name, start, stop: files[name][start:stop], where="here"
    )


@cache
def graphs() -> Sequence[tuple[bytes, Sequence[Any]]]:
    """The object graph and the tensors of each checkpoint."""
    found = []
    for prefix, files, _ in checkpoints():
        tensors = [
            replace(tensor, name=None, role=Role.OTHER) for tensor in parse_bundle((prefix, files))
        ]
        (own,) = [tensor for tensor in tensors if tensor.key == OBJECT_GRAPH]
        (piece,) = own.pieces
        data = files[piece.file][piece.offset : piece.stop]
        found.append((decode_strings(data, 1)[0], tensors))
    return found


def make_graph(choose: Random) -> tuple[str, bytes, Sequence[Any]]:
    """A damaged object graph, or damaged metadata of Keras."""
    graph, tensors = choose.choice(graphs())
    if choose.random() < 0.7:
        return "graph", damaged(choose, graph, graph), tensors
    metadata = (KERAS_2 / "saved_model/keras_metadata.pb").read_bytes()
    return "metadata", damaged(choose, metadata, graph), ()


def parse_graph(made: tuple[str, bytes, Sequence[Any]]) -> object:
    """Describe tensors by a graph, or read metadata."""
    kind, data, tensors = made
    if kind == "metadata":
        return architecture_of_keras_metadata(data, where="here")
    return describe(tensors, data, where="here")


def make_hdf5(choose: Random) -> bytes:
    """A damaged HDF5 file."""
    files = contents("*/*.h5")
    return damaged(choose, choose.choice(files), choose.choice(files))


def parse_hdf5(data: bytes) -> object:
    """Recognise and index a file, and find the configuration in it."""
    what = recognise_file(io.BytesIO(data), where="here")
    index_hdf5(io.BytesIO(data), "here", len(data), where="here")
    return find_documents(
        what.format, ["here"], lambda _: io.BytesIO(data), name="here", where="here"
    )


def files_of(name: str) -> Sequence[bytes]:
    """Return sound inputs of a parser that takes files."""
    if name == "manifest":
        return manifests()
    if name == "table":
        return [files[f"{prefix}.index"] for prefix, files, _ in checkpoints()]
    return contents("*/*.keras" if name == "zip" else "*/*.h5")


def make_zip(choose: Random) -> bytes:
    """A ``.keras`` archive that is damaged outside its weights, which are ``hdf5``'s part."""
    files = contents("*/*.keras")
    data = choose.choice(files)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        weights = archive.read("model.weights.h5")
    start = data.index(weights)
    head, tail = data[:start], data[start + len(weights) :]
    other = choose.choice(files)
    if choose.random() < 0.5:
        return damaged(choose, head, other) + weights + tail
    return head + weights + damaged(choose, tail, other)


def parse_zip(data: bytes) -> object:
    """Recognise and index an archive, and find what lies in it besides."""
    recognise_file(io.BytesIO(data), where="here")
    index_keras_archive(io.BytesIO(data), "here", len(data), where="here")
    return find_documents(
        Format.KERAS, ["here"], lambda _: io.BytesIO(data), name="here", where="here"
    )


@cache
def architectures() -> Sequence[Any]:
    """Configurations of models, layers inside layers among them."""
    found = [json.loads(data) for data in contents("*/*.json")]
    layer = {"class_name": "LSTM", "config": {"name": "lstm", "units": 3}}
    nested = {
        "class_name": "Functional",
        "config": {
            "name": "outer",
            "layers": [
                {"class_name": "Bidirectional", "config": {"name": "both", "layer": layer}},
                {"class_name": "Sequential", "config": {"name": "in", "layers": [layer, layer]}},
            ],
        },
        "compile_config": {"optimizer": {"class_name": "Adam", "config": {"name": "adam"}}},
    }
    return [*found, nested]


def make_json(choose: Random) -> tuple[bytes, bytes]:
    """A damaged JSON file, and weights that it is to name."""
    document = choose.choice(architectures())
    if choose.random() < 0.3:
        data = _dumped(document)
        return damaged(choose, data, data), choose.choice(contents("*/*weights.h5"))
    return _dumped(damaged_json(choose, document)), choose.choice(contents("*/*weights.h5"))


def parse_json(made: tuple[bytes, bytes]) -> object:
    """Take a file for all that JSON may be: recognised, a map of shards, names of weights."""
    data, weights = made
    problems: list[FormatError] = []
    for parse in (
        lambda: recognise_file(io.BytesIO(data), where="here"),
        lambda: shard_names(io.BytesIO(data), where="here"),
        lambda: index_hdf5(
            io.BytesIO(weights), "here", len(weights), where="here",
            architecture=parse_architecture(data, where="here"),
        ),
    ):  # fmt: skip
        try:
            parse()
        except FormatError as error:
            problems.append(error)
    if len(problems) == 3:
        raise problems[0]
    return None


def make_strings(choose: Random) -> tuple[bytes, int]:
    """A damaged tensor of texts, and how many texts it is said to hold."""
    texts = [b"x" * choose.randrange(300) for _ in range(choose.randrange(5))]
    data = string_tensor(texts)[0]
    count = len(texts) if choose.random() < 0.7 else choose.choice(EDGES)
    return damaged(choose, data, data), count


PARSERS: Mapping[str, Parser] = {
    "manifest": Parser(
        make_manifest, lambda data: StoredManifest.from_bytes(data, where="here"), (ManifestError,)
    ),
    "table": Parser(
        make_table, lambda data: read_table(data, where="here"), (FormatError, IntegrityError)
    ),
    "bundle": Parser(make_bundle, parse_bundle, (FormatError, IntegrityError)),
    "graph": Parser(make_graph, parse_graph, (FormatError,)),
    "strings": Parser(
        make_strings, lambda made: decode_strings(*made), (FormatError, IntegrityError)
    ),
    "zip": Parser(make_zip, parse_zip, (FormatError,), may_die=True),
    "json": Parser(make_json, parse_json, (FormatError,)),
    "hdf5": Parser(make_hdf5, parse_hdf5, (FormatError,), may_die=True),
}


# The process that parses


def attempt(name: str, number: int) -> str:
    """Parse one input and return ``accepted``, ``refused``, or what went wrong."""
    parser = PARSERS[name]
    return outcome_of(parser, parser.make(Random(f"{name} {number}")))


def outcome_of(parser: Parser, made: Any) -> str:
    """Parse an input and return ``accepted``, ``refused``, or what went wrong."""
    try:
        parser.parse(made)
    except parser.declared as error:
        return "refused" if len(str(error).splitlines()) == 1 else f"many lines: {str(error)!r}"
    except BaseException as error:  # noqa: BLE001 - that there is none is what is tried
        last = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__}: {str(error)[:200]} ({last.filename}:{last.lineno})"
    return "accepted"


def run_child(name: str, first: int, until: float) -> None:
    """Parse inputs until it is time, and write a line before and after each."""
    attempt(name, -1)  # imports what it imports, before memory is limited
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for number in itertools.count(first):
        if time.time() >= until:
            break
        print(number, flush=True)
        # Nobody handles these: the process dies of them, in whatever library it is.
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
        signal.setitimer(signal.ITIMER_REAL, REAL_SECONDS)
        outcome = attempt(name, number)
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(json.dumps(outcome), flush=True)  # in one line of ASCII


# The process that watches


@dataclass
class Result:
    """What came of one parser."""

    outcomes: Counter[str]
    errors: list[str]
    deaths: list[str]


def fuzz(name: str, seconds: float) -> Result:
    """Run children, one after the other where they die, until the time is up."""
    result = Result(Counter(), [], [])
    until = time.time() + seconds
    first = 0
    while first == 0 or time.time() < until:
        command = [sys.executable, __file__, "--child", name, str(first), str(until)]
        child = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", check=False
        )
        lines = child.stdout.split("\n")[:-1]
        for number, line in zip(lines[::2], lines[1::2], strict=False):
            outcome = json.loads(line)
            first = int(number) + 1
            is_known = outcome in ("accepted", "refused")
            result.outcomes[outcome if is_known else "error"] += 1
            if not is_known:
                result.errors.append(f"{name} {number}: {outcome}")
        if child.returncode == 0:
            break
        if len(lines) % 2 == 0:
            result.errors.append(f"{name}: the child failed: {child.stderr[-2000:]}")
            break
        first = int(lines[-1]) + 1
        result.outcomes["died"] += 1
        result.deaths.append(f"{name} {lines[-1]}: {_reason(child)}")
    return result


def _reason(child: subprocess.CompletedProcess[str]) -> str:
    if child.returncode < 0:
        return f"killed by {signal.Signals(-child.returncode).name}"
    return f"exit status {child.returncode}: {child.stderr[-500:]}"


def main() -> int:
    """Fuzz every parser, print what came of it, and say whether all is well."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="for each parser")
    parser.add_argument("--parser", choices=PARSERS, help="this one only")
    parser.add_argument("--input", type=int, help="parse this one input here and show the error")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        name, first, until = arguments.child
        run_child(name, int(first), float(until))
        return 0
    if arguments.input is not None:
        chosen = PARSERS[arguments.parser]
        chosen.parse(chosen.make(Random(f"{arguments.parser} {arguments.input}")))
        return 0
    names = [arguments.parser] if arguments.parser else list(PARSERS)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = dict(
            zip(names, pool.map(lambda name: fuzz(name, arguments.seconds), names), strict=True)
        )
    return report(results)


def report(results: Mapping[str, Result]) -> int:
    """Print the results and return the exit status."""
    failed = False
    for name, result in results.items():
        counts = ", ".join(f"{count} {what}" for what, count in sorted(result.outcomes.items()))
        print(f"{name}: {sum(result.outcomes.values())} inputs: {counts}")
        fatal = [] if PARSERS[name].may_die else result.deaths
        failed |= bool(result.errors or fatal or not result.outcomes)
    for name, result in results.items():
        for line in result.errors:
            print(f"ERROR {line}")
        for line in result.deaths:
            print(f"{'died in libhdf5' if PARSERS[name].may_die else 'ERROR'} {line}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
