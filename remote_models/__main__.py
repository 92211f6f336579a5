"""``python -m remote_models``: the command line."""

import sys

from remote_models.cli import main

sys.exit(main())
