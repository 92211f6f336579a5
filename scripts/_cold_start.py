"""One cold start: from the start of this process to one tensor, with what it took on the way.

Arguments: the moment at which the process was asked for, the URL, the tensor's name.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

BEGUN = float(sys.argv[1])


def peak_rss_kib() -> int:
    """Return the peak of this program: getrusage() would count what forked it, too (proc(5))."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    return 0


marks: dict[str, float] = {}


def mark(what: str) -> None:
    marks[what] = time.time() - BEGUN - sum(marks.values())


mark("start Python")
import numpy as np  # noqa: E402 - the order of the imports is what is measured

mark("import numpy")
import fsspec  # noqa: E402

mark("import fsspec")
import aiobotocore.session  # type: ignore[import-untyped]  # noqa: E402
import s3fs  # noqa: E402

mark("import s3fs and aiobotocore")
import remote_models as rm  # noqa: E402

mark("import remote_models")
remote = rm.open_model(sys.argv[2])
mark("open")
array = np.asarray(remote.weights[sys.argv[3]])
mark("read a tensor")

assert array.size
assert fsspec.__version__ and s3fs.__version__ and aiobotocore.session  # noqa: PT018 - all here
unwanted = {"keras", "tensorflow", "tf_keras", "h5py", "google.protobuf", "ml_dtypes", "boto3"}
print(
    json.dumps(
        {
            "marks": marks,
            "peak_rss_kib": peak_rss_kib(),
            "unwanted": sorted(unwanted & set(sys.modules)),
        }
    )
)
