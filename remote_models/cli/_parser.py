"""The words that make a command, and what each of them says of itself."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from remote_models._version import __version__
from remote_models.cli._cache import cache_dir, cache_ls, cache_prune, cache_verify
from remote_models.cli._copies import copy, pull, push, verify
from remote_models.cli._diff import diff
from remote_models.cli._gc import gc
from remote_models.cli._inspect import info, ls
from remote_models.cli._signing import sign
from remote_models.cli._tensors import adopt, weights
from remote_models.cli._versions import promote, prune, versions

__all__ = ["Command", "make_parser"]

Command = Callable[[argparse.Namespace], int]
"""Runs a verb and returns the exit code."""

_Verbs = argparse._SubParsersAction  # noqa: SLF001 - argparse has no public name for it

_EPILOG = """\
exit codes: 0 done, 1 failed, 2 wrong usage, 3 nothing is there, 4 integrity,
130 interrupted

Credentials and endpoints come from where boto and gcsfs look: AWS_PROFILE,
AWS_ENDPOINT_URL, GOOGLE_APPLICATION_CREDENTIALS, STORAGE_EMULATOR_HOST.
"""

_CACHE = """\
Look at, verify and prune the files that are kept on this machine. Loading a model
from S3 or GCS leaves them, unless it goes straight into the variables, so that the
next load reads only the manifest. Each is compared with its digest at every use.
"""

_CACHE_EPILOG = """\
REMOTE_MODELS_CACHE: the folder, or off; by default the platform's for caches of a user.
REMOTE_MODELS_CACHE_SIZE: how large it may grow, as in 500MB or 20GiB; by default 10GB.
"""

_DESCRIPTIONS = {
    "adopt": "Reads every file once, in place, and writes the manifest and nothing else. From "
    "then on the model is compared with what lay there at that moment: adopt only what you trust.",
    "cache dir": "Exits with 3, and says why, if there is none.",
    "cache ls": "Shows size, time of the last use and SHA-256, those used last first.",
    "cache prune": "Without options down to REMOTE_MODELS_CACHE_SIZE. Models that are loaded do "
    "not notice. Also removes what processes that were killed have left behind.",
    "cache verify": "Removes those that are damaged, and then exits with 4. Loading does the "
    "same with the files that it uses.",
    "copy": "Copies from store to store, past this machine's disk, and checks each byte before "
    "the copy appears. The manifest of the copy says what that of the source says. With "
    "--recursive, all models below URL come to the same paths below TARGET.",
    "diff": "Shows each tensor that is changed (~), added (+) or removed (-), and by how much it "
    "is changed. Blocks that have the same digest in both manifests are not read. Exits with 0 "
    "whether they differ or not: --json tells.",
    "gc": "Unfinished uploads, temporary files, and files, announcements and claims of saves that "
    "never came through. Shows kind, size, age and URL of each. Removes nothing without --delete.",
    "info": "Reads the manifest and nothing else, and looks whether a signature lies there. Of a "
    "model without a manifest it reads as much as shows what it is.",
    "ls": "Of a model: size, digest and path of each file. Of anything else: size and path "
    "of each model below it, and whether a manifest and a signature lie with it.",
    "sign": "Signs the digests of all files and of the manifest, as OpenSSF Model Signing has it. "
    "The signature lies in a directory as model.sig, beside a file as NAME.sig. The files are not "
    "read: give --manifest-digest, which saving has told, to be sure of what is signed.",
    "promote": "From then on the alias leads to this version, wherever it led before, and no "
    "prune deletes it.",
    "prune": "A version that any rule keeps is kept, and so are the newest and those that an "
    "alias leads to. The others are deleted at once: --dry-run says first which. One that was "
    "begun to be deleted by a prune that was killed is finished.",
    "verify": "Reads every file and names those that are missing, changed or foreign. "
    "Exits with 4 if there is one.",
    "pull": "Copies the files and the manifest, and checks each byte on the way. DIR "
    "appears when all are there.",
    "push": "Copies a model's file or directory as it is and writes a manifest. A manifest "
    "that lies with it is checked first, and its metadata kept.",
    "versions": "Shows number, time, size, aliases and metadata of each finished version below "
    "the URL. One listing, and one small read for each.",
    "weights": "Shows size, role, dtype, shape and name of each tensor, and reads none. With --to "
    "it reads them, checks them, and writes a file that appears when it is whole.",
}


def make_parser() -> argparse.ArgumentParser:
    """Return the parser, which puts the verb's function into ``command``."""
    parser = argparse.ArgumentParser(
        prog="remote-models",
        description="Look at, verify and copy saved Keras models on S3, GCS and local disk.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"remote-models {__version__}")
    verbs = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_info(verbs)
    _add_ls(verbs)
    _add_weights(verbs)
    _add_verify(verbs)
    _add_adopt(verbs)
    _add_sign(verbs)
    _add_pull(verbs)
    _add_push(verbs)
    _add_copy(verbs)
    _add_diff(verbs)
    _add_versions(verbs)
    _add_promote(verbs)
    _add_prune(verbs)
    _add_gc(verbs)
    _add_cache(verbs)
    return parser


def _add_info(verbs: _Verbs[argparse.ArgumentParser]) -> None:
    verb = _verb(verbs, "info", info, "say what a model is: format, producer, size, digest")
    verb.add_argument("url", metavar="URL", help="the model")
    verb.add_argument("--summary", action="store_true", help="add a table of the layers")
    _add_digest(verb)
    _add_manifest_url(verb)


def _add_ls(verbs: _Verbs[argparse.ArgumentParser]) -> None:
    verb = _verb(verbs, "ls", ls, "list the files of a model, or the models below a URL")
    verb.add_argument("url", metavar="URL", help="a model, or a folder, prefix or bucket")


def _add_weights(verbs: _Verbs[argparse.ArgumentParser]) -> None:
    verb = _verb(verbs, "weights", weights, "list a model's tensors, or export them to a file")
    verb.add_argument("url", metavar="URL", help="the model")
    verb.add_argument(
        "--match",
        action="append",
        default=[],
        metavar="GLOB",
        help="only tensors with such a name, as in 'encoder/*'; may be repeated",
    )
    verb.add_argument(
        "--to", metavar="FILE", help="write them to FILE, a .safetensors or an .npz, local"
    )
    verb.add_argument(
        "--unverified", action="store_true", help="read tensors that no manifest vouches for"
    )
    _add_digest(verb)
    _add_manifest_url(verb)


def _add_adopt(verbs: _Verbs[argparse.ArgumentParser]) -> None:
    verb = _verb(verbs, "adopt", adopt, "write a manifest for a model that others saved")
    verb.add_argument("url", metavar="URL", help="the model")
    verb.add_argument("--overwrite", action="store_true", help="replace a manifest that is there")
    _add_manifest_url(verb, "where to put the manifest, if not with the model")
    _add_recursive(verb, "adopt all models below URL that have no manifest")


def _add_sign(verbs: _Verbs[argparse.ArgumentParser]) -> None:
    verb = _verb(verbs, "sign", sign, "sign a model")
    verb.add_argument("url", metavar="URL", help="the model, with a manifest")
    verb.add_argument(
        "--key",
        metavar="FILE",
        required=True,
        help="the private key, a PEM file: on P-256, P-384 or P-521",
    )
    verb.add_argument(
        "--password-file", metavar="FILE", help="holds what the key is encrypted with, on one line"
    )
    verb.add_argument("--manifest-digest", metavar="sha256:HEX", help="sign exactly this artifact")


def _add_verify(verbs: _Verbs[argparse.ArgumentParser]) -> None:
    verb = _verb(verbs, "verify", verify, "compare every byte with the manifest")
    verb.add_argument("url", metavar="URL", help="the model; with --recursive, a folder")
    _add_digest(verb)
    _add_manifest_url(verb)
    _add_recursive(verb, "verify all models below URL")


def _add_pull(verbs: _Verbs[argparse.ArgumentParser]) -> None:
    verb = _verb(verbs, "pull", pull, "copy a model to a local directory, verified")
    verb.add_argument("url", metavar="URL", help="the model")
    verb.add_argument("directory", metavar="DIR", help="a new or empty directory")
    _add_digest(verb)
    _add_manifest_url(verb)


def _add_push(verbs: _Verbs[argparse.ArgumentParser]) -> None:
    verb = _verb(verbs, "push", push, "copy a local model to a URL, with a manifest")
    verb.add_argument("path", metavar="PATH", help="a model's directory or file")
    verb.add_argument("url", metavar="URL", help="where to put it")
    verb.add_argument(
        "--no-overwrite", action="store_true", help="fail if something is there already"
    )


def _add_copy(verbs: _Verbs[argparse.ArgumentParser]) -> None:
    verb = _verb(verbs, "copy", copy, "copy a model from store to store, verified")
    verb.add_argument("url", metavar="URL", help="the model; with --recursive, a folder")
    verb.add_argument("target", metavar="TARGET", help="where to put it")
    verb.add_argument(
        "--no-overwrite", action="store_true", help="fail if something is there already"
    )
    _add_digest(verb)
    _add_manifest_url(verb)
    _add_second_options(verb, "TARGET")
    _add_recursive(verb, "copy all models below URL")


def _add_diff(verbs: _Verbs[argparse.ArgumentParser]) -> None:
    verb = _verb(verbs, "diff", diff, "compare two models tensor by tensor")
    verb.add_argument("url", metavar="URL_A", help="the model before")
    verb.add_argument("other", metavar="URL_B", help="the model after")
    _add_second_options(verb, "URL_B")


def _add_versions(verbs: _Verbs[argparse.ArgumentParser]) -> None:
    verb = _verb(verbs, "versions", versions, "list the versions in a repository")
    verb.add_argument("url", metavar="URL", help="the repository")


def _add_promote(verbs: _Verbs[argparse.ArgumentParser]) -> None:
    verb = _verb(verbs, "promote", promote, "let an alias lead to a version of a repository")
    verb.add_argument("url", metavar="URL", help="the repository")
    verb.add_argument("version", metavar="N", help="the version's number, or an alias of it")
    verb.add_argument("alias", metavar="ALIAS", help="the alias to set, as in production")


def _add_prune(verbs: _Verbs[argparse.ArgumentParser]) -> None:
    verb = _verb(verbs, "prune", prune, "delete versions of a repository that no rule keeps")
    verb.add_argument("url", metavar="URL", help="the repository")
    verb.add_argument("--keep-last", type=int, metavar="N", help="keep the N newest")
    verb.add_argument(
        "--keep-best",
        metavar="METRIC:MODE[:N]",
        help="keep the N (or 1) with the lowest (min) or highest (max) value in the metadata",
    )
    verb.add_argument(
        "--keep-every", type=int, metavar="K", help="keep those whose number K divides"
    )
    verb.add_argument(
        "-n", "--dry-run", action="store_true", help="delete nothing, say what would be"
    )
    _add_recursive(verb, "prune all repositories below URL")


def _add_gc(verbs: _Verbs[argparse.ArgumentParser]) -> None:
    verb = _verb(verbs, "gc", gc, "find what killed saves have left; with --delete, remove it")
    verb.add_argument("url", metavar="URL", help="a model, or a folder, prefix or bucket")
    verb.add_argument(
        "--older-than", default="24h", metavar="AGE", help="as in 90m, 24h or 7d; by default 24h"
    )
    verb.add_argument("--delete", action="store_true", help="remove it, and do not only show it")


def _add_cache(verbs: _Verbs[argparse.ArgumentParser]) -> None:
    cache = verbs.add_parser(
        "cache",
        help="look at, verify and prune the files kept on this machine",
        description=_CACHE,
        epilog=_CACHE_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    inner = cache.add_subparsers(
        title="commands", metavar="COMMAND", required=True, help="what to do with the cache"
    )
    _plain_verb(inner, "cache dir", cache_dir, "say where the cache is, or why there is none")
    _plain_verb(inner, "cache ls", cache_ls, "list the files in the cache")
    _plain_verb(inner, "cache verify", cache_verify, "read all files and compare their digests")
    prune = _plain_verb(inner, "cache prune", cache_prune, "remove the files used longest ago")
    how_much = prune.add_mutually_exclusive_group()
    how_much.add_argument("--all", action="store_true", help="remove all files")
    how_much.add_argument("--to", metavar="SIZE", help="leave SIZE at most, as in 500MB")
    prune.add_argument(
        "-n", "--dry-run", action="store_true", help="remove nothing, say what would be"
    )


def _verb(
    verbs: _Verbs[argparse.ArgumentParser], name: str, command: Command, help: str
) -> argparse.ArgumentParser:
    verb = _plain_verb(verbs, name, command, help)
    verb.add_argument(
        "-o",
        "--storage-option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="an argument for the fsspec filesystem; VALUE is JSON or text; may be repeated",
    )
    return verb


def _plain_verb(
    verbs: _Verbs[argparse.ArgumentParser], name: str, command: Command, help: str
) -> argparse.ArgumentParser:
    """Add a verb with the options that all have; its last word is what one types."""
    description = f"{help[0].upper()}{help[1:]}. {_DESCRIPTIONS[name]}"
    verb = verbs.add_parser(name.rpartition(" ")[2], help=help, description=description)
    verb.set_defaults(command=command, verb=name)
    verb.add_argument("--json", action="store_true", help="print one JSON document")
    verb.add_argument("-q", "--quiet", action="store_true", help="print errors only")
    verb.add_argument("--debug", action="store_true", help="print a traceback with an error")
    return verb


def _add_digest(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--manifest-digest", metavar="sha256:HEX", help="accept exactly this artifact"
    )
    verb.add_argument(
        "--public-key", metavar="FILE", help="accept only what is signed by this key, a PEM file"
    )


def _add_recursive(verb: argparse.ArgumentParser, help: str) -> None:
    verb.add_argument("-r", "--recursive", action="store_true", help=help)
    who = verb.add_mutually_exclusive_group()
    who.add_argument(
        "--jobs", type=int, metavar="N", help="with --recursive: so many at once, 4 by default"
    )
    who.add_argument(
        "--dask", metavar="ADDRESS",
        help="with --recursive: hand the work to the Dask cluster with this scheduler, "
        "whose workers need the same credentials and paths",
    )  # fmt: skip


def _add_second_options(verb: argparse.ArgumentParser, of: str) -> None:
    verb.add_argument(
        "--second-option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help=f"the same for {of}, if its options are others",
    )


def _add_manifest_url(
    verb: argparse.ArgumentParser, help: str = "where the manifest lies, if not with the model"
) -> None:
    verb.add_argument("--manifest-url", metavar="URL", help=help)
