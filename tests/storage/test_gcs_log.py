"""gcsfs' own log of errors is not printed to people who have set up no logging."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import logging
import remote_models.storage._gcs
assert logging.getLogger().handlers == []
try:
    raise OSError("x")
except OSError:
    logging.getLogger("gcsfs").exception("printed")
"""


def test_nothing_is_printed() -> None:
    child = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60, check=True
    )
    assert (child.stdout, child.stderr) == ("", "")
