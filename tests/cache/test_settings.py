"""What the environment says of the cache."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remote_models._size import parse_size
from remote_models.cache import CacheSettings
from remote_models.errors import ArgumentError


@pytest.mark.parametrize("text", ["off", "OFF", "0"])
def test_off(text: str) -> None:
    settings = CacheSettings.from_environment({"REMOTE_MODELS_CACHE": text})
    assert settings.directory is None
    assert settings.reason == f"REMOTE_MODELS_CACHE={text}"


def test_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    for text, path in {
        str(tmp_path / "x"): tmp_path / "x",
        "~/models": tmp_path / "home/models",
        "./off": tmp_path / "off",
    }.items():
        settings = CacheSettings.from_environment({"REMOTE_MODELS_CACHE": text})
        assert (settings.directory, settings.is_default) == (path, False)


@pytest.mark.parametrize("environ", [{}, {"REMOTE_MODELS_CACHE": ""}])
def test_the_users_own(
    environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    settings = CacheSettings.from_environment(environ)
    assert settings.directory is not None
    assert settings.directory.is_relative_to(tmp_path)
    assert settings.directory.name == "remote_models"
    assert settings.is_default
    assert settings.max_size == 10**10
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("environ", [{}, {"REMOTE_MODELS_CACHE": "~/models"}])
def test_no_home(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container whose user has no line in /etc/passwd."""
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000_000)
    settings = CacheSettings.from_environment(environ)
    assert (settings.directory, settings.reason) == (None, "there is no home directory")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("10GB", 10**10), ("10 gb", 10**10), ("1.5GiB", 1610612736), ("4096", 4096), ("0", 0),
        ("512MiB", 512 << 20), ("2T", 2 * 10**12), ("7kB", 7000), (" 1K ", 1000), ("12B", 12),
    ],
)  # fmt: skip
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text, "here") == size


@pytest.mark.parametrize("text", ["", "GB", "-1", "1e9", "10XB", "1iB", "1,5GB", "ten", "1 0"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ArgumentError, match=r"^here: not a size .*10GB"):
        parse_size(text, "here")


def test_a_wrong_size_in_the_environment_is_named() -> None:
    with pytest.raises(ArgumentError, match="REMOTE_MODELS_CACHE_SIZE"):
        CacheSettings.from_environment({"REMOTE_MODELS_CACHE_SIZE": "much"})


@given(st.integers(0, 10**15), st.sampled_from(["", "k", "M", "G", "T"]), st.booleans())
def test_units_are_powers(number: int, unit: str, is_binary: bool) -> None:
    factor = (1024 if is_binary and unit else 1000) ** ["", "k", "M", "G", "T"].index(unit)
    suffix = f"{unit}iB" if is_binary and unit else f"{unit}B"
    assert parse_size(f"{number}{suffix}", "here") == number * factor
