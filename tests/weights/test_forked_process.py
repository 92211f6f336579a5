"""Tensors after os.fork: each process has its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import os
from pathlib import Path
import h5py
import numpy as np
import remote_models as rm

path = Path("large.weights.h5")
with h5py.File(path, "w") as file:
    # Large enough for pages of its own.
    file["layers/dense/vars/0"] = np.zeros(4_000_000, np.float32)
rm.push_model(path, "memory://large.weights.h5")  # as from a server: nothing is mapped
(values,) = rm.open_model("memory://large.weights.h5").weights.fetch().values()
child = os.fork()
if child == 0:
    values[:] = 1
    os._exit(0)
os.waitpid(child, 0)
print(float(values.sum()))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_what_a_forked_child_writes_stays_in_the_child(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, check=True, stdout=subprocess.PIPE, text=True
    )
    assert done.stdout.split() == ["0.0"]
