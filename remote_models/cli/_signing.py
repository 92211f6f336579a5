"""``sign``: a signature to lie with a model."""

from __future__ import annotations

import argparse
from pathlib import Path

from remote_models._api import sign_model
from remote_models.cli._exit_codes import OK
from remote_models.cli._options import storage_options_of
from remote_models.cli._output import counted, print_json, print_line

__all__ = ["sign"]


def sign(options: argparse.Namespace) -> int:
    """Sign a model."""
    manifest = sign_model(
        options.url,
        options.key,
        password=_first_line(options.password_file) if options.password_file else None,
        manifest_digest=options.manifest_digest,
        storage_options=storage_options_of(options),
    )
    if options.json:
        print_json({"manifest_digest": manifest.digest, "files": len(manifest.files)})
    elif not options.quiet:
        print_line(f"signed {counted(len(manifest.files), 'file')}, {manifest.digest}")
    return OK


def _first_line(path: str) -> bytes:
    lines = Path(path).read_bytes().splitlines()
    return lines[0] if lines else b""
