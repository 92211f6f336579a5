"""Clients of obstore for one bucket each."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from obstore.store import S3Store as Client

from remote_models.storage._obstore_settings import S3Settings

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig, S3Config, S3Credential

__all__ = ["PAUSE_SECONDS", "connect"]

# Six attempts within about 3 s where a server refuses or fails at once, and about 40 s
# where none answers.
_RETRIES: RetryConfig = {"max_retries": 5, "retry_timeout": timedelta(seconds=30)}
# obstore's own 30 s for a whole request would cut off a large range over a thin link.
_TIMEOUTS: ClientConfig = {"connect_timeout": "5s", "timeout": "15min"}

PAUSE_SECONDS = 10
"""How long a pause in an answer may be."""


def connect(settings: S3Settings, bucket: str, pause: int = PAUSE_SECONDS) -> Client:
    """Return a client of a bucket that waits so many seconds for an answer."""
    config: S3Config = {
        "region": settings.region,
        "skip_signature": settings.source == "anonymous",
        # As botocore has it: wildcard certificates do not cover a dot.
        "virtual_hosted_style_request": (
            settings.endpoint is None and not settings.path_style and "." not in bucket
        ),
        # DeleteObjects is not known everywhere.
        "disable_bulk_delete": True,
    }
    options: ClientConfig = {**_TIMEOUTS, "read_timeout": timedelta(seconds=pause)}
    if settings.endpoint is not None:
        # Not "endpoint", over which AWS_ENDPOINT_URL_S3 would win.
        config["aws_endpoint_url_s3"] = settings.endpoint
        options["allow_http"] = settings.endpoint.startswith("http://")
    credentials = settings.credentials

    def provide() -> S3Credential:
        assert credentials is not None
        return {
            "access_key_id": credentials.key,
            "secret_access_key": credentials.secret,
            "token": credentials.token,
            "expires_at": None,
        }

    # Not as configuration, to which obstore would add AWS_SESSION_TOKEN.
    provider = provide if credentials is not None else None
    return Client(
        bucket,
        config=config,
        client_options=options,
        retry_config=_RETRIES,
        credential_provider=provider,
    )
