"""Keys, made when the tests run: no private key lies in the repository."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

__all__ = ["CURVES", "PASSWORD", "KeyPair", "ed25519_pair", "key_pair"]

CURVES: dict[str, ec.EllipticCurve] = {
    "P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1(),
}  # fmt: skip

PASSWORD = b"a password that no message may repeat"


@dataclass(frozen=True, kw_only=True)
class KeyPair:
    """The PEM of a private and of a public key."""

    private: bytes
    public: bytes

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write both keys to files, and return where they are."""
        private, public = folder / "private.pem", folder / "public.pem"
        private.write_bytes(self.private)
        public.write_bytes(self.public)
        return private, public


def key_pair(
    curve: ec.EllipticCurve = CURVES["P-256"],
    *,
    password: bytes | None = None,
    format: PrivateFormat = PrivateFormat.PKCS8,
) -> KeyPair:
    encryption: KeySerializationEncryption = (
        BestAvailableEncryption(password) if password else NoEncryption()
    )
    return _pair(ec.generate_private_key(curve), format, encryption)


def ed25519_pair() -> KeyPair:
    return _pair(ed25519.Ed25519PrivateKey.generate(), PrivateFormat.PKCS8, NoEncryption())


def _pair(
    key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey,
    format: PrivateFormat,
    encryption: KeySerializationEncryption,
) -> KeyPair:
    return KeyPair(
        private=key.private_bytes(Encoding.PEM, format, encryption),
        public=key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    )
