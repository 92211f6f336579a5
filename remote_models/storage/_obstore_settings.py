"""What obstore needs to be told, from the options and the environment that s3fs understands."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from fsspec.config import conf

from remote_models.storage._location import Location

__all__ = ["Credentials", "S3Settings", "Source", "read_settings"]

_OPTIONS = {
    "key", "secret", "token", "anon", "endpoint_url", "client_kwargs", "config_kwargs",
    "use_listings_cache",
}  # fmt: skip
_CLIENT_KWARGS = {"endpoint_url", "region_name"}
_CONFIG_KWARGS = {"s3"}
_CONFIG_S3 = {"addressing_style"}

_ONLY_BOTO = (
    "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT",
)  # fmt: skip
"""Variables that botocore obeys and obstore does not know."""

_CERTIFICATES = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE")
"""Variables that matter to botocore where a server has a certificate."""

_ONLY_OBSTORE = ("AWS_ENDPOINT",)
"""A variable that obstore obeys and botocore does not know: the URL must mean the same to both."""

_AMBIENT = (
    ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN"),
    ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",),
    ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
)
"""Variables from which obstore fetches credentials, and renews them, by itself."""

_ENDPOINT = re.compile(r"https?://[A-Za-z0-9.\-_\[\]:]+/?")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.\-]{1,61}[a-z0-9]")
_OTHER_DOMAINS = ("cn-", "us-iso", "eu-isoe")
"""Regions whose endpoints do not end in amazonaws.com."""


Source = Literal["anonymous", "given", "environment", "instance", "nowhere"]
"""Where credentials come from: nobody needs any, options or variables hold them, obstore
fetches them as variables say or from the machine's metadata service, or that is switched off."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Credentials:
    """A key, its secret and perhaps a session's token. Never printed."""

    key: str = field(repr=False)
    secret: str = field(repr=False)
    token: str | None = field(repr=False, default=None)


@dataclass(frozen=True, kw_only=True, slots=True)
class S3Settings:
    """How to reach S3 or what speaks its protocol.

    Attributes:
        region: What requests are signed for.
        endpoint: The server's URL; ``None`` is AWS itself.
        source: Where credentials come from.
        credentials: Those that are given.
        path_style: Whether the bucket must stand in the path though the server is AWS.
    """

    region: str
    endpoint: str | None
    source: Source
    credentials: Credentials | None
    path_style: bool


def read_settings(
    location: Location, environment: Mapping[str, str], *, insist: bool
) -> S3Settings | str:
    """Return the settings with which obstore serves ``location``, or why it is one for s3fs.

    Args:
        location: Where, with storage options as s3fs takes them.
        environment: The environment variables.
        insist: Serve, too, what boto's own files and services could have a say in:
            credentials and regions that neither options nor environment name.
    """
    options = _options(location)
    reason = (
        _foreign_name(location)
        or _foreign_options(options)
        or _foreign_variable(environment, _endpoint(options, environment))
        or (None if insist else _boto_has_a_say(options, environment))
    )
    if reason is not None:
        return reason
    return _settings(options, environment)


def _options(location: Location) -> dict[str, Any]:
    """Return the options with fsspec's own configuration below them, as fsspec merges them."""
    configured = {**conf.get("s3", {}), **conf.get("s3a", {})}
    return {**configured, **location.storage_options}


def _foreign_name(location: Location) -> str | None:
    bucket, _, key = location.path.partition("/")
    if not _BUCKET.fullmatch(bucket):
        return "the bucket's name is not one of today's"
    if key and {"", ".", ".."} & set(key.split("/")):
        return "obstore takes no key with an empty part, '.' or '..'"
    return None


def _foreign_options(options: Mapping[str, Any]) -> str | None:
    client, config = options.get("client_kwargs") or {}, options.get("config_kwargs") or {}
    s3 = (config.get("s3") if isinstance(config, Mapping) else None) or {}
    for given, known in (
        (options, _OPTIONS), (client, _CLIENT_KWARGS), (config, _CONFIG_KWARGS), (s3, _CONFIG_S3),
    ):  # fmt: skip
        if not isinstance(given, Mapping):
            return "an option is not a mapping"
        if set(given) - known:
            return f"only s3fs knows {sorted(map(str, set(given) - known))}"
    if s3.get("addressing_style") not in (None, "auto", "path"):
        return "only s3fs knows this addressing style"
    return _foreign_values(options, client)


