"""The scripts that measure and that fuzz, briefly, and that they can fail."""

from __future__ import annotations

import importlib.util
import io
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from remote_models.errors import FormatError, UnrecognizedFormatError
from remote_models.formats import shard_names
from remote_models.formats._tensor_bundle import index_checkpoint

SCRIPTS = Path(__file__).parents[2] / "scripts"


def run(script: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / script), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def load(script: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(Path(script).stem, SCRIPTS / script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where its dataclasses look for their own module
    spec.loader.exec_module(module)
    return module


def test_lazy_reads_keep_their_limits() -> None:
    """At a sixteenth of the size; the script itself ends with 1 if a limit is exceeded."""
    told = run("_lazy_reads.py", "--small")
    assert "EXCEEDED" not in told
    for what in ("open a model of 32 tensors: requests +1 ", "read one row: requests +1 ",
                 "open it by a public key and read [0-9,]+ bytes: requests +3 ",
                 "cold start with s3fs: unwanted imports +0 "):  # fmt: skip
        assert re.search(what, told)


def test_lazy_reads_can_fail(capsys: pytest.CaptureFixture[str]) -> None:
    report = load("_lazy_reads.py").Report()
    report.add("fine", 1, 1)
    report.add("only told", 7)
    assert report.ok
    report.add("too much", 2, 1)
    assert not report.ok
    report.print()
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.endswith("EXCEEDED")] == lines[2:]


def test_fuzz_finds_nothing() -> None:
    told = run("_fuzz_parsers.py", "--seconds", "2")
    counts = dict(re.findall(r"^(\w+): (\d+) inputs", told, re.MULTILINE))
    assert counts.keys() == load("_fuzz_parsers.py").PARSERS.keys()
    assert all(int(count) >= 20 for count in counts.values()), told


def test_fuzz_under_atheris_finds_nothing() -> None:
    pytest.importorskip("atheris", reason="has wheels for Linux on x86-64 alone")
    told = run("_fuzz_coverage.py", "--seconds", "1")
    counts = dict(re.findall(r"^(\w+): (\d+) inputs", told, re.MULTILINE))
    assert counts.keys() == load("_fuzz_parsers.py").PARSERS.keys()
    assert all(int(count) >= 20 for count in counts.values()), told


def test_atheris_finds_what_is_planted(tmp_path: Path) -> None:
    """An error of another kind behind three bytes, a death, and too much memory."""
    pytest.importorskip("atheris", reason="has wheels for Linux on x86-64 alone")
    script = tmp_path / "planted.py"
    for parse, outcome in (
        ("raise KeyError('x')", "KeyError: 'x'"),
        ("bytearray(1 << 32)", "MemoryError"),
        ("os.abort()", "exit status"),
    ):
        script.write_text(
            f"""
import os
import sys
sys.path.insert(0, {str(SCRIPTS)!r})
import _fuzz_coverage as coverage
import _fuzz_parsers as fuzz
def parse(data):
    if data[:1] == b"k":
        {parse}
fuzz.PARSERS = {{"table": fuzz.Parser(lambda choose: b"k" * choose.choice((0, 1)), parse, ())}}
coverage.__file__ = __file__
if __name__ == "__main__":
    if len(sys.argv) > 2:
        sys.exit(coverage.main())
    found = coverage.fuzz_one("table", 2)
    print(found, coverage.report([found], fuzz))
"""
        )
        done = subprocess.run(
            [sys.executable, str(script)], capture_output=True, text=True, check=True
        )
        assert outcome in done.stdout, done.stdout + done.stderr
        assert done.stdout.rstrip().endswith(" 1")


def test_choices_come_from_bytes() -> None:
    choices = load("_fuzz_coverage.py").Choices
    taken = [choices(b"\x05\x01\xff\x80").randrange(16) for _ in range(2)]
    assert taken == [5, 5]
    assert choices(b"\x00\x80").random() == 0.5
    assert choices(b"").getrandbits(64) == choices(b"").getrandbits(64)
    assert choices(b"a").getrandbits(64) == choices(b"a").getrandbits(64) == ord("a")


@pytest.fixture(scope="module")
def fuzz() -> ModuleType:
    return load("_fuzz_parsers.py")


def planted(fuzz: ModuleType, parse: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    parser = fuzz.Parser(lambda _: b"", parse, (FormatError,))
    monkeypatch.setattr(fuzz, "PARSERS", {"planted": parser})
    return fuzz.attempt("planted", 1)


def refuse(_: bytes) -> None:
    raise FormatError("no")


def refuse_at_length(_: bytes) -> None:
    raise FormatError("one\ntwo")


def stumble(_: bytes) -> None:
    raise KeyError("x")


def test_fuzz_tells_errors_from_refusals(fuzz: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    assert planted(fuzz, lambda _: None, monkeypatch) == "accepted"
    assert planted(fuzz, refuse, monkeypatch) == "refused"
    assert planted(fuzz, stumble, monkeypatch).startswith("KeyError: 'x' (")
    assert planted(fuzz, refuse_at_length, monkeypatch).startswith("many lines")


@pytest.mark.parametrize(
    ("errors", "deaths", "outcomes", "status"),
    [([], [], {"refused": 3}, 0), (["x"], [], {"error": 1}, 1), ([], ["x"], {"died": 1}, 1),
     ([], [], {}, 1)],
)  # fmt: skip
def test_fuzz_ends_with_one_if_anything_is_wrong(
    fuzz: ModuleType, errors: list[str], deaths: list[str], outcomes: Mapping[str, int], status: int
) -> None:
    assert fuzz.report({"table": fuzz.Result(Counter(outcomes), errors, deaths)}) == status


def test_fuzz_bounds_memory_and_time(tmp_path: Path) -> None:
    """In a child that the watching process starts, as for a real parser."""
    script = tmp_path / "hungry.py"
    for parse, outcome in (("bytearray(1 << 32)", "MemoryError"), ("spin()", "SIGPROF")):
        script.write_text(
            f"""
import sys
sys.path.insert(0, {str(SCRIPTS)!r})
import _fuzz_parsers as fuzz
def spin():
    while True: pass
first = []
def parse(_):
    if first: {parse}
    first.append(1)
fuzz.CPU_SECONDS = 0.3
fuzz.PARSERS = {{"hungry": fuzz.Parser(lambda _: b"", parse, ())}}
fuzz.__file__ = __file__
sys.argv[0] = __file__
if len(sys.argv) > 1:
    sys.exit(fuzz.main())
result = fuzz.fuzz("hungry", 1.5)
print(result.errors[:1], result.deaths[:1])
"""
        )
        done = subprocess.run(
            [sys.executable, str(script)], capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
        )  # fmt: skip
        assert outcome in done.stdout, done.stdout


@pytest.mark.parametrize("name", [{}, [], None, 3, [{}], [["a"]], "", "a/b", ".."])
def test_a_shards_name_is_a_text(name: Any) -> None:
    import json

    content = json.dumps({"weight_map": {"layer": name}}).encode()
    if name == []:
        assert shard_names(io.BytesIO(content), where="here") == []
        return
    with pytest.raises(UnrecognizedFormatError, match="beside its map"):
        shard_names(io.BytesIO(content), where="here")


@pytest.mark.parametrize("key", [b"a\nb", b"\x1b[2J", b"\xff\xfe", b"a\x1cb"])
def test_keys_do_not_steer_terminals(key: bytes) -> None:
    bundles = load("../tests/formats/bundles.py")
    entries = {b"": bundles.header(), key: bundles.entry(shape=(2,), size=9)}
    files = {"ckpt.index": bundles.table(entries), bundles.SHARD: bytes(9)}
    sizes = {name: len(data) for name, data in files.items()}
    with pytest.raises(UnrecognizedFormatError) as caught:
        index_checkpoint("ckpt", sizes, lambda n, a, b: files[n][a:b], where="here")
    assert str(caught.value).isprintable()


def test_of_a_trained_head_only_that_is_sent() -> None:
    printed = run("_changed_bytes.py", "weights")
    print(printed)
    assert len(re.findall(r"weights  save [23]: .* \(\s*[1-7]\.\d%\)", printed)) == 2
