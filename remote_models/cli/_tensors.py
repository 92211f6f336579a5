"""``adopt`` and ``weights``: the tensors inside a model's files."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from remote_models._api import adopt_model, adopt_models, open_model
from remote_models._progress_bar import format_size
from remote_models.cli._exit_codes import OK
from remote_models.cli._options import progress_of, storage_options_of
from remote_models.cli._output import (
    counted,
    document_of_manifest,
    print_errors,
    print_json,
    print_line,
    warnings_as_notes,
)
from remote_models.cli._walks import Report, executor_of, refuse_for_many, refuse_for_one
from remote_models.errors import TensorNotFoundError
from remote_models.manifest import Manifest

if TYPE_CHECKING:
    from remote_models.remote_model import RemoteModel, RemoteTensor

__all__ = ["adopt", "weights"]


def adopt(options: argparse.Namespace) -> int:
    """Write a manifest for a model that others saved, or for all below a URL."""
    if options.recursive:
        return _adopt_all(options)
    refuse_for_one(options)
    with warnings_as_notes(quiet=options.quiet):
        manifest = adopt_model(
            options.url,
            manifest_url=options.manifest_url,
            overwrite=options.overwrite,
            storage_options=storage_options_of(options),
            progress=progress_of(options),
        )
    if options.json:
        print_json(document_of_manifest(manifest))
    elif not options.quiet:
        print_line(f"adopted {_told(manifest)}")
    return OK


def _adopt_all(options: argparse.Namespace) -> int:
    refuse_for_many(options, "manifest_url")
    report = Report(
        options=options,
        told=lambda each: f"adopted {_told(each)}",
        document=document_of_manifest,
    )
    with executor_of(options) as executor, warnings_as_notes(quiet=options.quiet):
        results = adopt_models(
            options.url,
            overwrite=options.overwrite,
            executor=executor,
            storage_options=storage_options_of(options),
            on_result=report.tell,
        )
    return report.finish(results)


def _told(manifest: Manifest) -> str:
    files, tensors = counted(len(manifest.files), "file"), counted(len(manifest.tensors), "tensor")
    return f"{files}, {tensors}, {manifest.digest}"


def weights(options: argparse.Namespace) -> int:
    """List the tensors of a model, or write them to a local file."""
    remote = open_model(
        options.url,
        manifest_digest=options.manifest_digest,
        manifest_url=options.manifest_url,
        public_key=options.public_key,
        verify=not options.unverified,
        storage_options=storage_options_of(options),
    )
    chosen = _chosen(remote, options.match)
    if options.to is None:
        _list(options, chosen)
    else:
        _export(options, remote, chosen)
    if not (remote.is_verifiable or options.quiet):
        print_errors(["note: no manifest vouches for these bytes"])
    return OK


def _chosen(remote: RemoteModel, globs: Sequence[str]) -> Sequence[RemoteTensor]:
    """Return the tensors whose name matches one of ``globs``; all without any.

    Raises:
        TensorNotFoundError: a glob matches nothing.
    """
    for glob in globs:
        if not any(map(_matches([glob]), remote.weights.values())):
            raise TensorNotFoundError(
                "no tensor has such a name",
                where=str(remote.location),
                found=repr(glob),
                hint="Leave --match out to see the names",
            )
    return remote.weights.select(_matches(globs) if globs else None)


def _matches(globs: Iterable[str]) -> Callable[[RemoteTensor], bool]:
    return lambda tensor: any(fnmatchcase(tensor.name, glob) for glob in globs)


def _list(options: argparse.Namespace, chosen: Sequence[RemoteTensor]) -> None:
    if options.json:
        print_json(
            [
                {
                    "name": tensor.name,
                    "key": tensor.key,
                    "dtype": tensor.dtype_name,
                    "shape": list(tensor.shape),
                    "bytes": tensor.nbytes,
                    "role": tensor.role.value,
                }
                for tensor in chosen
            ]
        )
    elif not options.quiet:
        rows = [
            (format_size(each.nbytes), each.role.value, each.dtype_name, _shape(each), each.name)
            for each in chosen
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for size, role, dtype, shape, name in rows:
            print_line(
                f"{size:>10}  {role:<{widths[1]}}  {dtype:<{widths[2]}}  {shape:<{widths[3]}}  "
                f"{name}"
            )
        if not rows:
            print_errors(["note: the model holds no tensors"])


def _shape(tensor: RemoteTensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"


def _export(
    options: argparse.Namespace, remote: RemoteModel, chosen: Sequence[RemoteTensor]
) -> None:
    from remote_models._api._export import export_weights  # it needs NumPy, which takes 0.1 s

    names = export_weights(remote.weights, options.to, [tensor.name for tensor in chosen])
    if options.json:
        print_json(names)
    elif not options.quiet:
        size = format_size(sum(tensor.nbytes for tensor in chosen))
        print_line(f"exported {counted(len(names), 'tensor')}, {size}, to {options.to}")