def _foreign_values(options: Mapping[str, Any], client: Mapping[str, Any]) -> str | None:
    values = (*(options.get(name) for name in ("key", "secret", "token")), *client.values())
    if not all(value is None or isinstance(value, str) for value in values):
        return "an option is no text"
    key, secret, token = (bool(options.get(name)) for name in ("key", "secret", "token"))
    if key != secret or token > key:
        return "incomplete credentials"
    if options.get("endpoint_url") and client.get("endpoint_url"):
        return "two endpoints"
    return None


def _foreign_variable(environment: Mapping[str, str], endpoint: str | None) -> str | None:
    certificates = () if endpoint is not None and endpoint.startswith("http://") else _CERTIFICATES
    for name in (*_ONLY_BOTO, *_ONLY_OBSTORE, *certificates):
        if environment.get(name):
            return f"{name} is set"
    return None


def _boto_has_a_say(options: Mapping[str, Any], environment: Mapping[str, str]) -> str | None:
    region, endpoint = _region(options, environment), _endpoint(options, environment)
    if _source(options, environment) in ("instance", "nowhere"):
        return "neither options nor environment hold credentials"
    if region is None and endpoint is None:
        return "neither options nor environment name a region"
    path = environment.get("AWS_CONFIG_FILE") or os.path.expanduser("~/.aws/config")
    if (region is None or endpoint is None) and os.path.isfile(path):
        return f"{path} may name a region, an endpoint or credentials"
    return None


def _source(options: Mapping[str, Any], environment: Mapping[str, str]) -> Source:
    if options.get("anon"):
        return "anonymous"
    if _credentials(options, environment):
        return "given"
    if any(all(environment.get(name) for name in names) for names in _AMBIENT):
        return "environment"
    is_off = environment.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true"
    return "nowhere" if is_off else "instance"


def _credentials(options: Mapping[str, Any], environment: Mapping[str, str]) -> Credentials | None:
    # A token of the environment belongs to a key of the environment.
    if options.get("key"):
        return Credentials(
            key=options["key"], secret=options["secret"], token=options.get("token") or None
        )
    key, secret = environment.get("AWS_ACCESS_KEY_ID"), environment.get("AWS_SECRET_ACCESS_KEY")
    if not key or not secret:
        return None
    token = environment.get("AWS_SESSION_TOKEN") or environment.get("AWS_SECURITY_TOKEN")
    return Credentials(key=key, secret=secret, token=token or None)


def _endpoint(options: Mapping[str, Any], environment: Mapping[str, str]) -> str | None:
    return (
        options.get("endpoint_url")
        or (options.get("client_kwargs") or {}).get("endpoint_url")
        or environment.get("AWS_ENDPOINT_URL_S3")
        or environment.get("AWS_ENDPOINT_URL")
        or None
    )


def _region(options: Mapping[str, Any], environment: Mapping[str, str]) -> str | None:
    return (
        (options.get("client_kwargs") or {}).get("region_name")
        or environment.get("AWS_DEFAULT_REGION")
        or environment.get("AWS_REGION")
        or None
    )


def _settings(options: Mapping[str, Any], environment: Mapping[str, str]) -> S3Settings | str:
    endpoint = _endpoint(options, environment)
    region = _region(options, environment) or "us-east-1"
    if endpoint is not None and not _ENDPOINT.fullmatch(endpoint):
        return "the endpoint is more than a scheme, a host and a port"
    if endpoint is None and region.startswith(_OTHER_DOMAINS):
        return f"obstore does not know the endpoints of {region}"
    source = _source(options, environment)
    style = ((options.get("config_kwargs") or {}).get("s3") or {}).get("addressing_style")
    return S3Settings(
        region=region,
        endpoint=endpoint and endpoint.rstrip("/"),
        source=source,
        credentials=_credentials(options, environment) if source == "given" else None,
        path_style=style == "path",
    )
