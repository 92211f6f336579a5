"""Cloud Run and Cloud Functions: functions for ``functions-framework``.

Neither that package nor Flask is imported: their requests and events are used as they come.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Protocol

from remote_models.errors import ArgumentError, RemoteModelsError
from remote_models.serving._predict import parse_body
from remote_models.serving._rest import (
    DEFAULT_MAX_BYTES,
    HttpRequest,
    HttpResponse,
    RestApi,
    bad_request,
    error_response,
    json_response,
)
from remote_models.serving._server import ModelServer

__all__ = ["cloud_event_function", "http_function"]

_FINALIZED = "google.cloud.storage.object.v1.finalized"
"""Cloud Storage's event for an object that has been written (Eventarc's documentation)."""

_STRUCTURED = "application/cloudevents+json"


class Headers(Protocol):
    """Headers by their names, in any case."""

    def get(self, name: str, default: str, /) -> str: ...


class FlaskRequest(Protocol):
    """What is used of a ``flask.Request``."""

    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def headers(self) -> Headers: ...
    @property
    def stream(self) -> Stream: ...


class Stream(Protocol):
    """A body to read."""

    def read(self, size: int, /) -> bytes: ...


class CloudEvent(Protocol):
    """What is used of a ``cloudevents.http.CloudEvent``."""

    @property
    def data(self) -> Any: ...
    def __getitem__(self, name: str, /) -> Any: ...


Answer = tuple[bytes, int, dict[str, str]]


def http_function(
    server: ModelServer, *, name: str | None = None, max_bytes: int = DEFAULT_MAX_BYTES
) -> Callable[[FlaskRequest], Answer]:
    """Return a function that answers HTTP requests, for ``functions_framework.http``.

    It has TensorFlow Serving's REST interface. ``POST /`` with a CloudEvent, as Eventarc
    sends it, is an event: when the bucket says that the alias or the manifest was written,
    another version is loaded. Eventarc tells one instance of a service; where there may be
    several, ``refresh`` is what reaches all.

    An instance has next to no processor between requests, so that another version is looked
    for when a request comes.

    Args:
        server: The server; made with the module, it is loaded before the first request.
        name: The model's name in URLs; by default the last part of the model's URL.
        max_bytes: The longest body that is read.
    """
    server.check_on_request()
    api = RestApi(server, name=name, max_bytes=max_bytes)

    def handle(request: FlaskRequest) -> Answer:
        # Without a length nothing is longer than this: it is a limit of the servers below.
        body = request.stream.read(max_bytes + 1)
        if len(body) > max_bytes:
            return _answer(api.too_large())
        if request.method == "POST" and _is_event(request.headers):
            return _answer(_take_event(server, request.headers, body))
        return _answer(api.handle(HttpRequest(method=request.method, path=request.path, body=body)))

    return handle


def cloud_event_function(server: ModelServer) -> Callable[[CloudEvent], None]:
    """Return a function that takes a bucket's events, for ``functions_framework.cloud_event``.

    An object that was written, and by which another model may be served, makes the server
    look. A refresh that fails is raised, so that the event is sent again.
    """

    def handle(event: CloudEvent) -> None:
        if event["type"] == _FINALIZED:
            _take_object(server, event.data)

    return handle


def _is_event(headers: Headers) -> bool:
    # CloudEvents, "HTTP Protocol Binding": binary and structured mode.
    return bool(headers.get("ce-type", "")) or headers.get("Content-Type", "").startswith(
        _STRUCTURED
    )


def _take_event(server: ModelServer, headers: Headers, body: bytes) -> HttpResponse:
    try:
        document = parse_body(body)
        kind: Any = headers.get("ce-type", "")
        data = document
        if not kind:
            kind, data = _parts(document)
        is_other = kind == _FINALIZED and _take_object(server, data)
    except ArgumentError as error:
        return bad_request(error)
    except RemoteModelsError as error:
        return error_response(HTTPStatus.SERVICE_UNAVAILABLE, error.summary)
    return json_response(HTTPStatus.OK, {"swapped": is_other})


def _parts(document: Any) -> tuple[Any, Any]:
    if not isinstance(document, Mapping):
        raise ArgumentError("not a CloudEvent", where="body")
    return document.get("type"), document.get("data")


def _take_object(server: ModelServer, data: Any) -> bool:
    """Look for another version if the object says which one is served."""
    if not isinstance(data, Mapping):
        raise ArgumentError("not an event of Cloud Storage", where="data")
    if f"gs://{data.get('bucket')}/{data.get('name')}" not in server.watched:
        return False
    return server.refresh()


def _answer(response: HttpResponse) -> Answer:
    return response.body, response.status, dict(response.headers)
