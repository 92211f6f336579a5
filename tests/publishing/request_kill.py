"""A process that forks savers, which others kill while they talk to a server.

Run as a program, in a process without threads, so that it may fork. It reads orders from
its standard input, each a line of JSON::

    {"url": …, "options": …, "scenario": …, "client": …}

forks a child that saves a version "new", stopped until somebody sends it SIGCONT, and
prints its number; when the child has ended, it prints its status as of wait(2), 0 or the
signal.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from pathlib import Path
from tempfile import TemporaryDirectory


def main() -> None:
    from publishing import artifacts

    with TemporaryDirectory(dir=artifacts.SCRATCH) as scratch:
        # What a killed saver leaves there would fill the memory, some day.
        artifacts.SCRATCH = scratch
        obey(Path(scratch))


def obey(scratch: Path) -> None:
    from publishing.request_scenarios import SCENARIOS
    from remote_models.publishing import _manifest_file
    from remote_models.storage import Location

    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            os.kill(os.getpid(), signal.SIGSTOP)
            os.environ["REMOTE_MODELS_CLIENT"] = order["client"]
            base = Location.parse(order["url"], order["options"])
            # As tests have it: nobody waits for a dead saver.
            _manifest_file.PATIENCE_SECONDS = 0
            SCENARIOS[order["scenario"]].save(base, "new")
            os._exit(0)
        os.waitpid(child, os.WUNTRACED)
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        for left in scratch.iterdir():
            shutil.rmtree(left)
        print(status, flush=True)


def preload() -> None:
    """Import what a saver needs: seconds for each of them otherwise."""
    import gcsfs  # noqa: F401
    import obstore.store  # noqa: F401
    import repository.versions  # noqa: F401
    import s3fs  # noqa: F401

    import remote_models.storage._gcs
    import remote_models.storage._obstore
    import remote_models.storage._s3  # noqa: F401


if __name__ == "__main__":
    # The packages of the tests.
    sys.path.insert(0, str(Path(__file__).parents[1]))
    preload()
    main()
