"""The command line, ``remote-models``: artifacts without a framework.

Exit codes: 0 done; 1 failed; 2 wrong usage; 3 nothing is there; 4 the bytes are not
those that the manifest vouches for.
"""

from __future__ import annotations

import argparse
import json
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from remote_models._api import (
    list_models,
    open_model,
    pull_model,
    push_model,
    verify_model,
)
from remote_models._progress_bar import format_size
from remote_models._version import __version__
from remote_models.errors import (
    ArgumentError,
    FormatError,
    IntegrityError,
    ModelNotFoundError,
    RemoteModelsError,
)
from remote_models.manifest import Manifest
from remote_models.remote_model import RemoteModel

__all__ = ["main"]

OK, FAILED, USAGE, NOT_FOUND, INTEGRITY = range(5)

_EPILOG = """\
exit codes: 0 done, 1 failed, 2 wrong usage, 3 nothing is there, 4 integrity

Credentials and endpoints come from where boto and gcsfs look: AWS_PROFILE,
AWS_ENDPOINT_URL, GOOGLE_APPLICATION_CREDENTIALS, STORAGE_EMULATOR_HOST, …
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Args:
        arguments: The words after the program's name; those of this process by default.
    """
    options = _parser().parse_args(arguments)
    try:
        command: Callable[[argparse.Namespace], int] = options.command
        return command(options)
    except BrokenPipeError:
        sys.stderr.close()  # nobody reads on: say nothing more
        return OK
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return FAILED
    except Exception as error:  # noqa: BLE001 - the edge: every failure becomes a line and a code
        return _report(error, debug=options.debug, as_json=options.json)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="remote-models",
        description="Look at, verify and copy saved Keras models on S3, GCS and local disk.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"remote-models {__version__}")
    verbs = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    info = _verb(verbs, "info", _info, "say what a model is: format, producer, size, digest")
    info.add_argument("url", metavar="URL", help="the model")

    listing = _verb(verbs, "ls", _ls, "list the files of a model, or the models below a URL")
    listing.add_argument("url", metavar="URL", help="a model, or a folder, prefix or bucket")

    verify = _verb(verbs, "verify", _verify, "compare every byte with the manifest")
    verify.add_argument("url", metavar="URL", help="the model")
    _add_digest(verify)

    pull = _verb(verbs, "pull", _pull, "copy a model to a local directory, verified")
    pull.add_argument("url", metavar="URL", help="the model")
    pull.add_argument("directory", metavar="DIR", help="a new or empty directory")
    _add_digest(pull)

    push = _verb(verbs, "push", _push, "copy a local model to a URL, with a manifest")
    push.add_argument("path", metavar="DIR", help="a model's directory or file")
    push.add_argument("url", metavar="URL", help="where to put it")
    push.add_argument(
        "--no-overwrite", action="store_true", help="fail if something is there already"
    )
    return parser


def _verb(
    verbs: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    command: Callable[[argparse.Namespace], int],
    help: str,
) -> argparse.ArgumentParser:
    verb = verbs.add_parser(name, help=help, description=f"{help[0].upper()}{help[1:]}.")
    verb.set_defaults(command=command)
    verb.add_argument("--json", action="store_true", help="print one JSON document")
    verb.add_argument("-q", "--quiet", action="store_true", help="print errors only")
    verb.add_argument("--debug", action="store_true", help="print a traceback with an error")
    verb.add_argument(
        "-o",
        "--storage-option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="an argument for the fsspec filesystem; VALUE is JSON or text; may be repeated",
    )
    return verb


def _add_digest(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--manifest-digest", metavar="sha256:HEX", help="accept exactly this artifact"
    )


def _info(options: argparse.Namespace) -> int:
    remote = open_model(options.url, storage_options=_storage_options(options))
    facts = _facts(remote)
    if options.json:
        _print_json(facts)
    elif not options.quiet:
        width = max(map(len, facts))
        for name, value in facts.items():
            print(f"{name.replace('_', ' '):<{width}}  {_readable(name, value)}")
    return OK


def _facts(remote: RemoteModel) -> dict[str, Any]:
    manifest = remote.manifest
    facts: dict[str, Any] = {"url": str(remote.location)}
    if manifest is None:
        what = remote.recognise()
        facts |= {
            "format": what.format.value,
            "what": what.title,
            "files": len(remote.files),
            "size": remote.total_size,
            "manifest_digest": None,
        }
        return facts
    return facts | {
        "format": manifest.format,
        "what": remote.format.title if remote.format else "a format of a later version",
        "files": len(manifest.files),
        "size": manifest.total_size,
        "created": manifest.created,
        "producer": dict(manifest.producer),
        "metadata": dict(manifest.metadata),
        "manifest_digest": manifest.digest,
    }


def _readable(name: str, value: Any) -> str:
    if name == "size":
        return f"{format_size(value)} ({value} bytes)"
    if name == "manifest_digest" and value is None:
        return "no manifest: nothing vouches for these bytes"
    if name == "producer":
        return ", ".join(f"{key} {version}" for key, version in sorted(value.items()))
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)


