"""Run scenarios of one module, in a process that nothing else has used.

``python -m integration.scenarios.run JOB.json`` reads the module, the cases and
where to report; it writes one line of JSON per case as soon as the case is over.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

import pytest

import remote_models as rm
from integration.scenarios.importers import watch_imports


def main(job_path: str) -> None:
    """Run the job in the file ``job_path``."""
    job = json.loads(Path(job_path).read_text())
    with watch_imports(job["forbidden"]):
        # Errors where they are ours; the frameworks have plenty of their own.
        warnings.filterwarnings("error", module=r"remote_models")
        # Keras' advice to those who save .h5, which is theirs to hear.
        warnings.filterwarnings("ignore", "You are saving your model as an HDF5 file")
        warnings.simplefilter("error", rm.UnverifiedModelWarning)
        module = importlib.import_module(f"integration.scenarios.{job['module']}")
        with open(job["report"], "w") as report:
            for name, store, url in job["cases"]:
                if store == "local":
                    Path(url).mkdir(parents=True)
                outcome = {"scenario": name, "store": store, **_run(getattr(module, name), url)}
                report.write(json.dumps(outcome) + "\n")
                report.flush()


def _run(function: Any, url: str) -> dict[str, Any]:
    start = time.monotonic()
    failure = None
    _seed()
    try:
        function(url)
    except (Exception, pytest.fail.Exception):  # noqa: BLE001 - whatever it is, it is this test's failure
        failure = traceback.format_exc()
    return {"failure": failure, "seconds": round(time.monotonic() - start, 2)}


def _seed() -> None:
    """Give every run of a scenario the same numbers."""
    for framework in ("tf_keras", "keras"):
        if framework in sys.modules:
            sys.modules[framework].utils.set_random_seed(11)
            return


if __name__ == "__main__":
    main(sys.argv[1])
