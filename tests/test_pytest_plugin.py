"""The fixtures that pytest gets from remote_models, in test runs of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest_remote_models

ROOT = Path(__file__).parents[1]
DOCUMENT = (ROOT / "docs/testing.md").read_text(encoding="utf-8")


def run_tests(folder: Path, code: str, **environment: str) -> str:
    """Return the last line of a run of pytest in which nothing but our plugin is loaded."""
    (folder / "test_inner.py").write_text(code, encoding="utf-8")
    done = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "pytest_remote_models",
            "-p", "no:cacheprovider", "--rootdir", folder, folder,
        ],
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()[-1]


def test_what_the_document_shows_works(tmp_path: Path) -> None:
    with_pytest, without = re.findall(r"^```python\n(.*?)^```$", DOCUMENT, re.DOTALL | re.MULTILINE)
    function = "def test_without_pytest():\n" + textwrap.indent(without, "    ")
    assert run_tests(tmp_path, f"{with_pytest}\n{function}").startswith("7 passed")


def test_the_document_names_every_fixture() -> None:
    told = re.findall(r"^\| `(remote_models_\w+)` \|", DOCUMENT, re.MULTILINE)
    assert sorted(told) == pytest_remote_models.__all__


UNUSED = """
import os, sys

def test_nothing_is_imported_and_nothing_set():
    ours = {"remote_models", "fsspec", "numpy", "s3fs", "gcsfs", "botocore"}
    assert ours & set(sys.modules) == set()
    assert "pytest_remote_models" in sys.modules
    assert os.environ.get("REMOTE_MODELS_CACHE") == "the-user's"
"""


def test_it_costs_nothing_when_it_is_not_used(tmp_path: Path) -> None:
    ended = run_tests(tmp_path, UNUSED, REMOTE_MODELS_CACHE="the-user's")
    assert ended.startswith("1 passed")


APART = """
import os
import fsspec
import pytest
import remote_models as rm

MANIFESTS, CACHES = [], []

@pytest.fixture(autouse=True)
def environment():  # set up before the fixtures that the tests name
    before = dict(os.environ)
    yield
    now = dict(os.environ)
    assert {**now, "PYTEST_CURRENT_TEST": ""} == {**before, "PYTEST_CURRENT_TEST": ""}

@pytest.mark.parametrize("turn", [1, 2])
def test_places_are_empty(turn, tmp_path, remote_models_each_store):
    source = tmp_path / "source.json"
    source.write_text('{"class_name": "Sequential", "config": {"name": "m", "layers": []}}')
    url = f"{remote_models_each_store}/model.json"
    with pytest.raises(rm.errors.ModelNotFoundError):
        rm.open_model(url)
    rm.push_model(source, url)
    assert rm.verify_model(url).ok
    assert os.environ["REMOTE_MODELS_CACHE"] not in ["off", *CACHES]
    CACHES.append(os.environ["REMOTE_MODELS_CACHE"])

def test_nothing_is_left_in_memory():
    assert len(CACHES) == len(set(CACHES)) == 8
    assert [path for path in fsspec.filesystem("memory").store if "test-" in path] == []

def test_profiles_are_hidden(remote_models_s3, remote_models_seaweedfs):
    assert "AWS_PROFILE" not in os.environ
    assert os.environ["AWS_ENDPOINT_URL"] == remote_models_seaweedfs.endpoint_url

@pytest.mark.parametrize("server", ["moto", "ministack"])
def test_other_servers_make_buckets(request, server):
    emulator = request.getfixturevalue(f"remote_models_{server}")
    assert emulator.name == server
    assert emulator.make_bucket().startswith("s3://test-")
"""


def test_each_test_has_a_place_of_its_own(tmp_path: Path) -> None:
    ended = run_tests(tmp_path, APART, REMOTE_MODELS_CACHE="off", AWS_PROFILE="developer")
    assert ended.startswith("12 passed")
