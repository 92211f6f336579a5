"""What reading costs in imports: processes that have imported nothing yet."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from remote_models.storage import Location
from remote_models.testing import Emulator
from weights.published import copy_sample, publish

FRAMEWORKS = {"tensorflow", "keras", "tf_keras", "jax", "torch"}
PARSERS = {"h5py", "google"}
CLIENTS = {"s3fs", "gcsfs", "botocore", "aiobotocore", "boto3", "aiohttp"}


def imported_by(code: str, **environment: str) -> set[str]:
    """Return the packages of which a new process imports something to run ``code``."""
    # Packages may bring .pth files that import parts of google in every process.
    modules = modules_after(code, **environment) - modules_after("")
    return {name.partition(".")[0] for name in modules}


def modules_after(code: str, **environment: str) -> set[str]:
    ended = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    return set(ended.stdout.splitlines()[-1].split())


READ = """
import numpy as np
import remote_models as rm
remote = rm.open_model({url!r})
assert np.asarray(remote.weights[{tensor!r}]).shape
remote.weights[{tensor!r}][0]
remote.weights.fetch()
"""


def test_the_package_alone() -> None:
    imported = imported_by("import remote_models")
    assert "remote_models" in imported
    assert imported & (FRAMEWORKS | PARSERS | CLIENTS | {"numpy", "ml_dtypes", "yaml"}) == set()


@pytest.mark.parametrize(
    ("name", "tensor"),
    [("saved_model", "dense/kernel"), ("keras", "dense/kernel"), ("h5", "dense/kernel"),
     ("sharded_weights", "dense/kernel"), ("large", "dense/kernel")],
)  # fmt: skip
def test_a_tensor_by_its_manifest(
    name: str, tensor: str, local_base: Location, tmp_path: Path
) -> None:
    location = publish(name, local_base, tmp_path)
    imported = imported_by(READ.format(url=str(location), tensor=tensor))
    assert "numpy" in imported
    assert imported & (FRAMEWORKS | PARSERS | CLIENTS | {"ml_dtypes"}) == set()


@pytest.mark.parametrize(("client", "package"), [("fsspec", "s3fs"), ("auto", "obstore")])
def test_a_tensor_in_s3(
    s3_base: Location, seaweed: Emulator, tmp_path: Path, client: str, package: str
) -> None:
    location = publish("saved_model", s3_base, tmp_path)
    code = READ.format(url=str(location), tensor="dense/kernel")
    imported = imported_by(code, **seaweed.environment, REMOTE_MODELS_CLIENT=client)
    assert imported & {"s3fs", "obstore"} == {package}
    assert imported & (FRAMEWORKS | PARSERS | {"gcsfs", "boto3", "ml_dtypes"}) == set()


def test_a_configuration_by_its_manifest(local_base: Location, tmp_path: Path) -> None:
    location = publish("keras", local_base, tmp_path)
    code = f"import remote_models as rm; assert rm.open_model({str(location)!r}).architecture"
    assert imported_by(code) & (FRAMEWORKS | PARSERS | CLIENTS) == set()


def test_a_manifest_needs_no_numpy(local_base: Location, tmp_path: Path) -> None:
    location = publish("saved_model", local_base, tmp_path)
    code = f"""
import remote_models as rm
remote = rm.open_model({str(location)!r})
assert remote.manifest.tensors and remote.format
"""
    assert imported_by(code) & (FRAMEWORKS | PARSERS | CLIENTS | {"numpy"}) == set()


def test_a_strangers_checkpoint_needs_no_hdf5(tmp_path: Path) -> None:
    source = copy_sample("saved_model", tmp_path)
    code = f"""
import remote_models as rm
remote = rm.open_model({str(source)!r}, verify=False)
remote.weights.fetch()
"""
    imported = imported_by(code)
    assert "google" in imported
    assert imported & (FRAMEWORKS | CLIENTS | {"h5py"}) == set()


def test_a_strangers_hdf5_needs_no_protobuf(tmp_path: Path) -> None:
    source = copy_sample("h5", tmp_path)
    code = f"""
import remote_models as rm
remote = rm.open_model({str(source)!r}, verify=False)
remote.weights.fetch()
"""
    imported = imported_by(code)
    assert "h5py" in imported
    assert imported & (FRAMEWORKS | CLIENTS | {"google"}) == set()


def test_this_test_can_fail() -> None:
    assert "h5py" in imported_by("import h5py")
