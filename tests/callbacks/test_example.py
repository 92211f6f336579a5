"""The example of a training runs as it is on a folder, on S3 and on GCS."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np

import remote_models as rm
from remote_models.storage import Location
from remote_models.testing import Emulator

EXAMPLE = Path(__file__).parents[2] / "examples" / "train.py"


def test_only_the_url_differs(
    seaweed: Emulator, s3_base: Location, fake_gcs: Emulator, gcs_base: Location, tmp_path: Path
) -> None:
    environment = {
        **os.environ,
        **seaweed.environment,
        **fake_gcs.environment,
        "KERAS_BACKEND": "jax",
    }
    losses = {}
    for url in (str(tmp_path), s3_base.url, gcs_base.url):
        done = subprocess.run(
            [sys.executable, str(EXAMPLE), url],
            env=environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        told = [line for line in done.stdout.splitlines() if re.match(r"\d+ \S+ \{", line)]
        losses[url] = [float(re.findall(r"'val_loss': ([0-9.e-]+)", line)[0]) for line in told]
    for base in (Location.parse(tmp_path), s3_base, gcs_base):
        versions = rm.Repository(
            base.join("versions").url, storage_options=base.storage_options
        ).versions()
        assert [version.number for version in versions][-2:] == [4, 5]
        for version in versions:
            assert rm.verify_model(version.url, storage_options=base.storage_options).ok
    first, *others = losses.values()
    assert len(first) >= 2
    for other in others:
        np.testing.assert_allclose(other, first, rtol=1e-5)
