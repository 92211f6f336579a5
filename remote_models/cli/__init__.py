"""The command line, ``remote-models``: artifacts without a framework.

Exit codes: 0 done; 1 failed; 2 wrong usage; 3 nothing is there; 4 the bytes are not
those that the manifest vouches for; 130 interrupted.
"""

from remote_models.cli._exit_codes import FAILED, INTEGRITY, INTERRUPTED, NOT_FOUND, OK, USAGE
from remote_models.cli._main import main

__all__ = ["FAILED", "INTEGRITY", "INTERRUPTED", "NOT_FOUND", "OK", "USAGE", "main"]
