"""A signature's file: a Sigstore bundle with a DSSE envelope around the signed statement.

The formats: ``Bundle`` in https://github.com/sigstore/protobuf-specs
(protos/sigstore_bundle.proto, as JSON), and
https://github.com/secure-systems-lab/dsse/blob/v1.0.2/protocol.md.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from remote_models._fields import array_field, object_field, shorten, text_field
from remote_models._strict_json import parse_json
from remote_models.errors import ManifestError, SignatureError
from remote_models.signing._keys import PrivateKey, PublicKey
from remote_models.signing._statement import Statement

__all__ = ["MAX_SIGNATURE_BYTES", "sign_statement", "verify_statement"]

MAX_SIGNATURE_BYTES = 16 * 1024 * 1024
"""A larger file is refused unread: 50,000 files with names of 100 bytes need about as much."""

_MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_PAYLOAD_TYPE = "application/vnd.in-toto+json"

_KEYS = {
    "": {"mediaType", "verificationMaterial", "dsseEnvelope"},
    "verificationMaterial": {"publicKey", "tlogEntries"},
    "verificationMaterial.publicKey": {"hint"},
    "dsseEnvelope": {"payload", "payloadType", "signatures"},
    "dsseEnvelope.signatures[0]": {"sig", "keyid"},
}
"""The members of each object. No other is understood, so no other is let pass."""


def sign_statement(statement: Statement, key: PrivateKey) -> bytes:
    """Return the file of a signature of ``statement``."""
    payload = statement.to_bytes()
    bundle = {
        "mediaType": _MEDIA_TYPE,
        "verificationMaterial": {
            "publicKey": {"hint": key.public_key.hint},
            "tlogEntries": [],
        },
        "dsseEnvelope": {
            "payload": _to_base64(payload),
            "payloadType": _PAYLOAD_TYPE,
            "signatures": [{"sig": _to_base64(key.sign(_authenticated(payload))), "keyid": ""}],
        },
    }
    return json.dumps(bundle, separators=(",", ":")).encode()


def verify_statement(data: bytes, key: PublicKey, *, signature_name: str, where: str) -> Statement:
    """Return what was signed, if it was by the private key of ``key``.

    No byte of the file is left open: members that are not signed must have the one
    value, and the JSON one of the usual forms, that they can have.

    Args:
        data: The signature's file.
        key: The key that the signature must be by.
        signature_name: The file's name beside or in the model.
        where: Its URL, for messages.

    Raises:
        SignatureError: it is malformed, by another key, or of something else.
    """
    try:
        payload, signature = _open(data, key, where)
    except ManifestError as error:
        raise SignatureError(
            f"not a signature: {error.message}",
            where=f"{where} ({error.where})" if error.where else where,
            expected=error.expected,
            found=error.found,
        ) from error
    if not key.verifies(signature, _authenticated(payload)):
        raise SignatureError(
            "the signature is wrong",
            where=where,
            hint="It was damaged or forged: restore it, or sign the model again",
        )
    return Statement.from_bytes(payload, signature_name=signature_name, where=where)


def _open(data: bytes, key: PublicKey, where: str) -> tuple[bytes, bytes]:
    """Return the statement and its signature, not yet compared with each other."""
    bundle = _members(_parse(data), "")
    _expect(bundle, "mediaType", _MEDIA_TYPE)
    material = _members(bundle["verificationMaterial"], "verificationMaterial")
    if array_field(material["tlogEntries"], "tlogEntries"):
        raise ManifestError("not supported", where="tlogEntries", expected="none: a key was used")
    hint = _members(material["publicKey"], "verificationMaterial.publicKey")["hint"]
    if hint != key.hint:
        raise SignatureError(
            "signed with another key",
            where=where,
            expected=f"the key with SHA-256 {key.hint}",
            found=shorten(hint),
            hint="Pass the public key of who signed it, or have it signed by whom you trust",
        )
    envelope = _members(bundle["dsseEnvelope"], "dsseEnvelope")
    _expect(envelope, "payloadType", _PAYLOAD_TYPE)
    signatures = array_field(envelope["signatures"], "dsseEnvelope.signatures")
    if len(signatures) != 1:
        raise ManifestError(
            "not supported", where="dsseEnvelope.signatures", expected="one signature"
        )
    signature = _members(signatures[0], "dsseEnvelope.signatures[0]")
    _expect(signature, "keyid", "")
    return (
        _from_base64(envelope["payload"], "dsseEnvelope.payload"),
        _from_base64(signature["sig"], "dsseEnvelope.signatures[0].sig"),
    )


def _parse(data: bytes) -> object:
    document = parse_json(data)
    text = data.removesuffix(b"\n").decode()
    if text not in (
        json.dumps(document, separators=(",", ":")),
        json.dumps(document),
        json.dumps(document, indent=2),
    ):
        raise ManifestError(
            "not in a usual form",
            expected="JSON on one line or indented by 2, without escapes",
        )
    return document


def _members(value: object, where: str) -> Mapping[str, Any]:
    """Return an object that has the members which it must have, and no other."""
    members = object_field(value, where or "bundle")
    if members.keys() != _KEYS[where]:
        raise ManifestError(
            "not supported",
            where=where or "bundle",
            expected=f"the members {', '.join(sorted(_KEYS[where]))}",
            found=shorten(sorted(members)),
        )
    return members


def _expect(members: Mapping[str, Any], name: str, expected: str) -> None:
    if members[name] != expected:
        raise ManifestError(
            "not supported", where=name, expected=repr(expected), found=shorten(members[name])
        )


def _authenticated(payload: bytes) -> bytes:
    """Return what DSSE signs: type and payload, each with its length ("PAE")."""
    kind = _PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _to_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _from_base64(value: object, where: str) -> bytes:
    """Decode base64 that is what encoding the result gives (RFC 4648, 3.5)."""
    text = text_field(value, where)
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ManifestError("not base64", where=where) from error
    if _to_base64(data) != text:
        raise ManifestError("not base64", where=where)
    return data
