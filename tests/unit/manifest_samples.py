"""Documents to break and manifests to write: what the tests of the manifest share."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

from remote_models.documents import MODEL_CONFIG, StoredDocument
from remote_models.errors import ManifestError
from remote_models.manifest import (
    DIRECTORY_MANIFEST,
    SCHEMAS,
    FileEntry,
    Layout,
    Manifest,
    RelativePath,
    StoredManifest,
)
from remote_models.tensors import (
    DIGEST_SIZE,
    DTYPE_BITS,
    Piece,
    Role,
    StoredTensor,
    block_count,
)

HEX = "0123456789abcdef" * 4

LONGEST_MESSAGE = 600
"""Characters: where, what was expected, and a bad value that is cut to 120."""


def document(**members: Any) -> dict[str, Any]:
    """Return a valid document of three files, with other members in place of its own."""
    return {
        "schema": 1,
        "format": "saved_model",
        "layout": "directory",
        "created": "2026-01-31T23:59:59Z",
        "producer": {"keras": "3.15.0"},
        "files": [
            {"path": "saved_model.pb", "size": 3, "sha256": HEX, "version": "v1"},
            {"path": "variables/variables.data-00000-of-00001", "size": 2, "sha256": HEX},
            {"path": "variables/variables.index", "size": 1, "sha256": HEX},
        ],
        "metadata": {"step": 7},
        "empty_directories": ["assets"],
        **members,
    }


def with_file(index: int = 2, /, **members: Any) -> dict[str, Any]:
    files = document()["files"]
    files[index] |= members
    return document(files=files)


BLOCK_SIZE = 64 * 1024

DATA = "variables/variables.data-00000-of-00001"


def blocks(count: int) -> str:
    return base64.b64encode(bytes(range(32)) * count).decode()


def tensor_document(**members: Any) -> dict[str, Any]:
    """Return a valid document with a matrix, a scalar, a tensor in slices, and strings."""
    entry = {"file": DATA, "nbytes": 4, "blocks": blocks(1)}
    return document(
        files=[
            {"path": "saved_model.pb", "size": 300, "sha256": HEX},
            {"path": DATA, "size": 300_000, "sha256": HEX},
        ],
        block_size=BLOCK_SIZE,
        tensors=[
            {
                "name": "dense/kernel", "key": "layer/0/kernel/.ATTRIBUTES/VARIABLE_VALUE",
                "role": "weight", "dtype": "float32", "shape": [50_000, 1],
                "file": DATA, "offset": 0, "nbytes": 200_000, "blocks": blocks(4),
            },
            {
                "name": "step", "role": "other", "dtype": "int32", "shape": [],
                "offset": 200_000, **entry,
            },
            {
                "name": "embedding", "role": "optimizer", "dtype": "float16", "shape": [2, 2],
                "slices": [
                    {"origin": [1, 0], "shape": [1, 2], "offset": 200_004, **entry},
                    {"origin": [0, 0], "shape": [1, 2], "offset": 200_008, **entry},
                ],
            },
            {
                "name": "words", "role": "metric", "dtype": "string", "shape": [2],
                "offset": 299_990, "file": DATA, "nbytes": 10, "blocks": blocks(1),
            },
        ],
        documents=[
            {
                "name": "model_config", "file": "saved_model.pb", "offset": 0, "nbytes": 100,
                "sha256": HEX,
            },
            {
                "name": "training_config", "file": "saved_model.pb", "offset": 50, "nbytes": 250,
                "sha256": HEX,
            },
        ],
        **members,
    )  # fmt: skip


def with_tensor(index: int, /, **members: Any) -> dict[str, Any]:
    whole = tensor_document()
    whole["tensors"][index] |= members
    return whole


def without_in_tensor(index: int, name: str) -> dict[str, Any]:
    whole = tensor_document()
    del whole["tensors"][index][name]
    return whole


def with_slice(**members: Any) -> dict[str, Any]:
    whole = tensor_document()
    whole["tensors"][2]["slices"][1] |= members
    return whole


def with_described(index: int = 1, /, **members: Any) -> dict[str, Any]:
    whole = tensor_document()
    whole["documents"][index] |= members
    return whole


def sealed(value: object) -> object:
    """Return a document of schema 1 as one of schema 2 that says the same, right or wrong."""
    if not isinstance(value, dict) or repr(value.get("schema")) != "1":
        return value
    whole = {**value, "schema": 2}
    if isinstance(value.get("pending"), list):
        whole["pending"] = [sealed(each) for each in value["pending"]]
    if isinstance(value.get("files"), list):
        whole["files"] = [
            {"rest_sha256": HEX, **each} if isinstance(each, dict) else each
            for each in value["files"]
        ]
    elif set(value) == {"schema", "pending"} and value["pending"]:
        return whole
    counted = {name: each for name, each in whole.items() if name not in ("checksum", "pending")}
    return {**whole, "checksum": hashlib.sha256(canonical(counted)).hexdigest()}


def canonical(value: object) -> bytes:
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def without(value: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: each for key, each in value.items() if key != name}


def encode(value: object) -> bytes:
    return json.dumps(value).encode()


def read(value: object) -> StoredManifest:
    return StoredManifest.from_bytes(encode(value), where="s3://b/m")


def read_current(value: object) -> Manifest:
    current = read(value).current
    assert current is not None
    return current


def accept_or_refuse(data: bytes) -> None:
    try:
        stored = StoredManifest.from_bytes(data, where="u")
    except ManifestError as error:
        assert len(str(error)) < LONGEST_MESSAGE  # noqa: PT017 - either outcome will do
    else:
        assert StoredManifest.from_bytes(stored.to_bytes(), where="u") == stored


CHARACTERS = st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="/\\")
PARTS = st.text(CHARACTERS, min_size=1, max_size=12).filter(
    lambda part: part not in (".", "..") and not re.match("[A-Za-z]:", part)
)
PATHS = st.lists(PARTS, min_size=1, max_size=4).map("/".join)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(TEXTS, children, max_size=3),
    max_leaves=8,
)  # fmt: skip
MOMENTS = st.datetimes().map(lambda moment: moment.strftime("%Y-%m-%dT%H:%M:%SZ").zfill(20))


SHAPES = st.lists(st.integers(0, 5), max_size=3) | st.tuples(st.integers(0, 50_000))


@st.composite
def stored_tensors(
    draw: st.DrawFn, name: str, sizes: dict[str, int], block_size: int
) -> StoredTensor:
    """Return a tensor behind what lies in the files so far, which grow by it."""
    shape = tuple(draw(SHAPES))
    dtype = draw(st.sampled_from([*DTYPE_BITS, "string"]))
    cuts = draw(st.sets(st.integers(1, shape[0] - 1), max_size=2)) if shape and shape[0] > 1 else ()
    edges = [0, *sorted(cuts), shape[0] if shape else 1]
    pieces = []
    for low, high in pairwise(edges):
        extent = (high - low, *shape[1:]) if shape else ()
        elements = math.prod(extent)
        more = draw(st.integers(0, 100)) if dtype == "string" else 0
        nbytes = -(-elements * DTYPE_BITS.get(dtype, 8) // 8) + more
        file = draw(st.sampled_from(sorted(sizes)))
        offset = sizes[file] + draw(st.integers(0, 3))
        sizes[file] = offset + nbytes
        count = block_count(nbytes, block_size) * DIGEST_SIZE
        pieces.append(
            Piece(
                file=file,
                offset=offset,
                nbytes=nbytes,
                origin=(low, *(0 for _ in shape[1:])) if shape else (),
                shape=extent,
                digests=draw(st.binary(min_size=count, max_size=count)),
            )
        )
    return StoredTensor(
        key=draw(st.just(name) | TEXTS), dtype=dtype, shape=shape, name=name,
        role=draw(st.sampled_from(Role)), pieces=tuple(draw(st.permutations(pieces))),
    )  # fmt: skip


@st.composite
def stored_documents(draw: st.DrawFn, name: str, sizes: Mapping[str, int]) -> StoredDocument:
    file = draw(st.sampled_from(sorted(sizes)))
    offset = draw(st.integers(0, sizes[file]))
    return StoredDocument(
        name=name, file=file, offset=offset, nbytes=draw(st.integers(0, sizes[file] - offset)),
        sha256=draw(st.binary(min_size=32, max_size=32)).hex(),
    )  # fmt: skip


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    layout = draw(st.sampled_from(Layout))
    paths = draw(st.lists(PARTS if layout is Layout.FILE else PATHS, min_size=1, max_size=5))
    free: list[str] = []
    for path in dict.fromkeys(paths):
        clash = any(f"{path}/".startswith(f"{p}/") or p.startswith(f"{path}/") for p in free)
        if not clash and path != DIRECTORY_MANIFEST:
            free.append(path)
    if not free:
        free = ["saved_model.pb"]
    count = draw(st.integers(1, len(free))) if layout is Layout.DIRECTORY else len(free)
    sizes = dict.fromkeys(free[:count], 0)
    block_size = draw(st.sampled_from([BLOCK_SIZE, 100_001, 2**40]))
    tensors = [
        draw(stored_tensors(name, sizes, block_size))
        for name in draw(st.lists(TEXTS, max_size=3, unique=True))
    ]
    sizes = {path: draw(st.integers(size, 2**63 - 1)) for path, size in sizes.items()}
    documents = [
        draw(stored_documents(name, sizes))
        for name in draw(st.lists(st.just(MODEL_CONFIG) | TEXTS, max_size=3, unique=True))
    ]
    return Manifest(
        format=draw(TEXTS),
        layout=layout,
        created=draw(MOMENTS),
        producer=draw(st.dictionaries(TEXTS, TEXTS, max_size=3)),
        metadata=draw(st.dictionaries(TEXTS, JSON, max_size=3)),
        files=tuple(
            FileEntry(
                path=RelativePath(path),
                size=sizes[path],
                sha256=draw(st.binary(min_size=32, max_size=32)).hex(),
                rest_sha256=draw(st.binary(min_size=32, max_size=32)).hex(),
                version=draw(st.none() | TEXTS),
                etag=draw(st.none() | TEXTS),
            )
            for path in free[:count]
        ),
        empty_directories=tuple(RelativePath(path) for path in free[count:]),
        tensors=tuple(tensors),
        block_size=block_size if tensors else 0,
        documents=tuple(documents),
        schema=draw(st.sampled_from(SCHEMAS)),
    )


STORED = st.builds(
    StoredManifest, current=manifests(), pending=st.lists(manifests(), max_size=2).map(tuple)
) | st.builds(
    StoredManifest,
    current=st.none(),
    pending=st.lists(manifests(), min_size=1, max_size=2).map(tuple),
)

MEMBERS = st.sampled_from([*tensor_document(), "pending"])
LOOSE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(MEMBERS | TEXTS, inner, max_size=6),
    max_leaves=20,
)
