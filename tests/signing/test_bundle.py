"""The file of a signature: nothing of it is left open."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from remote_models.errors import IntegrityError, SignatureError
from remote_models.signing import PrivateKey, PublicKey, Statement, sign_statement, verify_statement
from remote_models.signing._bundle import _authenticated
from signing.keys import CURVES, KeyPair, key_pair

STATEMENT = Statement(
    subject="model",
    digests={"a/c": "1" * 64, "a-b": "2" * 64, "manifest.json": "3" * 64},
    signature_name="model.sig",
)


def private(keys: KeyPair) -> PrivateKey:
    return PrivateKey.from_pem(keys.private, where="private")


def public(keys: KeyPair) -> PublicKey:
    return PublicKey.from_pem(keys.public, where="public")


def verified(data: bytes, keys: KeyPair) -> Statement:
    return verify_statement(data, public(keys), signature_name="model.sig", where="here")


def signature_of(payload: bytes, keys: KeyPair) -> bytes:
    """A signature whose payload is not one that the library would write."""
    bundle = json.loads(sign_statement(STATEMENT, private(keys)))
    envelope = bundle["dsseEnvelope"]
    envelope["payload"] = base64.b64encode(payload).decode()
    signature = private(keys).sign(_authenticated(payload))
    envelope["signatures"][0]["sig"] = base64.b64encode(signature).decode()
    return json.dumps(bundle).encode()


@pytest.mark.parametrize("curve", CURVES)
def test_what_is_signed_is_what_is_read(curve: str) -> None:
    keys = key_pair(CURVES[curve])
    data = sign_statement(STATEMENT, private(keys))
    assert verified(data, keys) == STATEMENT
    other = key_pair(CURVES[curve])
    with pytest.raises(SignatureError, match="signed with another key"):
        verified(data, other)


def test_every_flip_of_every_byte_is_noticed(keys: KeyPair) -> None:
    data = sign_statement(STATEMENT, private(keys))
    generator = random.Random(0)
    masks = [1 << bit for bit in range(8)] + [0xFF]
    flips = [(at, mask) for at in range(len(data)) for mask in masks]
    flips += [(generator.randrange(len(data)), generator.randrange(1, 256)) for _ in range(2000)]
    for at, mask in flips:
        changed = bytearray(data)
        changed[at] ^= mask
        with pytest.raises(SignatureError):
            verified(bytes(changed), keys)
    print(f"{len(flips)} flips of {len(data)} bytes, all noticed")


def test_every_truncation_and_addition_is_noticed(keys: KeyPair) -> None:
    data = sign_statement(STATEMENT, private(keys))
    for length in range(len(data)):
        with pytest.raises(SignatureError):
            verified(data[:length], keys)
    for more in (b" ", b"\n\n", b"\0", b"{}", data):
        with pytest.raises(SignatureError):
            verified(data + more, keys)


def test_the_usual_forms_of_json_are_read(keys: KeyPair) -> None:
    bundle = json.loads(sign_statement(STATEMENT, private(keys)))
    for text in (json.dumps(bundle), json.dumps(bundle, indent=2)):
        assert verified(text.encode(), keys) == STATEMENT
        assert verified(f"{text}\n".encode(), keys) == STATEMENT
    with pytest.raises(SignatureError, match="usual form"):
        verified(json.dumps(bundle).replace(", ", ",\t").encode(), keys)


def at(bundle: dict[str, Any], *path: str | int) -> Any:
    value: Any = bundle
    for part in path:
        value = value[part]
    return value


Change = Callable[[dict[str, Any]], object]


def members(*path: str | int, **values: object) -> Change:
    return lambda document: at(document, *path).update(values)


ENVELOPE = ("dsseEnvelope",)
FIRST = ("dsseEnvelope", "signatures", 0)
MATERIAL = ("verificationMaterial",)

KEY = (*MATERIAL, "publicKey")

CHANGES: dict[str, Change] = {
    "media type": members(mediaType="application/vnd.dev.sigstore.bundle+json;version=0.1"),
    "payload type": members(*ENVELOPE, payloadType="text/plain"),
    "no envelope": lambda b: b.pop("dsseEnvelope"),
    "a message signature": members(messageSignature={}),
    "no signature": members(*ENVELOPE, signatures=[]),
    "two signatures": lambda b: at(b, *ENVELOPE, "signatures").append(at(b, *FIRST)),
    "an empty signature": members(*FIRST, sig=""),
    "a key id": members(*FIRST, keyid="x"),
    "a log entry": members(*MATERIAL, tlogEntries=[{}]),
    "no hint": lambda b: at(b, *KEY).pop("hint"),
    "a hint of null": members(*KEY, hint=None),
    "a certificate": members(*MATERIAL, certificate={"rawBytes": ""}),
    "a payload in base64url": members(*ENVELOPE, payload="-_-_"),
    "a payload of no type": members(*ENVELOPE, payload=7),
    "base64 with a loose end": members(*ENVELOPE, payload="QR=="),
    "base64 with a line break": members(*ENVELOPE, payload="QUFB\nQUFB"),
    "an envelope of no type": members(dsseEnvelope=[]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_not_signed_can_have_one_value(change: str, keys: KeyPair) -> None:
    bundle = json.loads(sign_statement(STATEMENT, private(keys)))
    CHANGES[change](bundle)
    with pytest.raises(SignatureError) as caught:
        verified(json.dumps(bundle).encode(), keys)
    assert str(caught.value).startswith("here")
    assert len(str(caught.value)) < 700


HOSTILE = {
    "empty": b"",
    "no JSON": b"model.sig",
    "an array": b"[]",
    "a number": b"1",
    "UTF-16": '{"mediaType":""}'.encode("utf-16"),
    "half a surrogate": b'{"mediaType":"\\ud800"}',
    "a member twice": b'{"mediaType":"","mediaType":""}',
    "deep": b"[" * 100_000,
    "deep objects": b'{"a":' * 100_000,
    "many digits": b'{"mediaType":' + b"9" * 1_000_000 + b"}",
    "not a number": b'{"mediaType":NaN}',
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_bundle_is_a_signature_error(data: bytes, keys: KeyPair) -> None:
    with pytest.raises(SignatureError):
        verified(data, keys)


@pytest.mark.parametrize("payload", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_statement_is_a_signature_error(payload: bytes, keys: KeyPair) -> None:
    with pytest.raises(SignatureError, match="statement"):
        verified(signature_of(payload, keys), keys)


def test_the_signature_is_of_type_and_length_as_well(keys: KeyPair) -> None:
    payload = STATEMENT.to_bytes()
    bundle = json.loads(sign_statement(STATEMENT, private(keys)))
    old = f"DSSEV1 28 application/vnd.in-toto+json {len(payload)} {payload!r}".encode()
    for message in (payload, old):  # the second is what model-signing 0.2 signed
        signature = base64.b64encode(private(keys).sign(message)).decode()
        bundle["dsseEnvelope"]["signatures"][0]["sig"] = signature
        with pytest.raises(SignatureError, match="the signature is wrong"):
            verified(json.dumps(bundle).encode(), keys)


def test_the_hint_alone_proves_nothing(keys: KeyPair) -> None:
    forged = json.loads(sign_statement(STATEMENT, private(key_pair())))
    forged["verificationMaterial"]["publicKey"]["hint"] = public(keys).hint
    with pytest.raises(SignatureError, match="the signature is wrong"):
        verified(json.dumps(forged).encode(), keys)


def test_a_hash_that_is_weaker_than_the_key_is_refused() -> None:
    keys = key_pair(ec.SECP521R1())
    bundle = json.loads(sign_statement(STATEMENT, private(keys)))
    from cryptography.hazmat.primitives import hashes, serialization

    key = serialization.load_pem_private_key(keys.private, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    weak = key.sign(_authenticated(STATEMENT.to_bytes()), ec.ECDSA(hashes.SHA256()))
    bundle["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(weak).decode()
    with pytest.raises(SignatureError, match="the signature is wrong"):
        verified(json.dumps(bundle).encode(), keys)


def test_tampering_is_no_value_error() -> None:
    assert issubclass(SignatureError, IntegrityError)
    assert not issubclass(SignatureError, ValueError | OSError)


# What is signed


def test_a_statement_sorts_by_folders_as_model_signing_does() -> None:
    document = json.loads(STATEMENT.to_bytes())
    names = [resource["name"] for resource in document["predicate"]["resources"]]
    assert names == ["a/c", "a-b", "manifest.json"]


def serialization(**values: object) -> Change:
    return members("predicate", "serialization", **values)


def ignored(*names: str) -> Change:
    return serialization(ignore_paths=list(names))


def resource(**values: object) -> Change:
    return members("predicate", "resources", 0, **values)


PREDICATES = "https://model_signing/Digests/v0.1", "https://slsa.dev/provenance/v1"

STATEMENTS: dict[str, tuple[Change, str]] = {
    "the predicate of 0.2": (members(predicateType=PREDICATES[0]), "predicateType"),
    "another predicate": (members(predicateType=PREDICATES[1]), "predicateType"),
    "no predicate type": (lambda d: d.pop("predicateType"), "predicateType"),
    "another statement": (members(_type="https://in-toto.io/Statement/v0.1"), "_type"),
    "no subject": (members(subject=[]), "subject"),
    "two subjects": (lambda d: d["subject"].append(d["subject"][0]), "subject"),
    "another root digest": (members("subject", 0, digest={"sha256": "0" * 64}), "contradicts"),
    "no root digest": (members("subject", 0, digest={}), "subject"),
    "shards": (serialization(method="shards"), "method"),
    "another hash": (serialization(hash_type="blake2b"), "hash_type"),
    "links": (serialization(allow_symlinks=True), "allow_symlinks"),
    "links, by a number": (serialization(allow_symlinks=0), "allow_symlinks"),
    "an ignored file": (ignored("model.sig", "assets"), "left out"),
    "an ignored folder": (ignored("variables"), "left out"),
    "everything ignored": (ignored("."), "left out"),
    "another signature ignored": (ignored("other.sig"), "left out"),
    "a list that is none": (serialization(ignore_paths="model.sig"), "ignore_paths"),
    "no resources": (members("predicate", resources=[]), "resources"),
    "another algorithm": (resource(algorithm="sha1"), "algorithm"),
    "a short digest": (resource(digest="11"), "digest"),
    "an upper-case digest": (resource(digest="A" * 64), "digest"),
    "a path outside": (resource(name="../x"), "unsafe path"),
    "an absolute path": (resource(name="/etc/passwd"), "unsafe path"),
    "a whole file among others": (resource(name="."), "unsafe path"),
    "a name of no type": (resource(name=7), "name"),
    "a name twice": (resource(name="a-b"), "no name twice"),
}


@pytest.mark.parametrize("case", STATEMENTS)
def test_a_signed_statement_of_another_kind_is_refused(case: str, keys: KeyPair) -> None:
    change, told = STATEMENTS[case]
    document = json.loads(STATEMENT.to_bytes())
    change(document)
    with pytest.raises(SignatureError, match=told) as caught:
        verified(signature_of(json.dumps(document).encode(), keys), keys)
    assert len(str(caught.value)) < 700


def test_the_files_of_git_may_have_been_ignored(keys: KeyPair) -> None:
    document = json.loads(STATEMENT.to_bytes())
    ignored(".git", ".github", "model.sig", ".gitattributes", ".gitignore")(document)
    assert verified(signature_of(json.dumps(document).encode(), keys), keys) == STATEMENT
