"""The command line, ``remote-models``: artifacts without a framework.

Exit codes: 0 done; 1 failed; 2 wrong usage; 3 nothing is there; 4 the bytes are not
those that the manifest vouches for; 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any, TextIO

from remote_models._api import (
    ModelListing,
    list_models,
    open_model,
    pull_model,
    push_model,
    verify_model,
)
from remote_models._progress_bar import CLEAR_LINE, format_size, is_terminal
from remote_models._version import __version__
from remote_models.errors import (
    ArgumentError,
    FormatError,
    IntegrityError,
    ManifestError,
    ModelNotFoundError,
    RemoteModelsError,
)
from remote_models.manifest import Layout, Manifest
from remote_models.remote_model import RemoteModel, VerifyReport

__all__ = ["FAILED", "INTEGRITY", "INTERRUPTED", "NOT_FOUND", "OK", "USAGE", "main"]

OK, FAILED, USAGE, NOT_FOUND, INTEGRITY = range(5)
INTERRUPTED = 130
"""128 + SIGINT, as shells have it."""

_EPILOG = """\
exit codes: 0 done, 1 failed, 2 wrong usage, 3 nothing is there, 4 integrity,
130 interrupted

Credentials and endpoints come from where boto and gcsfs look: AWS_PROFILE,
AWS_ENDPOINT_URL, GOOGLE_APPLICATION_CREDENTIALS, STORAGE_EMULATOR_HOST.
"""

_DESCRIPTIONS = {
    "info": "Reads the manifest and nothing else. Of a model without a manifest it reads as "
    "much as shows what it is.",
    "ls": "Of a model: size, digest and path of each file. Of anything else: size and path "
    "of each model below it, and whether a manifest lies with it.",
    "verify": "Reads every file and names those that are missing, changed or foreign. "
    "Exits with 4 if there is one.",
    "pull": "Copies the files and the manifest, and checks each byte on the way. DIR "
    "appears when all are there.",
    "push": "Copies a model's file or directory as it is and writes a manifest. A manifest "
    "that lies with it is checked first, and its metadata kept.",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Args:
        arguments: The words after the program's name; those of this process by default.

    Raises:
        SystemExit: help was asked for, or the words make no command.
    """
    options = _parser().parse_args(arguments)
    code = _run(options)
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        _forget_output()
        if not isinstance(error, BrokenPipeError):  # nobody reads on: say nothing more
            _print_errors([f"error: standard output: {error.strerror}"])
        return code or FAILED
    return code


def _run(options: argparse.Namespace) -> int:
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except BrokenPipeError:
        return FAILED
    except KeyboardInterrupt:
        _print_errors(["interrupted"])
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the edge: every failure becomes a line and a code
        return _report(error, debug=options.debug, as_json=options.json)


def _forget_output() -> None:
    """Let what is still buffered go nowhere, or Python complains of it when it exits.

    As in Python's documentation of ``signal``, "Note on SIGPIPE".
    """
    try:
        stdout = sys.stdout.fileno()
    except (OSError, ValueError):
        return  # not a file of this process: somebody calls main()
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, stdout)
    os.close(devnull)


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
    push.add_argument("path", metavar="PATH", help="a model's directory or file")
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
    description = f"{help[0].upper()}{help[1:]}. {_DESCRIPTIONS[name]}"
    verb = verbs.add_parser(name, help=help, description=description)
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
            if text := _readable(name, value):
                _print(f"{name.replace('_', ' '):<{width}}  {text}")
    return OK


def _facts(remote: RemoteModel) -> dict[str, Any]:
    manifest = remote.manifest
    if manifest is None:
        what = remote.recognise()
        format, title = what.format.value, what.title
    else:
        format = manifest.format
        title = remote.format.title if remote.format else "a format of a later version"
    return {
        "url": str(remote.location),
        "format": format,
        "what": title,
        "files": len(remote.files),
        "size": remote.total_size,
        "created": manifest.created if manifest else None,
        "producer": dict(manifest.producer) if manifest else {},
        "metadata": dict(manifest.metadata) if manifest else {},
        "manifest_digest": manifest.digest if manifest else None,
    }


def _readable(name: str, value: Any) -> str:
    if name == "size":
        return f"{format_size(value)} ({value} bytes)"
    if name == "manifest_digest" and value is None:
        return "none: no manifest vouches for these bytes"
    if value is None or value == {}:
        return ""
    if name == "producer":
        return ", ".join(f"{key} {version}" for key, version in sorted(value.items()))
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)


