"""What obstore raises, and the errors of ours that it stands for."""

from __future__ import annotations

import re
from collections.abc import Mapping

from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    GenericError,
    InvalidPathError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)

from remote_models.errors import (
    ArgumentError,
    CredentialsError,
    RemoteModelsError,
    StorageError,
    StoreUnavailableError,
)
from remote_models.storage._s3_codes import (
    BY_CODE,
    CONFLICT,
    CREDENTIALS_HINT,
    DENIED,
    ENDPOINT_HINT,
    Row,
)

__all__ = ["code_of", "row_of"]

_CODE = re.compile(r"<Code>([A-Za-z0-9]+)</Code>")
"""The store's error code: obstore keeps the XML document that S3 answers, but as text only."""

_BY_TYPE: tuple[tuple[type[Exception], Row], ...] = (
    (AlreadyExistsError, CONFLICT),
    (PreconditionError, CONFLICT),
    (PermissionDeniedError, DENIED),
    (
        UnauthenticatedError,
        (CredentialsError, "the store does not accept these credentials", CREDENTIALS_HINT),
    ),
    (InvalidPathError, (ArgumentError, "not a name that obstore takes", None)),
    # An answer with a code is dealt with before; this is none, or a proxy's.
    (
        GenericError,
        (StoreUnavailableError, "the store cannot be reached, or answers nonsense", ENDPOINT_HINT),
    ),
    (BaseError, (StorageError, "the request failed", None)),
    # What obstore says of paths that cannot be parsed.
    (ValueError, (ArgumentError, "not a name that obstore takes", None)),
)

_REGION_HINT = (
    "Set AWS_REGION, pass storage_options={'client_kwargs': {'region_name': …}}, "
    "or set REMOTE_MODELS_CLIENT=fsspec, which finds the region by itself"
)
_WRONG_REGION: Row = (
    StorageError,
    "the bucket lies in another region",
    _REGION_HINT,
)
_OWN_CODES: Mapping[str, Row] = dict.fromkeys(
    ("PermanentRedirect", "AuthorizationHeaderMalformed"), _WRONG_REGION
)
_NO_CREDENTIALS: Row = (CredentialsError, "no credentials found", CREDENTIALS_HINT)


def code_of(error: Exception) -> str | None:
    """Return the store's error code, if it gave one: its answers to HEAD hold none."""
    match = _CODE.search(str(error))
    return match[1] if match else None


def row_of(error: Exception, *, has_credentials: bool) -> Row | None:
    """Return what ``error`` means, or ``None`` if obstore has no say in it."""
    ours = isinstance(error, RemoteModelsError)
    if ours or not isinstance(error, (BaseError, FileNotFoundError, ValueError)):
        return None
    code = code_of(error)
    if code is not None and (row := BY_CODE.get(code) or _OWN_CODES.get(code)):
        return row
    if isinstance(error, GenericError) and code is not None:
        return StorageError, f"the store answered {code}", None
    if isinstance(error, GenericError) and not has_credentials:
        return _NO_CREDENTIALS
    return next((row for kind, row in _BY_TYPE if isinstance(error, kind)), None)
