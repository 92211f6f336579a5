"""Signatures in the OpenSSF model-signing format, by keys and without a network.

What is signed is the name and SHA-256 of every file of a model, its manifest included
(docs/signing.md).
"""

from remote_models.signing._bundle import MAX_SIGNATURE_BYTES, sign_statement, verify_statement
from remote_models.signing._keys import PrivateKey, PublicKey
from remote_models.signing._statement import (
    DIRECTORY_SIGNATURE,
    FILE_SIGNATURE_SUFFIX,
    WHOLE_FILE,
    Statement,
)

__all__ = [
    "DIRECTORY_SIGNATURE",
    "FILE_SIGNATURE_SUFFIX",
    "MAX_SIGNATURE_BYTES",
    "WHOLE_FILE",
    "PrivateKey",
    "PublicKey",
    "Statement",
    "sign_statement",
    "verify_statement",
]
