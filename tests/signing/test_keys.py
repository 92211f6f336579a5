"""Keys: which are taken, and that none is ever repeated in a message."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import PrivateFormat

from remote_models._api._keys import read_private_key, read_public_key
from remote_models.errors import ArgumentError
from remote_models.signing import PrivateKey, PublicKey
from signing.keys import CURVES, PASSWORD, KeyPair, ed25519_pair, key_pair


def body(pem: bytes) -> str:
    """What of a PEM file must not be seen: its longest line."""
    return max(pem.decode().splitlines(), key=len)


def everything_told(error: BaseException) -> str:
    """The error, its causes and its traceback, as a log would have them."""
    return "".join(traceback.format_exception(error)) + repr(error)


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("format", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
@pytest.mark.parametrize("password", [None, PASSWORD])
def test_keys_on_three_curves_are_read(
    curve: str, format: PrivateFormat, password: bytes | None
) -> None:
    keys = key_pair(CURVES[curve], password=password, format=format)
    private = read_private_key(keys.private, password)
    public = read_public_key(keys.public)
    assert public is not None
    assert private.public_key == public
    signature = private.sign(b"message")
    assert public.verifies(signature, b"message")
    assert not public.verifies(signature, b"another")
    assert not public.verifies(b"", b"message")


def test_a_key_is_a_path_or_what_lies_there(tmp_path: Path, keys: KeyPair) -> None:
    private, public = keys.write(tmp_path)
    for each in (public, str(public), keys.public, keys.public.decode()):
        assert read_public_key(each) == read_public_key(keys.public)
    for each in (private, str(private), keys.private, keys.private.decode()):
        assert read_private_key(each, None).public_key == read_public_key(keys.public)
    assert read_public_key(None) is None


def test_text_around_a_public_key_does_not_change_it(keys: KeyPair) -> None:
    read = read_public_key(b"the key of the release team\n" + keys.public)
    assert read == read_public_key(keys.public)


def test_a_password_may_be_text() -> None:
    keys = key_pair(password=PASSWORD)
    assert read_private_key(keys.private, PASSWORD.decode()).sign(b"x")


def test_a_password_for_a_key_without_one_is_not_needed(keys: KeyPair) -> None:
    assert read_private_key(keys.private, PASSWORD).sign(b"x")


READ: dict[str, Callable[[KeyPair], object]] = {
    "private": lambda pair: read_private_key(pair.private, None),
    "public": lambda pair: read_public_key(pair.public),
}


@pytest.mark.parametrize("kind", READ)
@pytest.mark.parametrize("what", ["another curve", "Ed25519", "garbage", "empty", "cut off"])
def test_what_is_no_key_on_them_is_refused(kind: str, what: str, keys: KeyPair) -> None:
    pairs = {
        "another curve": key_pair(ec.SECP256K1()),
        "Ed25519": ed25519_pair(),
        "garbage": KeyPair(private=b"\xff" * 100, public=b"\xff" * 100),
        "empty": KeyPair(private=b"", public=b""),
        "cut off": KeyPair(private=keys.private[:80], public=keys.public[:80]),
    }
    with pytest.raises(ArgumentError, match=f"{kind}_key: not a {kind} key"):
        READ[kind](pairs[what])


def test_a_private_key_is_no_public_one(keys: KeyPair) -> None:
    with pytest.raises(ArgumentError, match="a private key, where a public one belongs") as caught:
        read_public_key(keys.private)
    assert body(keys.private) not in everything_told(caught.value)


def test_a_public_key_signs_nothing(keys: KeyPair) -> None:
    with pytest.raises(ArgumentError, match="not a private key"):
        read_private_key(keys.public, None)


@pytest.mark.parametrize("key", [7, 1.5, ["k.pem"], object()], ids=lambda key: type(key).__name__)
def test_what_is_neither_path_nor_content_is_refused(key: object) -> None:
    with pytest.raises(ArgumentError, match="not a key"):
        read_public_key(key)  # type: ignore[arg-type]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"cannot be read: No such file.*none\.pem"):
        read_public_key(tmp_path / "none.pem")
    with pytest.raises(ArgumentError, match="cannot be read: Is a directory"):
        read_public_key(tmp_path)
    with pytest.raises(ArgumentError, match="not a key"):
        read_public_key("a\0b")


def test_no_message_repeats_key_or_password(keys: KeyPair) -> None:
    encrypted = key_pair(password=PASSWORD)
    secret = body(keys.private)
    attempts: list[tuple[str | bytes, bytes | None]] = [
        (encrypted.private, None),
        (encrypted.private, b"the wrong " + PASSWORD),
        (encrypted.private, b"\xff\0"),
        (keys.private.replace(b"PRIVATE", b"PIRATE"), PASSWORD),
        (keys.private[: len(keys.private) // 2], PASSWORD),
        (secret, PASSWORD),  # without the lines around it: taken for a path
        ("".join(keys.private.decode().splitlines()[1:-1]), PASSWORD),
    ]
    for key, password in attempts:
        with pytest.raises(ArgumentError) as caught:
            read_private_key(key, password)
        told = everything_told(caught.value)
        assert PASSWORD.decode() not in told
        assert secret not in told
        assert body(encrypted.private) not in told


def test_a_private_key_is_neither_shown_nor_pickled(keys: KeyPair) -> None:
    private = PrivateKey.from_pem(keys.private, where="x")
    assert repr(private) == "PrivateKey()"
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(private)
    public = PublicKey.from_pem(keys.public, where="x")
    assert pickle.loads(pickle.dumps(public)) == public
