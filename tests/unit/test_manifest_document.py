"""docs/manifest.md: its examples are manifests, its commands run, its numbers are the code's."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import remote_models
from remote_models import _fields, _strict_json, tensors
from remote_models.documents import KERAS_METADATA, MODEL_CONFIG, TRAINING_CONFIG, StoredDocument
from remote_models.errors import IntegrityError
from remote_models.formats import Format
from remote_models.manifest import (
    SCHEMAS,
    FileEntry,
    Layout,
    Manifest,
    RelativePath,
    StoredManifest,
)
from remote_models.tensor_hashing import ArtifactHasher
from remote_models.tensors import DTYPE_BITS, Piece, Role, StoredTensor

DOCUMENT = Path(__file__).parents[2] / "docs" / "manifest.md"
TEXT = DOCUMENT.read_text(encoding="utf-8")

BLOCKS = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    return [match[2] for match in BLOCKS.finditer(TEXT) if match[1] == language]


EXAMPLES = blocks("json")
COMMANDS = blocks("sh")


def read(example: str) -> StoredManifest:
    """Read an example, which is set in lines for people."""
    data = json.dumps(
        json.loads(example), sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    return StoredManifest.from_bytes(data.encode(), where=DOCUMENT.name)


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_every_example_is_a_manifest(example: str) -> None:
    stored = read(example)
    assert StoredManifest.from_bytes(stored.to_bytes(), where="u") == stored
    for manifest in stored.candidates:
        assert manifest.format in [each.value for each in Format]
        assert list(manifest.files) == sorted(manifest.files, key=lambda entry: entry.path)


def test_each_layout_and_each_state_has_an_example() -> None:
    kinds = {
        (stored.candidates[0].layout, stored.current is not None, bool(stored.pending))
        for stored in map(read, EXAMPLES)
    }
    assert kinds == {
        (Layout.FILE, True, False),
        (Layout.DIRECTORY, True, False),
        (Layout.FILE, True, True),
        (Layout.FILE, False, True),
    }


def test_every_member_is_described() -> None:
    described = set(re.findall(r"^\| `(\w+)` \| (?:MUST|MAY) \|", TEXT, re.MULTILINE))
    entry = FileEntry(
        path=RelativePath("a"), size=0, sha256="", rest_sha256="", version="", etag=""
    )
    pieces = [Piece(file="a", offset=0, nbytes=0, origin=(0,), shape=(0,))]
    tensor = StoredTensor(key="k", dtype="bool", shape=(0,), pieces=pieces, name="n")
    sliced = StoredTensor(key="k", dtype="bool", shape=(0,), pieces=pieces * 2)
    document = StoredDocument(name="d", file="a", offset=0, nbytes=0, sha256="")
    manifest = Manifest(
        format="", layout=Layout.FILE, created="", producer={}, files=[entry],
        metadata={"a": 1}, empty_directories=[RelativePath("b")], tensors=[tensor],
        block_size=1, documents=[document], exports={"onnx": RelativePath("a")},
    )  # fmt: skip
    assert described == {
        "pending", *manifest.to_json(), *entry.to_json(), *tensor.to_json(), *sliced.to_json(),
        *sliced.to_json()["slices"][0], *document.to_json(),
    }  # fmt: skip


def test_every_dtype_role_and_document_is_described() -> None:
    _, _, rest = TEXT.partition("| `dtype` | Bytes |")
    table, _, rest = rest.partition("\n\n")
    cells = " ".join(re.findall(r"^\| (.*?) \|", table, re.MULTILINE))
    assert set(re.findall(r"`(\w+)`", cells)) == {*DTYPE_BITS, "string"}
    (row,) = re.findall(r"^\| `role` .*$", TEXT, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", row)) - {"role"} == {each.value for each in Role}
    table = rest.partition("| `name` | The bytes |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)`", table, re.MULTILINE) == [
        MODEL_CONFIG, TRAINING_CONFIG, KERAS_METADATA
    ]  # fmt: skip


def test_every_format_is_named() -> None:
    (row,) = re.findall(r"^\| `format` .*$", TEXT, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", row)) - {"format"} == {each.value for each in Format}


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (SCHEMAS[-1], "the integer {}"),
        (_strict_json.MAX_NESTING, "more than {} objects and arrays"),
        (_strict_json._MAX_DIGITS, "whole numbers of more than {} digits"),
        (_strict_json.MAX_MANIFEST_BYTES // 2**20, "more than {} MiB"),
        (_fields._MAX_PATH_BYTES, "at most {} bytes long in UTF-8"),
        (tensors._MAX_DIMENSIONS, "Its dimensions, at most {}."),
        (tensors.MIN_BLOCK_SIZE, "integer from {} to 2^63 - 1"),
        (tensors.MIN_BLOCK_SIZE, "the smallest power of two, at least {},"),
        (tensors._MAX_BLOCKS, "of which {} blocks hold all tensors together"),
        (tensors.DIGEST_SIZE, "the SHA-256 of each block, {} bytes each"),
    ],
)
def test_the_numbers_are_those_of_the_code(number: int, sentence: str) -> None:
    assert sentence.format(number) in TEXT


def test_every_link_has_its_heading() -> None:
    headings = re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    links = set(re.findall(r"\]\(#([\w-]+)\)", TEXT))
    assert links
    assert links <= anchors


def test_the_examples_that_are_kept_are_where_it_says() -> None:
    folders = re.findall(r"`(tests/manifests/[\w-]+/)`", TEXT)
    assert folders == [f"tests/manifests/schema-{schema}/" for schema in SCHEMAS]
    assert all(list((DOCUMENT.parents[1] / folder).glob("*.json")) for folder in folders)


# Checking by hand


CHECK = 'document.pop("pending"'

FILES = {"saved_model.pb": b"graph", "variables/été 1.index": b"", "variables/v.data": b"data"}


@pytest.fixture
def artifact(tmp_path: Path) -> Manifest:
    """A directory artifact in the working directory."""
    for name, data in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    manifest = Manifest(
        format="saved_model",
        layout=Layout.DIRECTORY,
        created="2026-03-14T09:26:53Z",
        producer={"tf_keras": "2.21.0"},
        metadata={"note": "é\u2028 \" \\ \n\t\x01 😀", "rate": 0.1, "none": None, "Z": [1, 1.5]},
        files=[
            FileEntry(
                path=RelativePath(name), size=len(data), sha256=hashlib.sha256(data).hexdigest()
            )
            for name, data in sorted(FILES.items())
        ],
    )  # fmt: skip
    (tmp_path / "manifest.json").write_bytes(manifest.to_bytes())
    return manifest


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    for tool in ("jq", "sha256sum"):
        if tool in command and shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    command = command.replace("python3", f"'{sys.executable}'")
    return subprocess.run(
        ["/bin/sh", "-c", command], cwd=folder, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip


def commands(text: str) -> str:
    (found,) = (command for command in COMMANDS if text in command)
    return found


def test_every_command_is_tested() -> None:
    assert len(COMMANDS) == 7


def test_sha256sum_checks_the_files(artifact: Manifest, tmp_path: Path) -> None:
    result = shell(commands("--check"), tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [f"{name}: OK" for name in sorted(FILES)]
    (tmp_path / "saved_model.pb").write_bytes(b"grapf")
    damaged = shell(commands("--check"), tmp_path)
    assert damaged.returncode == 1
    assert "saved_model.pb: FAILED" in damaged.stdout


@pytest.mark.parametrize("command", ["sha256sum < manifest", "del(.pending)'", CHECK])
def test_the_digest_can_be_made_by_hand(artifact: Manifest, tmp_path: Path, command: str) -> None:
    result = shell(commands(command), tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert f"sha256:{result.stdout[:64]}" == artifact.digest


@pytest.mark.parametrize("command", ["del(.pending)'", CHECK])
def test_the_digest_can_be_made_by_hand_while_a_save_is_pending(
    artifact: Manifest, tmp_path: Path, command: str
) -> None:
    stored = StoredManifest(current=artifact, pending=[artifact.with_files(artifact.files[:1])])
    (tmp_path / "manifest.json").write_text(json.dumps(json.loads(stored.to_bytes()), indent=2))
    assert f"sha256:{shell(commands(command), tmp_path).stdout[:64]}" == artifact.digest


def test_the_checksum_can_be_made_by_hand(artifact: Manifest, tmp_path: Path) -> None:
    result = shell(commands(".checksum"), tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout[:64] == artifact.to_json()["checksum"]


def test_the_rest_of_a_file_is_checked_by_hand(with_tensor: Path) -> None:
    command = commands("rest_sha256")
    assert shell(command, with_tensor.parent).stdout == "OK data\n"
    whole = with_tensor.read_bytes()
    for at, expected in ((3, "FAILED"), (4, "OK"), (4 + len(KERNEL), "FAILED")):
        damaged = bytearray(whole)
        damaged[at] ^= 1
        with_tensor.write_bytes(damaged)
        assert shell(command, with_tensor.parent).stdout == f"{expected} data\n"


def test_python_checks_the_files(artifact: Manifest, tmp_path: Path) -> None:
    (tmp_path / "variables/v.data").write_bytes(b"DATA")
    result = shell(commands(CHECK), tmp_path)
    assert result.stdout.splitlines()[1:] == [
        "OK saved_model.pb", "FAILED variables/v.data", "OK variables/été 1.index"
    ]  # fmt: skip


# Reading rows by hand


KERNEL = bytes(range(250)) * 1600
"""1000 rows of 400 bytes: 20 to 24 are in the first of seven blocks."""


@pytest.fixture
def with_tensor(tmp_path: Path) -> Path:
    """A directory artifact with a kernel in it; returns the file."""
    path = tmp_path / "data"
    path.write_bytes(b"head" + KERNEL + b"tail")
    piece = Piece(file="data", offset=4, nbytes=len(KERNEL), origin=(0, 0), shape=(1000, 100))
    kernel = StoredTensor(
        key="k", name="dense/kernel", dtype="float32", shape=(1000, 100), pieces=[piece]
    )
    hashers = ArtifactHasher([kernel])
    hasher = hashers.of_file("data")
    hasher.update(path.read_bytes())
    entry = FileEntry(
        path=RelativePath("data"), size=path.stat().st_size, sha256=hasher.sha256(),
        rest_sha256=hasher.rest_sha256(),
    )  # fmt: skip
    manifest = Manifest(
        format="saved_model", layout=Layout.DIRECTORY, created="2026-03-14T09:26:53Z",
        producer={}, files=[entry], tensors=hashers.tensors(), block_size=hashers.block_size,
    )  # fmt: skip
    (tmp_path / "manifest.json").write_bytes(StoredManifest(current=manifest).to_bytes())
    return path


@pytest.mark.parametrize(("first", "last"), [(20, 25), (160, 170), (0, 1000), (998, 1000)])
def test_rows_can_be_read_by_hand(with_tensor: Path, first: int, last: int) -> None:
    assert 160 * 400 < 65536 < 170 * 400  # rows of two blocks
    command = commands("first, last").replace("20, 25", f"{first}, {last}")
    result = shell(command, with_tensor.parent)
    assert (result.returncode, result.stderr) == (0, "")
    expected = KERNEL[first * 400 : last * 400]
    assert result.stdout == f"OK float32 {expected.hex()}\n"
    tensor = remote_models.open_model(with_tensor.parent).weights["dense/kernel"]
    assert tensor[first:last].tobytes() == expected


def test_damaged_rows_are_found_by_hand(with_tensor: Path) -> None:
    data = bytearray(with_tensor.read_bytes())
    data[4 + 65536] ^= 1  # in the second block
    with_tensor.write_bytes(data)
    command = commands("first, last")
    assert shell(command, with_tensor.parent).returncode == 0
    result = shell(command.replace("20, 25", "160, 170"), with_tensor.parent)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "FAILED dense/kernel, block 1\n"
    tensor = remote_models.open_model(with_tensor.parent).weights["dense/kernel"]
    assert tensor[20:25].shape == (5, 100)
    with pytest.raises(IntegrityError):
        tensor[160:170]
