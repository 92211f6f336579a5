"""Load a model through a cache, in a process of its own: ``child.py URL CACHE``.

Prints the digest of each file. Needs no framework, as a load up to the moment in which
one is called.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from remote_models.cache import Cache, CacheSettings, open_cache
from remote_models.remote_model import RemoteModel
from remote_models.storage import Location, open_store


def main(url: str, directory: str) -> None:
    cache = open_cache(CacheSettings(directory=Path(directory)))
    assert isinstance(cache, Cache)
    location = Location.parse(url)
    with TemporaryDirectory() as folder:
        paths = RemoteModel.open(open_store(location), location).download(Path(folder), cache=cache)
        found = {path: Path(folder, path).read_bytes() for path in paths}
    print(json.dumps({path: hashlib.sha256(data).hexdigest() for path, data in found.items()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
