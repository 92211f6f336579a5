"""Hints for callers of Python, in the words of the command line."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["as_options"]

_REPLACING = re.compile(r"\b([Pp])ass overwrite=True")

_REPLACING_BY_VERB = {
    "adopt": ("Pass --overwrite", "pass --overwrite"),
    "copy": ("Leave out --no-overwrite", "leave out --no-overwrite"),
    "push": ("Leave out --no-overwrite", "leave out --no-overwrite"),
}

_OPTIONS: Mapping[str, str] = {
    "open it with verify=False": "pass --unverified",
    "password=": "--password-file",
    "storage_options={'key': …, 'secret': …}": "-o key=… -o secret=…",
    "storage_options={'token': …}": "-o token=…",
    "storage_options={'client_kwargs': {'region_name': …}}": (
        "-o client_kwargs='{\"region_name\": …}'"
    ),
    "pass storage_options": "pass -o KEY=VALUE",
    "storage_options": "what -o says",
    "metric=, or keep_best=('val_loss', 'min')": "--keep-best METRIC:MODE",
    "keep_last=, keep_best= or keep_every=": "--keep-last, --keep-best or --keep-every",
    "adopt_model(url), or remote-models adopt URL": "remote-models adopt URL",
    "sign_model(url, private_key), or remote-models sign": "remote-models sign",
    "sign_model()": "remote-models sign",
    "verify_model(url)": "remote-models verify URL",
    "set_alias() sets one, aliases() tells which there are": (
        "remote-models promote sets one, remote-models versions shows which there are"
    ),
    "versions() tells": "remote-models versions shows",
    "Save it again with exports=": "Save it again in Python with exports=",
    "Repository(url).save(model)": "Repository(url).save(model) in Python",
    "; save() makes a version": "",
}
"""What stands in hints, and what one types; the longer ones first."""


def as_options(hint: str, verb: str) -> str:
    """Return a hint in the words of the command line.

    Args:
        hint: As an error has it.
        verb: Which command has failed.
    """
    if verb in _REPLACING_BY_VERB:
        first, inside = _REPLACING_BY_VERB[verb]
        hint = _REPLACING.sub(lambda match: first if match[1] == "P" else inside, hint)
    for call, option in _OPTIONS.items():
        hint = hint.replace(call, option)
    return hint
