"""The manifest: what is written is what is read, and what breaks a rule is refused."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
import pickle
import tracemalloc
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remote_models import _strict_json
from remote_models.errors import ArgumentError, ManifestError
from remote_models.manifest import (
    SCHEMA,
    SCHEMAS,
    FileEntry,
    Layout,
    Manifest,
    RelativePath,
    StoredManifest,
    parse_relative_path,
)
from unit.manifest_samples import (
    HEX,
    LONGEST_MESSAGE,
    LOOSE,
    MEMBERS,
    STORED,
    TEXTS,
    accept_or_refuse,
    canonical,
    document,
    encode,
    manifests,
    read,
    read_current,
    sealed,
    tensor_document,
    with_described,
    with_file,
    with_slice,
    with_tensor,
    without,
)

KEPT = sorted((Path(__file__).parents[1] / "manifests").glob("schema-*/*.json"))

# What is written is what is read


@settings(max_examples=50)
@given(manifests())
def test_a_manifest_that_is_written_is_the_one_that_is_read(manifest: Manifest) -> None:
    again = Manifest.from_json(json.loads(manifest.to_bytes()))
    assert again == manifest
    assert again.to_bytes() == manifest.to_bytes()
    assert again.to_json() == manifest.to_json()
    assert again.digest == manifest.digest


@settings(max_examples=50)
@given(STORED)
def test_a_stored_manifest_that_is_written_is_the_one_that_is_read(stored: StoredManifest) -> None:
    data = stored.to_bytes()
    again = StoredManifest.from_bytes(data, where="u")
    assert again == stored
    assert again.to_bytes() == data
    assert [each.digest for each in again.candidates] == [each.digest for each in stored.candidates]


@settings(max_examples=50)
@given(manifests())
def test_a_file_entry_that_is_written_is_the_one_that_is_read(manifest: Manifest) -> None:
    for entry in manifest.files:
        assert FileEntry.from_json(entry.to_json(), where="files[0]") == entry


@pytest.mark.parametrize("path", KEPT, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_manifests_that_are_kept_are_read_for_ever(path: Path) -> None:
    data = path.read_bytes()
    stored = StoredManifest.from_bytes(data, where=path.name)
    assert stored.to_bytes() == data
    for manifest in stored.candidates:
        assert manifest.files
        assert Manifest.from_json(manifest.to_json()).digest == manifest.digest


@pytest.mark.parametrize("schema", SCHEMAS)
def test_manifests_of_every_kind_are_kept(schema: int) -> None:
    kept = {path.stem for path in KEPT if path.parent.name == f"schema-{schema}"}
    assert kept >= {
        "directory", "etags", "file", "first-save-under-way", "minimal", "overwrite-under-way",
        "several-files", "tensors", "tensors-in-slices", "unknown-members",
    }  # fmt: skip


# The canonical form and the digest


def test_the_canonical_form_is_sorted_compact_utf_8() -> None:
    manifest = Manifest(
        format="keras",
        layout=Layout.FILE,
        created="2026-01-31T00:00:00Z",
        producer={"é": "1"},
        files=(FileEntry(path=RelativePath("m.keras"), size=0, sha256=HEX),),
    )
    rest = (
        '"created":"2026-01-31T00:00:00Z",'
        f'"files":[{{"path":"m.keras","sha256":"{HEX}","size":0}}],'
        '"format":"keras","layout":"file","producer":{"é":"1"},"schema":2}'
    )
    checksum = hashlib.sha256(f"{{{rest}".encode()).hexdigest()
    assert manifest.to_bytes().decode() == f'{{"checksum":"{checksum}",{rest}'


def test_the_digest_is_that_of_the_canonical_document() -> None:
    manifest = read_current(document())
    expected = hashlib.sha256(
        json.dumps(document(), sort_keys=True, separators=(",", ":")).encode()
    )
    assert manifest.digest == f"sha256:{expected.hexdigest()}"


def test_the_digest_knows_neither_order_nor_white_space() -> None:
    backwards = dict(reversed(document().items()))
    backwards["files"] = [dict(reversed(entry.items())) for entry in backwards["files"]]
    loose = json.dumps(backwards, indent=3, ensure_ascii=True).encode()
    stored = StoredManifest.from_bytes(loose, where="u")
    assert stored.current is not None
    assert stored.current.digest == read_current(document()).digest


def test_the_digest_does_not_change_with_what_is_pending() -> None:
    alone = read_current(document())
    beside = read({**document(), "pending": [document(metadata={"step": 8})]})
    assert beside.current is not None
    assert beside.current.digest == alone.digest
    assert b"pending" not in beside.current.to_bytes()


@pytest.mark.parametrize(
    "change",
    [
        {"metadata": {"step": 8}},
        {"created": "2026-01-31T23:59:58Z"},
        {"format": "keras"},
        {"added_later": 0},
        {"files": with_file(sha256="0" * 64)["files"]},
        {"files": with_file(version="v2")["files"]},
        {"empty_directories": []},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_digest_changes_with_everything_else(change: dict[str, Any]) -> None:
    assert read_current(document(**change)).digest != read_current(document()).digest


def test_unknown_members_are_kept_and_count_for_the_digest() -> None:
    later = document(
        added_later=[{"a": 1}],
        files=[{**entry, "added_later": [HEX]} for entry in document()["files"]],
    )
    manifest = read_current(later)
    assert manifest.to_json() == later
    assert read_current(manifest.to_json()).digest == manifest.digest
    assert manifest == read_current(document())  # they are ignored
    rewritten = StoredManifest(current=manifest, pending=(read_current(document()),)).to_bytes()
    again = StoredManifest.from_bytes(rewritten, where="u")
    assert again.current is not None
    assert again.current.to_bytes() == manifest.to_bytes()


def test_a_changed_manifest_does_not_keep_the_document_that_it_was_read_from() -> None:
    read_from = read_current(document())
    changed = dataclasses.replace(read_from, metadata={"step": 8})
    assert json.loads(changed.to_bytes())["metadata"] == {"step": 8}
    fewer = read_from.with_files(read_from.files[:1])
    assert len(json.loads(fewer.to_bytes())["files"]) == 1


def test_copies_are_the_same_manifest() -> None:
    manifest = read_current(document(added_later=1))
    for again in (copy.deepcopy(manifest), pickle.loads(pickle.dumps(manifest))):
        assert again == manifest
        assert again.digest == manifest.digest


def test_sizes_and_files_can_be_asked_for() -> None:
    manifest = read_current(document())
    assert manifest.total_size == 6
    found = manifest.file("saved_model.pb")
    assert found is not None
    assert (found.size, found.version) == (3, "v1")
    assert manifest.file("absent") is None


def test_the_present_artifact_is_the_likeliest_candidate() -> None:
    newer = document(metadata={"step": 8})
    newest = document(metadata={"step": 9})
    stored = read({**document(), "pending": [newer, newest]})
    assert [each.metadata["step"] for each in stored.candidates] == [7, 8, 9]
    first = read({"schema": 1, "pending": [newer]})
    assert first.current is None
    assert [each.metadata["step"] for each in first.candidates] == [8]


def test_a_stored_manifest_of_nothing_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="at least one"):
        StoredManifest(current=None).to_bytes()


# Every rule broken once


RULES: Mapping[str, tuple[object, str]] = {
    "an array": ([], "manifest"),
    "text": ("manifest", "manifest"),
    "null": (None, "manifest"),
    "no schema": (without(document(), "schema"), "schema"),
    "schema 2 without a checksum": (document(schema=2), "checksum"),
    "schema 3": (document(schema=3), "schema"),
    "schema 0": (document(schema=0), "schema"),
    "schema true": (document(schema=True), "schema"),
    "schema 1.0": (document(schema=1.0), "schema"),
    "schema text": (document(schema="1"), "schema"),
    "no format": (without(document(), "format"), "format"),
    "format number": (document(format=1), "format"),
    "no layout": (without(document(), "layout"), "layout"),
    "layout unknown": (document(layout="archive"), "layout"),
    "layout list": (document(layout=["file"]), "layout"),
    "no created": (without(document(), "created"), "created"),
    "created number": (document(created=1), "created"),
    "created local": (document(created="2026-01-31T23:59:59+01:00"), "created"),
    "created fraction": (document(created="2026-01-31T23:59:59.5Z"), "created"),
    "created no date": (document(created="2026-02-31T23:59:59Z"), "created"),
    "created other digits": (document(created="٢٠٢٦-01-31T23:59:59Z"), "created"),
    "created line feed": (document(created="2026-01-31T23:59:59Z\n"), "created"),
    "no producer": (without(document(), "producer"), "producer"),
    "producer text": (document(producer="keras"), "producer"),
    "producer number": (document(producer={"keras": 3}), "producer.keras"),
    "metadata array": (document(metadata=[]), "metadata"),
    "metadata null": (document(metadata=None), "metadata"),
    "no files": (without(document(), "files"), "files"),
    "files object": (document(files={}), "files"),
    "files empty": (document(files=[]), "files"),
    "file text": (document(files=["a"]), "files[0]"),
    "no path": (document(files=[without(document()["files"][0], "path")]), "files[0].path"),
    "path number": (with_file(path=1), "files[2].path"),
    "no size": (document(files=[without(document()["files"][0], "size")]), "files[0].size"),
    "size negative": (with_file(size=-1), "files[2].size"),
    "size too large": (with_file(size=2**63), "files[2].size"),
    "size true": (with_file(size=True), "files[2].size"),
    "size fraction": (with_file(size=1.0), "files[2].size"),
    "size text": (with_file(size="1"), "files[2].size"),
    "no sha256": (document(files=[without(document()["files"][0], "sha256")]), "files[0].sha256"),
    "sha256 short": (with_file(sha256=HEX[1:]), "files[2].sha256"),
    "sha256 long": (with_file(sha256=f"{HEX}0"), "files[2].sha256"),
    "sha256 upper case": (with_file(sha256=HEX.upper()), "files[2].sha256"),
    "sha256 prefixed": (with_file(sha256=f"sha256:{HEX}"), "files[2].sha256"),
    "sha256 line feed": (with_file(sha256=f"{HEX}\n"), "files[2].sha256"),
    "sha256 number": (with_file(sha256=0), "files[2].sha256"),
    "version number": (with_file(version=3), "files[2].version"),
    "version null": (with_file(version=None), "files[2].version"),
    "etag number": (with_file(etag=3), "files[2].etag"),
    "etag null": (with_file(etag=None), "files[2].etag"),
    "the same file twice": (with_file(1, path="saved_model.pb"), "files[1].path"),
    "a file below a file": (with_file(1, path="saved_model.pb/x"), "files[1].path"),
    "a file above a file": (with_file(0, path="variables"), "files[1].path"),
    "the manifest itself": (with_file(0, path="manifest.json"), "files[0].path"),
    "a folder's file beside a file": (document(layout="file"), "files[1].path"),
    "empty_directories object": (document(empty_directories={}), "empty_directories"),
    "empty_directories null": (document(empty_directories=None), "empty_directories"),
    "empty directory unsafe": (document(empty_directories=["a", ".."]), "empty_directories[1]"),
    "empty directory twice": (document(empty_directories=["a", "a"]), "empty_directories[1]"),
    "empty directory is a file": (
        document(empty_directories=["saved_model.pb"]), "empty_directories[0]"
    ),
    "empty directory below a file": (
        document(empty_directories=["saved_model.pb/x"]), "empty_directories[0]"
    ),
    "empty directory beside a file": (
        document(layout="file", files=document()["files"][:1]), "empty_directories"
    ),
    "pending object": (document(pending={}), "pending"),
    "pending null": (document(pending=None), "pending"),
    "pending text": (document(pending=["x"]), "pending[0]"),
    "pending schema 3": (document(pending=[document(schema=3)]), "pending[0].schema"),
    "pending without a checksum": (
        document(pending=[document(schema=2)]), "pending[0].checksum"
    ),
    "pending file": (
        document(pending=[document(), with_file(size=-1)]), "pending[1].files[2].size"
    ),
    "pending in pending": (
        document(pending=[document(pending=[document()])]), "pending[0].pending"
    ),
    "nothing at all": ({"schema": 1}, "format"),
    "nothing pending": ({"schema": 1, "pending": []}, "format"),
    "half a present artifact": (
        {"schema": 1, "files": document()["files"], "pending": [document()]}, "format"
    ),
    "a present artifact without files": (
        {**without(document(), "files"), "pending": [document()]}, "files"
    ),
}  # fmt: skip


@pytest.mark.parametrize("rule", RULES)
def test_a_broken_rule_is_refused_and_named(rule: str) -> None:
    value, field = RULES[rule]
    for each in (value, sealed(value)):
        with pytest.raises(ManifestError) as caught:
            StoredManifest.from_bytes(canonical(each), where="s3://b/m")
        assert caught.value.where == f"s3://b/m ({field})"
        assert f"({field})" in str(caught.value)


def test_a_document_that_breaks_no_rule_is_read() -> None:
    """The rules above are broken one at a time: what they are broken in is valid."""
    assert read_current(document()).to_json() == document()
    assert read(document(pending=[document()])).pending == (read_current(document()),)
    whole = sealed(tensor_document(pending=[document()]))
    assert StoredManifest.from_bytes(canonical(whole), where="u").to_bytes() == canonical(whole)


def test_a_later_schema_says_what_to_do() -> None:
    with pytest.raises(ManifestError, match="upgrade remote_models") as caught:
        read(document(schema=SCHEMA + 1))
    assert (caught.value.expected, caught.value.found) == ("1 or 2", str(SCHEMA + 1))


UNSAFE = [
    "", "/", "/etc/passwd", "//host/share", "a//b", "a/", "./a", "a/.", ".", "..", "../a", "a/..",
    "a/../../b", "a\\b", "..\\a", "C:", "C:/a", "a:b", "a\x00", "a\nb", "\x1b[2J", "a\x7f",
    "\x9b2J", "a\ud800", "a\udfff/b", "x" * 1025, "é" * 513, "a/" * 512 + "a",
]  # fmt: skip

SAFE = [
    "a", "a/b", "a.b", "...", "..a", "a..", ".hidden/x", "a b", "été/名前", "😀", "ab:c", "1:",
    "variables/variables.data-00000-of-00001", "%2e%2e/a", "~", "a?versionId=1", "*", "x" * 1024,
]  # fmt: skip


@pytest.mark.parametrize("path", UNSAFE, ids=ascii)
def test_an_unsafe_path_is_refused(path: str) -> None:
    with pytest.raises(ManifestError, match=r"files\[7\]\.path: unsafe path") as caught:
        parse_relative_path(path, where="files[7].path")
    assert len(str(caught.value)) < LONGEST_MESSAGE
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("path", SAFE, ids=ascii)
def test_a_safe_path_is_let_through_as_it_is(path: str) -> None:
    assert parse_relative_path(path, where="files[0].path") == path


@given(st.text() | st.lists(st.sampled_from(["..", ".", "", "a", "C:", "\\"])).map("/".join))
def test_no_path_that_is_let_through_leaves_the_folder(text: str) -> None:
    try:
        path = parse_relative_path(text, where="path")
    except ManifestError:
        return
    folder = Path("/folder")
    joined = folder / path
    assert joined.is_relative_to(folder)
    assert ".." not in joined.parts
    assert joined.relative_to(folder).as_posix() == path


# Documents that are no JSON, or more than one


HOSTILE: Mapping[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "white space": lambda: b" \n",
    "cut short": lambda: encode(document())[:-1],
    "two documents": lambda: encode(document()) * 2,
    "UTF-16": lambda: json.dumps(document()).encode("utf-16"),
    "UTF-32": lambda: json.dumps(document()).encode("utf-32-be"),
    "byte order mark": lambda: b"\xef\xbb\xbf" + encode(document()),
    "not UTF-8": lambda: encode(document()).replace(b"keras", b"k\xff"),
    "surrogate in UTF-8": lambda: encode(document()).replace(b"keras", b"\xed\xa0\x80"),
    "surrogate in metadata": lambda: encode(document(metadata={"a": "\ud800"})),
    "surrogate as a name": lambda: encode(document(metadata={"\udfff": 1})),
    "surrogate in producer": lambda: encode(document(producer={"k": "\ud800"})),
    "surrogate in a path": lambda: encode(with_file(path="\ud800")),
    "NaN": lambda: encode(document(metadata={"a": float("nan")})),
    "Infinity": lambda: encode(document(metadata={"a": float("inf")})),
    "1e999": lambda: encode(document(metadata={"a": 12345})).replace(b"12345", b"-1e999"),
    "NaN beside what is pending": lambda: encode(
        {"schema": 1, "a": float("nan"), "pending": [document()]}
    ),
    "1e999 beside what is pending": lambda: encode(
        {"schema": 1, "a": 12345, "pending": [document()]}
    ).replace(b"12345", b"1e999"),
    "huge number": lambda: encode(document(metadata={"a": 123})).replace(b"123", b"9" * 10**5),
    "huge size": lambda: encode(with_file(size=12345)).replace(b"12345", b"9" * 1000),
    "a member twice": lambda: encode(document())[:-1] + b',"format":"keras"}',
    "a file's member twice": lambda: encode(document()).replace(b'"size": 1', b'"size":1,"size":2'),
    "a member twice in metadata": lambda: encode(document(metadata={"a": {"b": 0}})).replace(
        b'"b": 0', b'"b":0,"\\u0062":1'
    ),
    "201 deep": lambda: deep(201),
    "100,000 deep": lambda: deep(100_000),
    "100,000 deep and open": lambda: b"[" * 100_000,
    "100,000 objects deep": lambda: b'{"a":' * 100_000,
    "text of a megabyte": lambda: encode("x" * 10**6),
    "path of a megabyte": lambda: encode(with_file(path="../" + "x" * 10**6)),
    "path of a million parts": lambda: encode(with_file(path="a/" * 10**6 + "a")),
    "schema of a megabyte": lambda: encode(document(schema="2" * 10**6)),
    "layout of a megabyte": lambda: encode(document(layout=["file"] * 10**5)),
    "version of a megabyte": lambda: encode(with_file(version=["v"] * 10**5)),
    "producer of a megabyte": lambda: encode(document(producer={"x" * 10**6: 1})),
    "name of a megabyte twice": lambda: b'{"%s":1,"%s":2}' % (b"x" * 10**6, b"x" * 10**6),
    "a shape of 100,000 dimensions": lambda: encode(with_tensor(1, shape=[1] * 10**5)),
    "a dtype of a megabyte": lambda: encode(with_tensor(1, dtype="f" * 10**6)),
    "a role of a megabyte": lambda: encode(with_tensor(1, role={"x" * 10**6: 1})),
    "blocks of a megabyte": lambda: encode(with_tensor(1, blocks="A" * 4 * 10**5)),
    "blocks of a megabyte and no Base64": lambda: encode(with_tensor(1, blocks="*" * 10**6)),
    "10,000 slices": lambda: encode(
        with_tensor(2, slices=[tensor_document()["tensors"][2]["slices"][0]] * 10**4)
    ),
    "a slice with a megabyte more": lambda: encode(with_slice(origin=[0] * 32, x="x" * 10**6)),
    "a name of a megabyte twice": lambda: encode(
        tensor_document() | {"documents": [with_described(name="x" * 10**6)["documents"][1]] * 2}
    ),
    "100,000 names and one twice": lambda: (
        b"{" + b"".join(b'"%d":0,' % number for number in range(100_000)) + b'"7":0}'
    ),
}  # fmt: skip


def deep(levels: int) -> bytes:
    """Return a document in which ``levels`` objects and arrays are inside each other."""
    inside = levels - 1
    head = encode(without(document(), "metadata"))[:-1]
    return head + b',"metadata":{"a":' + b"[" * (inside - 1) + b"]" * (inside - 1) + b"}}"


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_document_is_refused_in_few_words(name: str) -> None:
    with pytest.raises(ManifestError) as caught:
        StoredManifest.from_bytes(HOSTILE[name](), where="s3://b/m")
    assert len(str(caught.value)) < LONGEST_MESSAGE
    assert str(caught.value).startswith("s3://b/m")


def test_a_document_of_200_levels_is_read_and_written() -> None:
    stored = StoredManifest.from_bytes(deep(200), where="u")
    assert StoredManifest.from_bytes(stored.to_bytes(), where="u") == stored


def test_a_number_of_1000_digits_is_read_and_written() -> None:
    stored = read(document(metadata={"seed": 10**999}))
    assert StoredManifest.from_bytes(stored.to_bytes(), where="u") == stored


@pytest.mark.parametrize("name", [name for name in HOSTILE if "deep" not in name])
def test_a_hostile_document_takes_memory_in_proportion(name: str) -> None:
    data = HOSTILE[name]()
    tracemalloc.start()
    try:
        with pytest.raises(ManifestError):
            StoredManifest.from_bytes(data, where="u")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 30 * len(data) + 2**20


def test_a_document_that_is_too_large_is_not_even_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_strict_json, "MAX_MANIFEST_BYTES", 1000)
    valid = encode(document(metadata={"x": ""}))
    fits = encode(document(metadata={"x": "x" * (1000 - len(valid))}))
    assert StoredManifest.from_bytes(fits, where="u").current
    with pytest.raises(ManifestError, match=r"too large .*1000 bytes"):
        StoredManifest.from_bytes(fits + b" ", where="u")
    with pytest.raises(ManifestError, match="too large"):
        StoredManifest.from_bytes(b"\xff" * 1001, where="u")


@given(st.binary())
def test_random_bytes_are_refused(data: bytes) -> None:
    accept_or_refuse(data)


@given(LOOSE)
def test_random_json_is_a_manifest_or_refused(value: object) -> None:
    accept_or_refuse(encode(value))


@given(st.dictionaries(MEMBERS, LOOSE, max_size=3), st.lists(MEMBERS, max_size=2))
def test_a_document_with_random_members_is_a_manifest_or_refused(
    members: dict[str, Any], absent: list[str]
) -> None:
    for valid in (document(), tensor_document()):
        value = {key: each for key, each in {**valid, **members}.items() if key not in absent}
        accept_or_refuse(encode(value))


@given(st.data())
def test_a_document_with_a_flipped_bit_is_a_manifest_or_refused(data: st.DataObject) -> None:
    damaged = bytearray(encode(tensor_document(pending=[document()])))
    bit = data.draw(st.integers(0, len(damaged) * 8 - 1))
    damaged[bit // 8] ^= 1 << bit % 8
    accept_or_refuse(bytes(damaged))


# Nothing is written that could not be read


UNWRITABLE: Mapping[str, Any] = {
    "object": {"a": object()},
    "bytes": {"a": b""},
    "set": {"a": {1}},
    "NaN": {"a": float("nan")},
    "infinity": {"a": [float("-inf")]},
    "surrogate": {"a": "\ud800"},
    "huge number": {"a": 10**1000},
    "tuple as a name": {("a",): 1},
    "names of two types": {"a": {1: 1, "1": 2}},
}


@pytest.mark.parametrize("name", UNWRITABLE)
def test_metadata_that_is_no_json_is_an_argument_error(name: str) -> None:
    manifest = dataclasses.replace(read_current(document()), metadata=UNWRITABLE[name])
    with pytest.raises(ArgumentError, match=r"metadata|number"):
        StoredManifest(current=manifest).to_bytes()


def test_metadata_that_contains_itself_is_an_argument_error() -> None:
    endless: dict[str, Any] = {}
    endless["a"] = endless
    manifest = dataclasses.replace(read_current(document()), metadata=endless)
    with pytest.raises(ArgumentError, match="metadata"):
        manifest.to_bytes()


@pytest.mark.parametrize("levels", [200, 5000])
def test_metadata_too_deep_to_be_read_is_not_written(levels: int) -> None:
    nested: Any = 0
    for _ in range(levels):
        nested = [nested]
    manifest = dataclasses.replace(read_current(document()), metadata={"a": nested})
    with pytest.raises(ArgumentError):
        StoredManifest(current=manifest).to_bytes()


def test_a_manifest_that_no_reader_would_accept_is_not_written() -> None:
    manifest = dataclasses.replace(read_current(document()), created="yesterday")
    with pytest.raises(ArgumentError, match="created"):
        StoredManifest(current=manifest).to_bytes()
    with pytest.raises(ArgumentError, match=r"pending\[0\]\.created"):
        StoredManifest(current=read_current(document()), pending=(manifest,)).to_bytes()


@settings(max_examples=30)
@given(st.dictionaries(TEXTS, LOOSE, max_size=3))
def test_metadata_is_written_whole_or_not_at_all(metadata: dict[str, Any]) -> None:
    manifest = dataclasses.replace(read_current(document()), metadata=metadata)
    try:
        data = StoredManifest(current=manifest).to_bytes()
    except ArgumentError:
        return
    again = StoredManifest.from_bytes(data, where="u").current
    assert again is not None
    assert again.metadata == metadata