def _ls(options: argparse.Namespace) -> int:
    storage_options = _storage_options(options)
    try:
        remote = open_model(options.url, storage_options=storage_options)
    except (ModelNotFoundError, ArgumentError):
        return _ls_models(options, storage_options)
    if remote.manifest is None and not _is_artifact(remote):
        return _ls_models(options, storage_options)
    files = remote.manifest.files if remote.manifest else ()
    digests = {str(entry.path): entry.sha256 for entry in files}
    rows = [
        {"path": path, "size": size, "sha256": digests.get(path)}
        for path, size in sorted(remote.files.items())
    ]
    if options.json:
        _print_json(rows)
    elif not options.quiet:
        for path, size in sorted(remote.files.items()):
            print(f"{format_size(size):>10}  {digests.get(path, '-')[:12]:<12}  {path}")
    return OK


def _is_artifact(remote: RemoteModel) -> bool:
    try:
        remote.recognise()
    except FormatError:
        return False
    return True


def _ls_models(options: argparse.Namespace, storage_options: dict[str, Any]) -> int:
    listings = list_models(options.url, storage_options=storage_options)
    if options.json:
        _print_json([asdict(listing) for listing in listings])
    elif not options.quiet:
        for listing in listings:
            state = "manifest" if listing.has_manifest else "-"
            print(f"{format_size(listing.size):>10}  {state:<12}  {listing.path}")
    return OK


def _verify(options: argparse.Namespace) -> int:
    report = verify_model(
        options.url,
        manifest_digest=options.manifest_digest,
        storage_options=_storage_options(options),
        progress=_progress(options),
    )
    if options.json:
        _print_json(asdict(report) | {"ok": report.ok})
        return OK if report.ok else INTEGRITY
    for path in report.missing:
        print(f"missing: {path}", file=sys.stderr)
    for each in report.mismatched:
        print(
            f"mismatched: {each.path} (expected {each.expected}, found {each.found})",
            file=sys.stderr,
        )
    for path in report.unexpected or ():
        print(f"unexpected: {path}", file=sys.stderr)
    if report.unexpected is None:
        print("note: the folder may not be listed, so unexpected files go unseen", file=sys.stderr)
    if not report.ok:
        return INTEGRITY
    if not options.quiet:
        print(
            f"ok: {len(report.verified)} files, {format_size(report.bytes_read)}, "
            f"{report.manifest_digest}"
        )
    return OK


def _pull(options: argparse.Namespace) -> int:
    paths = pull_model(
        options.url,
        options.directory,
        manifest_digest=options.manifest_digest,
        storage_options=_storage_options(options),
        progress=_progress(options),
    )
    if options.json:
        _print_json([str(path) for path in paths])
    elif not options.quiet:
        print(f"pulled {len(paths)} files into {options.directory}")
    return OK


def _push(options: argparse.Namespace) -> int:
    manifest: Manifest = push_model(
        options.path,
        options.url,
        overwrite=not options.no_overwrite,
        storage_options=_storage_options(options),
        progress=_progress(options),
    )
    if options.json:
        _print_json(manifest.to_json() | {"manifest_digest": manifest.digest})
    elif not options.quiet:
        print(f"pushed {len(manifest.files)} files, {manifest.digest}")
    return OK


def _storage_options(options: argparse.Namespace) -> dict[str, Any]:
    parsed: dict[str, Any] = {}
    for word in options.storage_option:
        key, equals, value = word.partition("=")
        if not (key and equals):
            raise ArgumentError(
                "not a storage option", where="-o", expected="KEY=VALUE", found=repr(key)
            )
        try:
            parsed[key] = json.loads(value)
        except ValueError:
            parsed[key] = value
    return parsed


def _progress(options: argparse.Namespace) -> bool | None:
    """Draw no bar where the caller asked for quiet, and one on a terminal otherwise."""
    return False if options.quiet else None


def _print_json(document: Any) -> None:
    print(json.dumps(document, indent=2, ensure_ascii=False))


def _report(error: Exception, *, debug: bool, as_json: bool) -> int:
    if debug:
        traceback.print_exception(error)
    known = isinstance(error, RemoteModelsError)
    summary = error.summary if isinstance(error, RemoteModelsError) else _unexpected(error)
    hint = error.hint if isinstance(error, RemoteModelsError) else None
    if as_json:
        _print_json({"error": type(error).__name__, "message": summary, "hint": hint})
    print(f"error: {summary}", file=sys.stderr)
    if hint:
        print(f"hint: {hint}", file=sys.stderr)
    elif not known and not debug:
        print("hint: Run it again with --debug and report what it prints", file=sys.stderr)
    return _exit_code(error)


def _unexpected(error: Exception) -> str:
    first = str(error).strip().splitlines()
    return f"{type(error).__name__}: {first[0] if first else 'no message'}"


def _exit_code(error: Exception) -> int:
    if isinstance(error, ModelNotFoundError):
        return NOT_FOUND
    if isinstance(error, IntegrityError):
        return INTEGRITY
    return USAGE if isinstance(error, ArgumentError) else FAILED
