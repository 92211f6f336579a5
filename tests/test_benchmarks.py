"""The benchmark still runs, its server does what S3 does, its peers do what they say."""

from __future__ import annotations

import json
import mmap
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks._cases import artifacts_of, full_plan, small_plan  # noqa: E402
from benchmarks._meter import Reading, measure  # noqa: E402
from benchmarks._models import Artifact, Stack  # noqa: E402
from benchmarks._peers import PEERS  # noqa: E402
from benchmarks._questions import Answer, answers  # noqa: E402
from benchmarks._samples import Sample, Samples, Spread  # noqa: E402
from benchmarks.server import RangeServer, range_server  # noqa: E402

PART = bytes(5 * 1024 * 1024)


def run(*arguments: str | Path) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


# The whole


def test_a_small_run_brings_every_figure(tmp_path: Path) -> None:
    run("-m", "benchmarks", "--small", "--data", tmp_path, "--output", tmp_path / "results")
    found = json.loads((tmp_path / "results/results.json").read_text())
    for group in small_plan():
        samples = [each for each in found["samples"] if each["group"] == group.name]
        assert {each["case"] for each in samples} == {case.label for case in group.cases}
        assert all(each["reading"]["cpu"] > 0 for each in samples)
        size = (tmp_path / "models" / group.cases[0].artifact.name).stat().st_size
        for each in samples:
            if each["case"].startswith("get_"):
                assert each["counters"]["bytes_sent"] == size
    assert len(found["answers"]) >= 10
    table = (tmp_path / "results/results.md").read_text()
    assert all(f"| {each['question']} |" in table for each in found["answers"])
    assert (tmp_path / "results/results.png").stat().st_size > 10_000


def test_every_peer_moves_what_it_says(tmp_path: Path) -> None:
    told = run(ROOT / "tests/benchmark_peers_child.py", tmp_path).splitlines()
    wanted = {f"{name} {format}" for name in PEERS for format in ("keras", "weights.h5", "h5")}
    assert {line for line in told if line in wanted} == {
        each for each in wanted if not each.startswith("runai")
    }


def test_the_plans_name_peers_that_exist() -> None:
    for group in (*full_plan(), *small_plan()):
        assert {case.peer for case in group.cases} <= PEERS.keys()
        assert len({case.label for case in group.cases}) == len(group.cases)
    assert len({group.name for group in full_plan()}) == len(full_plan())
    for artifact in artifacts_of(full_plan()):
        assert Artifact.from_name(artifact.name) == artifact


def test_what_targets_are_set_for_takes_five_turns() -> None:
    for group in full_plan():
        if group.name in {"load", "load at 25 ms", "save weights.h5", "save keras"}:
            often = {case.label for case in group.cases if case.turns is None}
            assert group.repeats >= 5
            assert any("remote_models" in label for label in often)
            assert any(label.startswith(("get_", "put_")) for label in often)


@pytest.mark.parametrize(("megabytes", "tensors"), [(1, 4), (100, 1000), (1000, 32)])
def test_a_stack_has_the_size_that_it_is_named_for(megabytes: int, tensors: int) -> None:
    stack = Stack(megabytes=megabytes, tensors=tensors)
    assert stack.nbytes == pytest.approx(megabytes * 1e6, rel=0.02)


# Figures


def test_the_meter_sees_memory_cpu_and_disk(tmp_path: Path) -> None:
    size = 32 * 1024 * 1024

    def work() -> bytes:
        until = time.process_time() + 0.2
        data = mmap.mmap(-1, size)  # not what the process has had before
        for start in range(0, size, mmap.PAGESIZE):
            data[start : start + mmap.PAGESIZE] = b"x" * mmap.PAGESIZE
        (tmp_path / "file").write_bytes(data)
        while time.process_time() < until:
            pass
        return data[:1]

    reading, made = measure(work)
    assert made == b"x"
    assert size * 0.9 < reading.peak_extra < size * 2
    assert reading.cpu > 0.1
    if reading.written:  # nothing is, where /tmp is in memory
        assert size <= reading.written < size * 1.1
    reading, _ = measure(lambda: None)
    assert reading.peak_extra < size / 4  # the peak before is forgotten


