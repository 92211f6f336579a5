"""``diff``: what two models differ in, tensor by tensor."""

from __future__ import annotations

import argparse
import math
from dataclasses import asdict
from typing import Any

from remote_models._api import diff_models, open_model
from remote_models._progress_bar import format_size
from remote_models.cli._exit_codes import OK
from remote_models.cli._options import second_options_of, storage_options_of
from remote_models.cli._output import (
    counted,
    print_errors,
    print_json,
    print_line,
    warnings_as_notes,
)
from remote_models.remote_model import Change, ModelDiff, TensorDiff, TensorForm

__all__ = ["diff"]

_MARKS = {Change.SAME: "=", Change.CHANGED: "~", Change.ADDED: "+", Change.REMOVED: "-"}

_FIGURES = ("max_abs", "l2", "relative_l2")


def diff(options: argparse.Namespace) -> int:
    """Compare two models, and print what is not the same."""
    with warnings_as_notes(quiet=options.quiet):
        found = diff_models(
            open_model(options.url, verify=False, storage_options=storage_options_of(options)),
            open_model(options.other, verify=False, storage_options=second_options_of(options)),
        )
    if options.json:
        print_json(_document(found))
    elif not options.quiet:
        for each in found.tensors:
            if each.change is not Change.SAME:
                print_line(f"{_MARKS[each.change]} {each.name}  {_what(each)}")
        print_line(_summary(found))
        if not found.tensors:
            print_errors(["note: neither manifest names a tensor"])
    return OK


def _summary(found: ModelDiff) -> str:
    counts = [f"{len(found.those(change))} {change.value}" for change in Change]
    tensors = counted(len(found.tensors), "tensor")
    return f"{tensors}: {', '.join(counts)}; {format_size(found.bytes_read)} read"


def _what(each: TensorDiff) -> str:
    if each.before is None or each.after is None:
        form = each.after or each.before
        return _form(form) if form else ""
    parts = [_form(each.before)]
    if _form(each.after) != parts[0]:
        parts = [f"{parts[0]} -> {_form(each.after)}"]
    if each.different is not None and each.max_abs is not None:
        parts.append(f"{counted(each.different, 'element')}, at most {each.max_abs:.4g}")
        if each.relative_l2 is not None:
            parts.append(f"relative L2 {each.relative_l2:.4g}")
    if each.not_finite:
        parts.append(f"{each.not_finite} not finite")
    return ", ".join(parts)


def _form(form: TensorForm) -> str:
    return f"{form.dtype} {'x'.join(map(str, form.shape)) or 'scalar'}"


def _document(found: ModelDiff) -> dict[str, Any]:
    return {
        "first": found.first,
        "second": found.second,
        "same": found.same,
        "counts": {change.value: len(found.those(change)) for change in Change},
        "tensors": [_entry(each) for each in found.tensors],
        "bytes_read": found.bytes_read,
    }


def _entry(each: TensorDiff) -> dict[str, Any]:
    """Return a tensor's entry. JSON has no word for what is larger than float64 can hold."""
    entry = asdict(each)
    overflown = {
        name: None
        for name in _FIGURES
        if entry[name] is not None and not math.isfinite(entry[name])
    }
    return entry | overflown