def _ls(options: argparse.Namespace) -> int:
    storage_options = _storage_options(options)
    try:
        remote = open_model(options.url, storage_options=storage_options)
    except (ModelNotFoundError, ArgumentError):
        return _ls_models(options, list_models(options.url, storage_options=storage_options))
    except ManifestError as error:
        return _ls_models(options, _listings_despite(error, options.url, storage_options))
    if remote.manifest is None and not _is_artifact(remote):
        return _ls_models(options, list_models(options.url, storage_options=storage_options))
    entries = remote.manifest.files if remote.manifest else ()
    digests = {str(entry.path): entry.sha256 for entry in entries}
    files = sorted(remote.files.items())
    if options.json:
        _print_json([{"path": path, "size": n, "sha256": digests.get(path)} for path, n in files])
    elif not options.quiet:
        for path, size in files:
            _print(f"{format_size(size):>10}  {digests.get(path, '-')[:12]:<12}  {path}")
    return OK


def _listings_despite(
    error: ManifestError, url: str, storage_options: dict[str, Any]
) -> Sequence[ModelListing]:
    """List a folder without a manifest: what is wrong is a name that none could hold."""
    try:
        listings = list_models(url, storage_options=storage_options)
    except ModelNotFoundError:
        raise error from None
    if any(listing.path == "." and listing.has_manifest for listing in listings):
        raise error
    return listings


def _is_artifact(remote: RemoteModel) -> bool:
    if remote.layout is Layout.FILE:
        return True  # a model or not, nothing lies below a file
    try:
        remote.recognise()
    except FormatError:
        return False
    return True


def _ls_models(options: argparse.Namespace, listings: Sequence[ModelListing]) -> int:
    if options.json:
        _print_json([asdict(listing) for listing in listings])
    elif not options.quiet:
        for listing in listings:
            state = "manifest" if listing.has_manifest else "-"
            _print(f"{format_size(listing.size):>10}  {state:<12}  {listing.path}")
        if not listings:
            _print_errors(["note: files are stored below this URL, but no model"])
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
    _print_errors(_findings(report))
    if report.unexpected is None and not options.quiet:
        _print_errors(["note: the folder may not be listed, so unexpected files go unseen"])
    if not report.ok:
        return INTEGRITY
    if not options.quiet:
        _print(
            f"ok: {_count(len(report.verified))}, {format_size(report.bytes_read)}, "
            f"{report.manifest_digest}"
        )
    return OK


def _findings(report: VerifyReport) -> Iterator[str]:
    for path in report.missing:
        yield f"missing: {path}"
    for each in report.mismatched:
        yield f"mismatched: {each.path} (expected {each.expected}, found {each.found})"
    for path in report.unexpected or ():
        yield f"unexpected: {path}"


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
        _print(f"pulled {_count(len(paths))} into {options.directory}")
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
        _print(f"pushed {_count(len(manifest.files))}, {manifest.digest}")
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
    # In ASCII, so that no terminal's encoding and no odd name makes it fail.
    print(json.dumps(document, indent=2))


def _print(line: str) -> None:
    print(_harmless(line, sys.stdout))


def _print_errors(lines: Iterable[str]) -> None:
    clear = CLEAR_LINE if is_terminal(sys.stderr) else ""  # a progress bar may stand there
    for line in lines:
        print(f"{clear}{_harmless(line, sys.stderr)}", file=sys.stderr)


def _harmless(text: str, stream: TextIO | None) -> str:
    """Return one line that steers no terminal (CWE-150) and that ``stream`` can encode.

    Names of objects, metadata and messages of servers are other people's text.
    """
    line = "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return line.encode(encoding, "backslashreplace").decode(encoding)


def _count(files: int) -> str:
    return "1 file" if files == 1 else f"{files} files"


def _report(error: Exception, *, debug: bool, as_json: bool) -> int:
    if debug:
        traceback.print_exception(error)
    summary, hint = _explain(error)
    if as_json:
        _print_json({"error": type(error).__name__, "message": summary, "hint": hint})
    _print_errors([f"error: {summary}", *([f"hint: {hint}"] if hint else [])])
    return _exit_code(error)


def _explain(error: Exception) -> tuple[str, str | None]:
    """Return what happened and what to do about it, one line each."""
    if isinstance(error, RemoteModelsError):
        return _one_line(error.summary), error.hint and _one_line(error.hint)
    if isinstance(error, OSError) and error.strerror:  # of a path on this machine
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
        return _one_line(text), None
    first = str(error).strip().splitlines()
    summary = f"{type(error).__name__}: {first[0] if first else 'no message'}"
    return summary, "Run it again with --debug and report what it prints"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _exit_code(error: Exception) -> int:
    if isinstance(error, ModelNotFoundError):
        return NOT_FOUND
    if isinstance(error, IntegrityError):
        return INTEGRITY
    return USAGE if isinstance(error, ArgumentError) else FAILED