def sample(case: str, turn: int, wall: float) -> Sample:
    reading = Reading(wall=wall, cpu=wall, peak_extra=2_000_000_000, written=0)
    return Sample(group="load", case=case, turn=turn, reading=reading, startup=0, counters=None)


def test_ratios_are_taken_turn_by_turn() -> None:
    samples = Samples(
        [sample("a", 1, 30.0), sample("a", 0, 1.0), sample("b", 0, 2.0), sample("b", 1, 10.0)]
    )
    ratio = samples.ratio("load", "a", "b", lambda each: each.reading.wall)
    assert ratio == Spread(median=1.75, least=0.5, most=3.0)
    with pytest.raises(KeyError, match="c in load"):
        samples.of("load", "c")


def test_a_target_can_be_missed() -> None:
    group = next(each for each in full_plan() if each.name == "load")
    walls = {"keras_local": 2.0, "remote_models (obstore)": 1.0, "get_obstore": 0.9}
    samples = Samples([sample(case, 0, wall) for case, wall in walls.items()])
    found = {each.question: each.ok for each in answers(samples, [group])}
    assert found == {
        "time: load with obstore / Keras from disk": False,
        "time: load with obstore / its bare transfer": True,
        "CPU: load with obstore / its bare transfer": True,
        "memory: load with obstore, peak above the model": False,
    }
    told = Answer(question="", unit="x", target=None, reached=Spread.of([1e9]))
    assert told.ok


# The server


class Reply(NamedTuple):
    status: int
    body: bytes
    headers: Mapping[str, str]


def ask(
    server: RangeServer, method: str, path: str, body: bytes | None = None, **headers: str
) -> Reply:
    connection = HTTPConnection(urlsplit(server.endpoint_url).netloc, timeout=30)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, named)
        response: HTTPResponse = connection.getresponse()
        return Reply(response.status, response.read(), dict(response.getheaders()))
    finally:
        connection.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RangeServer]:
    folder = tmp_path_factory.mktemp("bucket")
    (folder / "letters").write_bytes(b"abcdefghij")
    with range_server({"files": folder}, drop_above=6 * 1024 * 1024) as running:
        yield running


@pytest.mark.parametrize(
    ("asked", "status", "body"),
    [("bytes=2-4", 206, b"cde"), ("bytes=8-99", 206, b"ij"), ("bytes=-3", 206, b"hij"),
     ("bytes=7-", 206, b"hij"), ("bytes=10-11", 416, b"InvalidRange"),
     ("bytes=-", 400, b"InvalidArgument")],
)  # fmt: skip
def test_ranges(server: RangeServer, asked: str, status: int, body: bytes) -> None:
    reply = ask(server, "GET", "/files/letters", range=asked)
    assert reply.status == status
    assert body in reply.body
    if status == 206:
        assert reply.body == body
        assert reply.headers["Content-Range"].endswith("/10")


def test_head_tells_size_and_etag(server: RangeServer) -> None:
    reply = ask(server, "HEAD", "/files/letters")
    assert (reply.status, reply.body, reply.headers["Content-Length"]) == (200, b"", "10")
    etag = reply.headers["ETag"]
    assert ask(server, "GET", "/files/letters", If_Match=etag).body == b"abcdefghij"
    assert ask(server, "GET", "/files/letters", If_Match='"other"').status == 412
    assert ask(server, "GET", "/files/letters", If_None_Match=etag).status == 304


def test_puts_are_conditional(server: RangeServer) -> None:
    first = ask(server, "PUT", "/files/new", b"1", If_None_Match="*")
    assert first.status == 200
    assert ask(server, "PUT", "/files/new", b"2", If_None_Match="*").status == 412
    assert ask(server, "PUT", "/files/new", b"3", If_Match='"other"').status == 412
    assert ask(server, "GET", "/files/new").body == b"1"
    assert ask(server, "PUT", "/files/new", b"4", If_Match=first.headers["ETag"]).status == 200
    assert ask(server, "GET", "/files/new").body == b"4"
    assert ask(server, "PUT", "/files/missing", b"5", If_Match='"other"').status == 404
    assert ask(server, "DELETE", "/files/new").status == 204
    assert ask(server, "GET", "/files/new").status == 404
    assert b"NoSuchBucket" in ask(server, "GET", "/nothing/new").body


