"""Locations: URLs are taken apart once, and put together again unchanged."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remote_models.errors import ArgumentError
from remote_models.storage import Location

# No surrogates: no URL holds them. No null character: no system allows it.
characters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
parts = st.text(st.one_of(st.sampled_from("ab/:@%+ #?*[].~"), characters), min_size=1, max_size=12)
buckets = st.text("abc123-.", min_size=3, max_size=8)
protocols = st.sampled_from(["s3", "gs", "memory", "abfs"])


@st.composite
def remote_urls(draw: st.DrawFn) -> str:
    key = draw(parts.filter(lambda text: text.strip("/") and "://" not in text))
    return f"{draw(protocols)}://{draw(buckets)}/{key.strip('/')}"


@st.composite
def local_paths(draw: st.DrawFn) -> str:
    return "/" + draw(parts.map(lambda text: text.strip("/")).filter(bool))


@given(remote_urls())
def test_a_url_stays_as_it_is(url: str) -> None:
    location = Location.parse(url)
    assert location.url == url
    assert str(location) == url
    assert Location.parse(str(location)) == location


@given(local_paths())
def test_a_local_path_is_what_the_system_makes_of_it(path: str) -> None:
    location = Location.parse(path)
    assert location.is_local
    assert str(location) == os.path.abspath(path)
    assert Location.parse(str(location)) == location
    assert Location.parse(location.url) == location


@given(st.one_of(remote_urls(), local_paths()))
def test_parent_and_name_are_the_whole(url: str) -> None:
    location = Location.parse(url)
    assert location.parent.join(location.name) == location
    assert "/" not in location.name


@given(st.one_of(remote_urls(), local_paths()), parts)
def test_join_appends_and_nothing_else(url: str, relative: str) -> None:
    location = Location.parse(url)
    joined = location.join(relative)
    root = "" if location.path == "/" else location.path
    assert joined.path == f"{root}/{relative}"
    assert joined.protocol == location.protocol


@given(remote_urls(), st.text("abc.", min_size=1))
def test_with_suffix_stays_in_the_folder(url: str, suffix: str) -> None:
    location = Location.parse(url)
    assert location.with_suffix(suffix).name == location.name + suffix
    assert location.with_suffix(suffix).parent == location.parent


@given(st.text(characters, max_size=30))
def test_any_text_is_a_place_or_an_argument_error(text: str) -> None:
    try:
        location = Location.parse(text)
    except ArgumentError:
        return
    assert location.protocol
    assert location.path


@pytest.mark.parametrize(
    ("url", "protocol", "path"),
    [
        ("s3://bucket/key", "s3", "bucket/key"),
        ("S3://bucket/key", "s3", "bucket/key"),
        ("s3a://bucket/key", "s3", "bucket/key"),
        ("gcs://bucket/key", "gs", "bucket/key"),
        ("gs://bucket/folder/", "gs", "bucket/folder"),
        ("s3://bucket//key", "s3", "bucket//key"),
        ("s3://bucket/a//b", "s3", "bucket/a//b"),
        ("s3://bucket/a%2Fb?c#d", "s3", "bucket/a%2Fb?c#d"),
        ("s3://bucket/a::b", "s3", "bucket/a::b"),
        ("memory:///name", "memory", "name"),
        ("file:///tmp/model", "file", "/tmp/model"),
        ("local:///tmp/model", "file", "/tmp/model"),
        ("/tmp/model/", "file", "/tmp/model"),
        ("/tmp/a/../model", "file", "/tmp/model"),
        ("/", "file", "/"),
        ("/tmp/a://b", "file", "/tmp/a:/b"),
    ],
)
def test_parse(url: str, protocol: str, path: str) -> None:
    location = Location.parse(url)
    assert (location.protocol, location.path) == (protocol, path)


def test_relative_paths_count_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for path in ("model", "./model", Path("model"), PurePosixPath("model"), "file://model"):
        assert Location.parse(path).path == f"{tmp_path}/model"


@pytest.mark.parametrize("path", ["/model", "/folder/model"])
def test_the_root_is_a_parent_like_any_other(path: str) -> None:
    location = Location.parse(path)
    assert os.path.isdir(Location.parse("/model").parent.path)
    assert location.parent.join("model").path == path


@pytest.mark.parametrize(
    "url",
    ["", "s3://", "s3:///", "gs://", "memory://", "simplecache::s3://bucket/key",
     "zip://a.zip::s3://bucket/key", "filecache::gs://bucket/key", "/tmp/a\0b",
     "s3:/bucket/key", "gs:/bucket", "S3:/bucket/key", "memory:/name", "file:/tmp/x",
     Path("s3://bucket/key"), Path("S3://bucket/key"), Path("gs://bucket/key")],
    ids=repr,
)  # fmt: skip
def test_refused(url: str | Path) -> None:
    with pytest.raises(ArgumentError) as caught:
        Location.parse(url)
    assert caught.value.where or caught.value.expected


@pytest.mark.parametrize("url", [None, 3, b"s3://bucket/key", ["s3://bucket/key"]], ids=repr)
def test_other_types_are_refused(url: object) -> None:
    with pytest.raises(ArgumentError, match="not a URL"):
        Location.parse(url)  # type: ignore[arg-type]  # the point


def test_a_mangled_url_is_explained() -> None:
    with pytest.raises(ArgumentError, match=r"lost a slash.*pass the URL as a str"):
        Location.parse(Path("s3://bucket/key"))


SECRET = "hunter2"


@pytest.mark.parametrize(
    "url",
    [
        f"s3://AKIA:{SECRET}@bucket/key",
        f"gs://user:{SECRET}@bucket/key",
        f"s3:/AKIA:{SECRET}@bucket/key",
        f"simplecache::s3://AKIA:{SECRET}@bucket/key",
        f"zip://a.zip::s3://AKIA:{SECRET}@bucket/key",
        f"s3://AKIA:{SECRET}@",
    ],
)
def test_credentials_in_a_refused_url_are_not_printed(url: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        Location.parse(url)
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(caught.value)
    assert SECRET not in repr(vars(caught.value))


@pytest.mark.parametrize("protocol", ["sftp", "ftp", "http"])
def test_credentials_in_a_url_are_not_printed(protocol: str) -> None:
    location = Location.parse(f"{protocol}://user:{SECRET}@host/model.h5")
    assert str(location) == f"{protocol}://host/model.h5"
    assert SECRET not in str(location.parent)
    assert SECRET not in str(location.join("file"))
    assert SECRET in location.url


def test_storage_options_are_not_printed_and_stay() -> None:
    location = Location.parse("s3://bucket/key", {"secret": SECRET})
    assert SECRET not in repr(location)
    for relative in (location.parent, location.join("x"), location.with_suffix(".y")):
        assert relative.storage_options == {"secret": SECRET}
        assert SECRET not in repr(relative)


def test_the_callers_options_are_copied() -> None:
    options = {"key": "a"}
    location = Location.parse("s3://bucket/key", options)
    options["key"] = "b"
    assert location.storage_options == {"key": "a"}
