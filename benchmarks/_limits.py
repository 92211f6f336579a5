"""What the wire gives: ranges and parts moved by plain clients, as many at once as we do."""

from __future__ import annotations

import asyncio
import io
import itertools
import os
import subprocess
import tempfile
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks._task import Task

__all__ = [
    "get_with_curl",
    "get_with_obstore",
    "get_with_s3fs",
    "put_with_boto3",
    "put_with_obstore",
    "put_with_s3fs",
]

_CHUNK = 8 * 1024 * 1024
_AT_ONCE = 16


def get_with_obstore(task: Task) -> Callable[[], object]:
    """Get ranges with obstore from threads, and keep them in memory."""
    import obstore

    store = _obstore(task)
    ranges = _ranges(task.size)

    def get(each: tuple[int, int]) -> object:
        return obstore.get_range(store, task.key, start=each[0], end=each[1])

    def run() -> object:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(get, ranges))

    return run


def get_with_s3fs(task: Task) -> Callable[[], object]:
    """Get ranges with s3fs from its event loop, and keep them in memory."""
    import fsspec.asyn
    import s3fs

    filesystem = s3fs.S3FileSystem()
    ranges = _ranges(task.size)

    async def get() -> list[bytes]:
        cat = partial(filesystem._cat_file, task.url)  # noqa: SLF001 - of s3fs, by design
        return await _gather([partial(cat, start=start, end=stop) for start, stop in ranges])

    return lambda: fsspec.asyn.sync(filesystem.loop, get)


def get_with_curl(task: Task) -> Callable[[], object]:
    """Get ranges with curl, and throw them away."""
    lines = [
        f'url="{os.environ["AWS_ENDPOINT_URL"]}/{task.bucket}/{task.key}"\n'
        f"range={start}-{stop - 1}\noutput=/dev/null\n"
        for start, stop in _ranges(task.size)
    ]
    config = Path(tempfile.mkdtemp()) / "curl.cfg"
    config.write_text("next\n".join(lines))
    command = ["curl", "--silent", "--show-error", "--fail", "--parallel", "--parallel-max"]
    return lambda: subprocess.run([*command, str(_AT_ONCE), "--config", config], check=True)


def put_with_obstore(task: Task) -> Callable[[], object]:
    """Put parts with obstore."""
    import obstore

    store = _obstore(task)
    data = task.path.read_bytes()

    def run() -> None:
        obstore.put(store, task.key, data, chunk_size=_CHUNK, max_concurrency=_AT_ONCE)

    return run


def put_with_s3fs(task: Task) -> Callable[[], object]:
    """Put parts with s3fs from its event loop."""
    import fsspec.asyn
    import s3fs

    filesystem = s3fs.S3FileSystem()
    data = memoryview(task.path.read_bytes())
    address = {"Bucket": task.bucket, "Key": task.key}

    async def put_part(upload: str, number: int, start: int, stop: int) -> dict[str, object]:
        done = await filesystem._call_s3(  # noqa: SLF001
            "upload_part", UploadId=upload, PartNumber=number, Body=bytes(data[start:stop]),
            **address,
        )  # fmt: skip
        return {"PartNumber": number, "ETag": done["ETag"]}

    async def put() -> None:
        begun = await filesystem._call_s3("create_multipart_upload", **address)  # noqa: SLF001
        upload = begun["UploadId"]
        ranges = enumerate(_ranges(task.size), 1)
        parts = await _gather([partial(put_part, upload, number, *each) for number, each in ranges])
        await filesystem._call_s3(  # noqa: SLF001
            "complete_multipart_upload", UploadId=upload, MultipartUpload={"Parts": parts},
            **address,
        )  # fmt: skip

    return lambda: fsspec.asyn.sync(filesystem.loop, put)


def put_with_boto3(task: Task) -> Callable[[], object]:
    """Put parts with boto3's transfer manager."""
    import boto3
    from boto3.s3.transfer import TransferConfig

    config = TransferConfig(multipart_chunksize=_CHUNK, max_concurrency=_AT_ONCE)
    client = boto3.client("s3")
    data = task.path.read_bytes()
    return lambda: client.upload_fileobj(io.BytesIO(data), task.bucket, task.key, Config=config)


def _obstore(task: Task) -> Any:
    from obstore.store import S3Store

    return S3Store(
        task.bucket,
        config={"aws_endpoint_url_s3": os.environ["AWS_ENDPOINT_URL"]},
        client_options={"allow_http": True},
    )


def _ranges(size: int) -> list[tuple[int, int]]:
    cuts = [*range(0, size, _CHUNK), size]
    return list(itertools.pairwise(cuts))


async def _gather(works: list[Callable[[], Coroutine[Any, Any, Any]]]) -> list[Any]:
    """Do the works, so many at once, and return what they return, in order."""
    turn = asyncio.Semaphore(_AT_ONCE)

    async def do(work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        async with turn:
            return await work()

    return await asyncio.gather(*(do(work) for work in works))