def begin_upload(server: RangeServer, path: str) -> str:
    begun = ask(server, "POST", f"{path}?uploads").body.decode()
    (upload,) = re.findall("<UploadId>(.+)</UploadId>", begun)
    return f"{path}?uploadId={upload}"


def complete(server: RangeServer, upload: str, *numbers: int, **headers: str) -> Reply:
    parts = "".join(f"<Part><PartNumber>{number}</PartNumber></Part>" for number in numbers)
    body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
    return ask(server, "POST", upload, body, **headers)


def test_multipart_uploads(server: RangeServer) -> None:
    upload = begin_upload(server, "/files/parts")
    for number, part in ((1, PART), (2, b"tail")):
        assert ask(server, "PUT", f"{upload}&partNumber={number}", part).status == 200
    assert ask(server, "GET", "/files/parts").status == 404  # not before it is complete
    assert b"InvalidPart" in complete(server, upload, 1, 3).body
    assert b"EntityTooSmall" in complete(server, upload, 2, 1).body
    assert complete(server, upload, 1, 2, If_None_Match="*").status == 200
    assert b"NoSuchUpload" in complete(server, upload, 1, 2).body
    across = f"bytes={len(PART) - 2}-{len(PART) + 1}"
    assert ask(server, "GET", "/files/parts", range=across).body == b"\0\0ta"
    other = begin_upload(server, "/files/parts")
    assert ask(server, "PUT", f"{other}&partNumber=1", b"other").status == 200
    assert complete(server, other, 1, If_None_Match="*").status == 412
    assert ask(server, "DELETE", other).status == 204
    assert b"NoSuchUpload" in ask(server, "PUT", f"{other}&partNumber=1", b"").body


def test_large_bodies_are_counted_and_dropped(server: RangeServer) -> None:
    size = 7 * 1024 * 1024
    server.reset()
    assert ask(server, "PUT", "/files/large", bytes(size)).status == 200
    counters = server.counters()
    assert (counters.requests, counters.bytes_received) == ({"PUT": 1}, size)
    assert ask(server, "HEAD", "/files/large").headers["Content-Length"] == str(size)
    assert ask(server, "GET", "/files/large").status == 410


def test_listings_have_pages_and_folders(server: RangeServer) -> None:
    assert ask(server, "PUT", "/list").status == 200
    names = ["a", "b/1", "b/2", "c&d"]
    for name in names:
        ask(server, "PUT", f"/list/{name}", b"x")
    found, token = [], ""
    for _ in range(4):
        page = ask(server, "GET", f"/list?list-type=2&max-keys=1&continuation-token={token}")
        found += re.findall("<Key>(.+?)</Key>", page.body.decode())
        (token,) = re.findall("<NextContinuationToken>(.+?)<", page.body.decode()) or [""]
        token = token.replace("&amp;", "%26")
    assert found == ["a", "b/1", "b/2", "c&amp;d"]
    assert token == ""
    flat = ask(server, "GET", "/list?list-type=2&delimiter=/").body.decode()
    assert re.findall("<Key>(.+?)</Key>", flat) == ["a", "c&amp;d"]
    assert re.findall("<CommonPrefixes><Prefix>(.+?)</Prefix>", flat) == ["b/"]


def test_it_can_be_late(server: RangeServer) -> None:
    server.reset(latency=0.2)
    begun = time.monotonic()
    ask(server, "GET", "/files/letters")
    assert time.monotonic() - begun >= 0.2  # no less, however busy the machine is
    server.reset()


def test_what_it_does_not_know_it_refuses(server: RangeServer) -> None:
    assert ask(server, "GET", "/files/letters?acl").status == 501
    assert ask(server, "PUT", "/files/x", b"", x_amz_copy_source="/files/letters").status == 501
    assert ask(server, "PUT", "/files/x", b"", Content_Encoding="aws-chunked").status == 501
