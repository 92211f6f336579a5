"""AWS Lambda: requests by API Gateway, function URLs, load balancers and ``Invoke``."""

from __future__ import annotations

import base64
import binascii
import importlib
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from remote_models.errors import ArgumentError
from remote_models.serving._rest import (
    DEFAULT_MAX_BYTES,
    HttpRequest,
    HttpResponse,
    RestApi,
    bad_request,
)
from remote_models.serving._server import ModelServer
from remote_models.serving._warm_up import warm_up

__all__ = ["lambda_handler"]

Event = Mapping[str, Any]
Handler = Callable[[Any, object], dict[str, Any]]

_HOOKS = "snapshot_restore_py"
"""Part of Lambda's runtimes for Python (AWS, "Lambda SnapStart runtime hooks for Python")."""

_DEFAULT_STAGE = "$default"


def lambda_handler(
    server: ModelServer, *, name: str | None = None, max_bytes: int = DEFAULT_MAX_BYTES
) -> Handler:
    """Return the function that Lambda calls with each event.

    It takes events of API Gateway (REST and HTTP APIs), function URLs and load balancers,
    and answers them with TensorFlow Serving's REST interface. Any other event is a request
    by itself, ``{"instances": …}``; its answer is the document, ``{"error": …}`` included.

    Functions stand still between requests, so that another version is looked for when a
    request comes. With SnapStart the model is in the snapshot, has predicted once, and is
    compared with what is to be served after each restore. An error that is not the caller's
    is raised, so that Lambda counts it.

    Args:
        server: The server; made with the module, it is loaded before the first event.
        name: The model's name in URLs; by default the last part of the model's URL.
        max_bytes: The longest body that is read.
    """
    server.check_on_request()
    api = RestApi(server, name=name, max_bytes=max_bytes)
    _register_hooks(server)

    def handle(event: Any, _context: object) -> dict[str, Any]:
        request_of = _kind_of(event)
        if request_of is None:
            return _invoke(api, event)
        try:
            request = request_of(event)
        except ArgumentError as error:
            return _proxied(bad_request(error))
        return _proxied(api.handle(request))

    return handle


def _register_hooks(server: ModelServer) -> None:
    hooks = _find_hooks()
    if hooks is not None:
        hooks.register_before_snapshot(warm_up, server)
        hooks.register_after_restore(server.try_refresh)


def _find_hooks() -> ModuleType | None:
    try:
        return importlib.import_module(_HOOKS)
    except ModuleNotFoundError:
        return None


def _invoke(api: RestApi, event: Any) -> dict[str, Any]:
    try:
        document, _seconds = api.predict(event)
    except ArgumentError as error:
        return {"error": str(error)}
    return document


def _kind_of(event: Any) -> Callable[[Event], HttpRequest] | None:
    """Tell what an event is by what only this kind has.

    API Gateway's documentation, "Lambda proxy integrations": payload format 2.0, which
    function URLs have too, holds ``requestContext.http``; format 1.0 and load balancers
    hold ``httpMethod``.
    """
    if not isinstance(event, Mapping) or not isinstance(event.get("requestContext"), Mapping):
        return None
    if isinstance(event["requestContext"].get("http"), Mapping):
        return _request_of_format_2
    return _request_of_format_1 if "httpMethod" in event else None


def _request_of_format_1(event: Event) -> HttpRequest:
    return HttpRequest(
        method=str(event["httpMethod"]),
        path=str(event.get("path") or "/"),
        body=_body_of(event),
    )


def _request_of_format_2(event: Event) -> HttpRequest:
    context = event["requestContext"]
    path = str(event.get("rawPath") or "/")
    stage = f"/{context.get('stage', _DEFAULT_STAGE)}"
    if stage != f"/{_DEFAULT_STAGE}" and (path == stage or path.startswith(f"{stage}/")):
        path = path.removeprefix(stage) or "/"
    return HttpRequest(method=str(context["http"].get("method")), path=path, body=_body_of(event))


def _body_of(event: Event) -> bytes:
    body = event.get("body") or ""
    if not isinstance(body, str):
        raise ArgumentError("not text", where="body", found=type(body).__name__)
    if not event.get("isBase64Encoded"):
        return body.encode()
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ArgumentError("not base64", where="body") from error


def _proxied(response: HttpResponse) -> dict[str, Any]:
    return {
        "statusCode": response.status,
        "headers": dict(response.headers),
        "body": response.body.decode(),
        "isBase64Encoded": False,
    }
