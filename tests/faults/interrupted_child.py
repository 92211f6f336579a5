"""Save to a store that hangs, until somebody presses Control-C: URL, SIZE, and options as JSON."""

from __future__ import annotations

import json
import sys

from remote_models.storage import Location, Publication, open_store


def main() -> None:
    """Say how the save has ended."""
    url, size, options = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
    location = Location.parse(url, options)
    store = open_store(location)
    try:
        with Publication(store) as publication:
            publication.stage(location, size, [b"x" * (size // 4)] * 4)
            publication.commit(lambda _location, _version: None)
    except KeyboardInterrupt:
        print("interrupted")


if __name__ == "__main__":
    main()
