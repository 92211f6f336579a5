"""What S3's error codes mean here, whichever client has received them."""

from __future__ import annotations

from collections.abc import Mapping

from remote_models.errors import (
    AccessDeniedError,
    BucketNotFoundError,
    ConflictError,
    CredentialsError,
    ModelNotFoundError,
    RemoteModelsError,
    StorageError,
    StoreUnavailableError,
    UnsupportedRequestError,
)

__all__ = [
    "BY_CODE", "CONFLICT", "CREDENTIALS_HINT", "DENIED", "ENDPOINT_HINT", "FAILED_PRECONDITIONS",
    "OUT_OF_RANGE", "Row", "pinning_version", "strong_etag",
]  # fmt: skip

CREDENTIALS_HINT = (
    "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or AWS_PROFILE, "
    "or pass storage_options={'key': …, 'secret': …}"
)
ENDPOINT_HINT = "Check the network and AWS_ENDPOINT_URL, then try again"
_DENIED_HINT = (
    "S3 says this of a missing object too, to those who may not list the bucket: "
    "check the name and the policy"
)

OUT_OF_RANGE = "InvalidRange"
"""The code for a range that begins behind the object's end."""

FAILED_PRECONDITIONS = ("PreconditionFailed", "412")
"""The codes for a request that was to be done on a condition, which does not hold."""

Row = tuple[type[RemoteModelsError], str, str | None]
"""An error of ours, its message and its hint."""

DENIED: Row = (AccessDeniedError, "access denied", _DENIED_HINT)
CONFLICT: Row = (
    ConflictError, "something is stored here already", "Pass overwrite=True to replace it"
)  # fmt: skip

BY_CODE: Mapping[str, Row] = {
    **dict.fromkeys(
        ("NoSuchKey", "NoSuchVersion", "404"), (ModelNotFoundError, "nothing is stored here", None)
    ),
    "NoSuchUpload": (
        StorageError, "the upload is gone: somebody has aborted it before it was finished",
        "Save again; let remote-models gc and the bucket's lifecycle leave recent uploads alone",
    ),
    "NoSuchBucket": (
        BucketNotFoundError, "the bucket does not exist", "Make it first, or check the endpoint"
    ),
    **dict.fromkeys(
        ("InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "AuthFailure",
         "InvalidClientTokenId", "UnrecognizedClientException", "NotSignedUp"),
        (CredentialsError, "the store does not accept these credentials", CREDENTIALS_HINT),
    ),
    **dict.fromkeys(
        ("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired"),
        (CredentialsError, "the credentials have expired", "Get new ones and try again"),
    ),
    "RequestTimeTooSkewed": (
        CredentialsError, "the clock of this machine is too far from the store's", "Set it right"
    ),
    # All that HEAD is told, whose answers have no body.
    "400": (
        StorageError, "the store answered 400",
        "It says so of expired and of malformed credentials, and of a bucket in another region",
    ),
    **dict.fromkeys(
        ("AccessDenied", "403", "AllAccessDisabled", "AccountProblem"),
        DENIED,
    ),
    **dict.fromkeys(
        (*FAILED_PRECONDITIONS, "ConditionalRequestConflict"),
        CONFLICT,
    ),
    **dict.fromkeys(
        ("NotImplemented", "501"),
        (
            UnsupportedRequestError, "the store does not know this request",
            "Write with overwrite=True, and from one process at a time",
        ),
    ),
    **dict.fromkeys(
        ("SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "TooManyRequests",
         "TooManyRequestsException", "Throttling", "ThrottlingException", "RequestLimitExceeded",
         "BandwidthLimitExceeded", "OperationAborted", "BadGateway", "GatewayTimeout",
         "408", "429", "500", "502", "503", "504"),
        (StoreUnavailableError, "the store keeps failing", "Try again later"),
    ),
}  # fmt: skip


def pinning_version(version: str | None) -> str | None:
    """Return the version if it pins bytes, else ``None``.

    S3 calls what was written while versioning was off or suspended "null": such a
    version is overwritten like any object.
    """
    return version if version != "null" else None


def strong_etag(etag: str | None) -> str | None:
    """Return the etag if it tells bytes from others, else ``None``.

    A weak one, which some gateways give, says that objects mean the same, and never
    matches a condition (RFC 9110, section 8.8.3.2).
    """
    return None if not etag or etag.startswith("W/") else etag
