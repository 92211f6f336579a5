"""One cold start: from the start of this process to one tensor, with what it took on the way.

Arguments: the moment at which the process was asked for, the URL, the tensor's name.
REMOTE_MODELS_CLIENT says who reaches S3: ``fsspec`` or ``obstore``.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from pathlib import Path

BEGUN = float(sys.argv[1])

# In the order in which the library would import them, so that each bears its own cost.
IMPORTS = {
    "fsspec": ("numpy", "fsspec", "aiobotocore.session", "s3fs", "remote_models"),
    "obstore": ("numpy", "fsspec", "obstore", "remote_models"),
}

UNWANTED = {"keras", "tensorflow", "tf_keras", "h5py", "google.protobuf", "ml_dtypes", "boto3"}


def peak_rss_kib() -> int:
    """Return the peak of this program: getrusage() would count what forked it, too (proc(5))."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    return 0


def main() -> None:
    """Read a tensor, and print what each step took."""
    marks: dict[str, float] = {}

    def mark(what: str) -> None:
        marks[what] = time.time() - BEGUN - sum(marks.values())

    mark("start Python")
    for name in IMPORTS[os.environ["REMOTE_MODELS_CLIENT"]]:
        importlib.import_module(name)
        mark(f"import {name}")
    import numpy as np

    import remote_models as rm

    remote = rm.open_model(sys.argv[2])
    mark("open")
    assert np.asarray(remote.weights[sys.argv[3]]).size
    mark("read a tensor")
    unwanted = sorted(UNWANTED & set(sys.modules))
    print(json.dumps({"marks": marks, "peak_rss_kib": peak_rss_kib(), "unwanted": unwanted}))


main()
