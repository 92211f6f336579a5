"""Keys on elliptic curves, as PEM files hold them.

The package cryptography is imported when a key is read, not before.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from remote_models.errors import ArgumentError, MissingDependencyError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec

__all__ = ["PrivateKey", "PublicKey"]

_EXPECTED = "a PEM file with a key on the curve P-256, P-384 or P-521"

_HASHES = {"secp256r1": "SHA256", "secp384r1": "SHA384", "secp521r1": "SHA512"}
"""The curves that model-signing takes (P-256, P-384, P-521 of NIST SP 800-186), and the
hash that goes with each (PublicKeyDetails in sigstore's protobuf-specs)."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that tells whose a signature is.

    Attributes:
        pem: The key alone, as ``SubjectPublicKeyInfo`` (RFC 5280, 4.1) in PEM.
    """

    pem: bytes

    @classmethod
    def from_pem(cls, data: bytes, *, where: str) -> PublicKey:
        """Read a PEM file; messages name ``where`` and repeat nothing of the file.

        Raises:
            ArgumentError: it holds no public key on a curve that can be used.
            MissingDependencyError: the package cryptography is not installed.
        """
        _require_cryptography()
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.serialization import load_pem_public_key

        if b"PRIVATE KEY" in data:
            raise ArgumentError(
                "a private key, where a public one belongs",
                where=where,
                hint="Get the public one: openssl pkey -in private.pem -pubout -out public.pem",
            )
        try:
            key = load_pem_public_key(data)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise _no_key("public", where) from error
        from cryptography.hazmat.primitives.asymmetric import ec

        if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in _HASHES:
            raise _no_key("public", where)
        return cls(_pem_of(key))

    @property
    def hint(self) -> str:
        """The SHA-256 of the PEM, by which a bundle names the key."""
        return hashlib.sha256(self.pem).hexdigest()

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Say whether ``signature`` is one of ``message`` by the private key of this one."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.serialization import load_pem_public_key

        key = load_pem_public_key(self.pem)
        assert isinstance(key, ec.EllipticCurvePublicKey)
        try:
            key.verify(signature, message, _algorithm(key.curve))
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """A key to sign with. It is not printed, and cannot be pickled."""

    _key: ec.EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def from_pem(cls, data: bytes, password: bytes | None = None, *, where: str) -> PrivateKey:
        """Read a PEM file; messages name ``where`` and repeat nothing of file or password.

        Args:
            data: The file.
            password: What it is encrypted with, if it is.
            where: What messages call it.

        Raises:
            ArgumentError: it holds no private key on a curve that can be used, or
                cannot be decrypted with the password.
            MissingDependencyError: the package cryptography is not installed.
        """
        _require_cryptography()
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        is_encrypted = b"ENCRYPTED" in data
        if is_encrypted and not password:
            raise ArgumentError("the private key is encrypted", where=where, hint="Pass password=")
        try:
            key = load_pem_private_key(data, password if is_encrypted else None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            if is_encrypted:
                raise ArgumentError(
                    "the private key cannot be decrypted with this password", where=where
                ) from error
            raise _no_key("private", where) from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name not in _HASHES:
            raise _no_key("private", where)
        return cls(key)

    @property
    def public_key(self) -> PublicKey:
        """The key that tells signatures of this one."""
        return PublicKey(_pem_of(self._key.public_key()))

    def sign(self, message: bytes) -> bytes:
        """Return an ECDSA signature (FIPS 186-5) in DER (RFC 3279, 2.2.3)."""
        return self._key.sign(message, _algorithm(self._key.curve))

    def __reduce__(self) -> str:
        raise TypeError("a private key cannot be pickled")


def _require_cryptography() -> None:
    try:
        import cryptography  # noqa: F401 - what is needed of it is imported after this
    except ImportError as error:
        raise MissingDependencyError(
            "signatures need the package cryptography, which is not installed",
            hint="pip install 'remote_models[sign]'",
        ) from error


def _algorithm(curve: ec.EllipticCurve) -> ec.ECDSA:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.ECDSA(getattr(hashes, _HASHES[curve.name])())


def _pem_of(key: ec.EllipticCurvePublicKey) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _no_key(kind: str, where: str) -> ArgumentError:
    return ArgumentError(f"not a {kind} key", where=where, expected=_EXPECTED)
