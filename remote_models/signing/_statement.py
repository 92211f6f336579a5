"""What is signed: the names and digests of a model's files, as an in-toto statement.

The format is model-signing's predicate ``signature/v1.0``
(https://github.com/sigstore/model-transparency, docs/model_signing_format.md) in a
statement of https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from remote_models._fields import (
    array_field,
    malformed,
    object_field,
    parse_relative_path,
    shorten,
    text_field,
)
from remote_models._strict_json import parse_json
from remote_models.digest import is_sha256
from remote_models.errors import ManifestError, SignatureError

__all__ = [
    "DIRECTORY_SIGNATURE",
    "FILE_SIGNATURE_SUFFIX",
    "WHOLE_FILE",
    "Statement",
]

DIRECTORY_SIGNATURE = "model.sig"
"""The signature's name inside a directory artifact: model-signing's own default."""

FILE_SIGNATURE_SUFFIX = ".sig"
"""What follows the artifact's name in the name of a file artifact's signature."""

WHOLE_FILE = "."
"""What model-signing calls the only resource where it has signed a file by itself."""

_TYPE = "https://in-toto.io/Statement/v1"
_PREDICATE_TYPE = "https://model_signing/signature/v1.0"

_GIT_PATHS = frozenset({".git", ".gitattributes", ".github", ".gitignore"})
"""What model-signing leaves out unless it is told not to."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """The names and digests of a model's files.

    Attributes:
        subject: What the model was called when it was signed. It proves nothing.
        digests: The hexadecimal SHA-256 of each file by its path inside the model.
        signature_name: The name of the signature's own file, the only one that lies
            with the model and is not signed.
    """

    subject: str
    digests: Mapping[str, str]
    signature_name: str

    def to_bytes(self) -> bytes:
        """Return the statement as JSON; :meth:`from_bytes` is the inverse."""
        names = sorted(self.digests, key=lambda name: name.split("/"))
        document = {
            "_type": _TYPE,
            "subject": [
                {
                    "name": self.subject,
                    "digest": {"sha256": _root(self.digests[name] for name in names)},
                }
            ],
            "predicateType": _PREDICATE_TYPE,
            "predicate": {
                "serialization": {
                    "method": "files",
                    "hash_type": "sha256",
                    "allow_symlinks": False,
                    "ignore_paths": [self.signature_name],
                },
                "resources": [
                    {"name": name, "algorithm": "sha256", "digest": self.digests[name]}
                    for name in names
                ],
            },
        }
        return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()

    @classmethod
    def from_bytes(cls, data: bytes, *, signature_name: str, where: str) -> Statement:
        """Read a statement whose signature is good.

        Nothing that it allows to be overlooked is: it may say that the signature's own
        file and model-signing's list of git's files were left out, and nothing else;
        and of these, git's files count as foreign all the same.

        Args:
            data: The statement.
            signature_name: The name of the signature's own file.
            where: The signature's URL, for messages.

        Raises:
            SignatureError: it is malformed, contradicts itself, leaves files out, or
                is of another kind or version.
        """
        try:
            document = object_field(parse_json(data), "statement")
            _expect(document, "_type", _TYPE)
            _expect(document, "predicateType", _PREDICATE_TYPE)
            subject, root = _subject(document)
            predicate = object_field(document.get("predicate"), "predicate")
            _check_serialization(predicate, signature_name)
            digests = _digests(predicate)
        except ManifestError as error:
            raise SignatureError(
                f"the signed statement: {error.message}",
                where=f"{where} ({error.where})" if error.where else where,
                expected=error.expected,
                found=error.found,
            ) from error
        if _root(digests.values()) != root:
            raise SignatureError(
                "the signed statement contradicts itself",
                where=f"{where} (subject[0].digest.sha256)",
                expected=_root(digests.values()),
                found=root,
            )
        return cls(subject=subject, digests=digests, signature_name=signature_name)


def _root(digests: Iterable[str]) -> str:
    """Return the SHA-256 of the digests of all files, one after the other."""
    return hashlib.sha256(b"".join(map(bytes.fromhex, digests))).hexdigest()


def _expect(fields: Mapping[str, Any], name: str, expected: object) -> None:
    """Refuse another value, and one of another type: true is not 1."""
    found = fields.get(name)
    if type(found) is not type(expected) or found != expected:
        raise ManifestError("not supported", where=name, expected=expected, found=shorten(found))


def _subject(document: Mapping[str, Any]) -> tuple[str, str]:
    subjects = array_field(document.get("subject"), "subject")
    if len(subjects) != 1:
        raise malformed("subject", "one subject", subjects)
    subject = object_field(subjects[0], "subject[0]")
    digest = object_field(subject.get("digest"), "subject[0].digest").get("sha256")
    return (
        text_field(subject.get("name"), "subject[0].name"),
        _sha256(digest, "subject[0].digest.sha256"),
    )


def _check_serialization(predicate: Mapping[str, Any], signature_name: str) -> None:
    serialization = object_field(predicate.get("serialization"), "predicate.serialization")
    _expect(serialization, "method", "files")
    _expect(serialization, "hash_type", "sha256")
    _expect(serialization, "allow_symlinks", False)
    ignored = _texts(serialization.get("ignore_paths", []), "ignore_paths")
    foreign = set(ignored) - _GIT_PATHS - {signature_name}
    if foreign:
        raise ManifestError(
            "files were left out of the signature",
            where="ignore_paths",
            expected=f"at most {signature_name} and {', '.join(sorted(_GIT_PATHS))}",
            found=shorten(sorted(foreign)),
        )


def _digests(predicate: Mapping[str, Any]) -> dict[str, str]:
    digests: dict[str, str] = {}
    resources = array_field(predicate.get("resources"), "predicate.resources")
    for index, entry in enumerate(resources):
        where = f"predicate.resources[{index}]"
        resource = object_field(entry, where)
        _expect(resource, "algorithm", "sha256")
        name = resource.get("name")
        if name != WHOLE_FILE or len(resources) > 1:
            name = parse_relative_path(name, where=f"{where}.name")
        if name in digests:
            raise malformed(f"{where}.name", "no name twice", name)
        digests[name] = _sha256(resource.get("digest"), f"{where}.digest")
    if not digests:
        raise malformed("predicate.resources", "at least one file", resources)
    return digests


def _texts(value: object, where: str) -> Sequence[str]:
    return [text_field(each, where) for each in array_field(value, where)]


def _sha256(value: object, where: str) -> str:
    if not is_sha256(value):
        raise malformed(where, "64 lower-case hexadecimal digits", value)
    return str(value)
