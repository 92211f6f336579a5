"""TensorFlow Serving's REST interface, as a function from requests to answers.

TensorFlow Serving's documentation, "RESTful API": the status and the metadata of a model,
and ``:predict``. Beside them ``/health`` and ``/ready``, and ``POST /`` for the only model.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

import numpy as np

from remote_models._fields import shorten
from remote_models.errors import ArgumentError, RemoteModelsError
from remote_models.serving._metadata import metadata_of, status_of
from remote_models.serving._predict import PredictRequest, parse_body
from remote_models.serving._server import ModelServer
from remote_models.serving._status import ServedModel

__all__ = ["DEFAULT_MAX_BYTES", "HttpRequest", "HttpResponse", "RestApi", "bad_request"]

DEFAULT_MAX_BYTES = 16 * 1024 * 1024

_MODEL = re.compile(
    r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
    r"(?P<verb>:[a-z]+|/metadata)?"
)

_PREDICT = ":predict"

_VERBS = {None: "GET", "/metadata": "GET", _PREDICT: "POST"}
"""What can be asked of a model, and with which method."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpRequest:
    """What a client wants.

    Attributes:
        method: ``GET``, ``POST``, …
        path: Percent-encoded, without the query.
        body: What it has sent.
    """

    method: str
    path: str
    body: bytes = b""


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpResponse:
    """What a client gets.

    Attributes:
        status: The HTTP status.
        body: A JSON document, in which ``NaN`` and ``Infinity`` may stand.
        headers: The headers, beside ``Content-Length``.
    """

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class RestApi:
    """Answers requests with a server's model.

    Attributes:
        name: The model's name in URLs: the last part of its URL, without an extension.
        max_bytes: The longest body that is read.
    """

    def __init__(
        self,
        server: ModelServer,
        *,
        name: str | None = None,
        max_bytes: int = DEFAULT_MAX_BYTES,
    ) -> None:
        self.name = name or server.location.name.partition(".")[0]
        self.max_bytes = max_bytes
        self._server = server

    def handle(self, request: HttpRequest) -> HttpResponse:
        """Answer a request. What a client does wrong is told in the answer."""
        try:
            return self._route(request)
        except ArgumentError as error:
            return bad_request(error)
        except RemoteModelsError as error:
            return error_response(HTTPStatus.INTERNAL_SERVER_ERROR, error.summary)

    def predict(self, document: Any) -> tuple[dict[str, Any], float]:
        """Answer a document, and tell the seconds that the model took.

        Raises:
            ArgumentError: it is no request for this model.
        """
        with self._server.use() as model:
            return self._predict(document, model)

    def too_large(self) -> HttpResponse:
        """Return the answer to a body that is longer than ``max_bytes``."""
        return error_response(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body has more than {self.max_bytes} bytes"
        )

    def _route(self, request: HttpRequest) -> HttpResponse:
        path = request.path.rstrip("/") or "/"
        if len(request.body) > self.max_bytes:
            return self.too_large()
        if path in ("/health", "/ready"):
            return _only("GET", request) or self._state(path)
        if path in ("/", "/predict"):
            return _only("POST", request) or self._answer(request.body)
        match = _MODEL.fullmatch(path)
        if match is None:
            return error_response(HTTPStatus.NOT_FOUND, f"there is nothing at {shorten(path)}")
        return self._route_model(request, match)

    def _route_model(self, request: HttpRequest, match: re.Match[str]) -> HttpResponse:
        name, verb = unquote(match["name"]), match["verb"]
        if name != self.name:
            return error_response(HTTPStatus.NOT_FOUND, f"there is no model {shorten(name)}")
        if verb not in _VERBS:
            return error_response(HTTPStatus.NOT_FOUND, f"models do not {shorten(verb[1:])} here")
        return _only(_VERBS[verb], request) or self._answer_of_model(request, match)

    def _answer_of_model(self, request: HttpRequest, match: re.Match[str]) -> HttpResponse:
        with self._server.use() as model:
            if not self._is_asked_for(model, match):
                return error_response(HTTPStatus.NOT_FOUND, "this version is not served")
            if match["verb"] == _PREDICT:
                return _timed(*self._predict(parse_body(request.body), model))
            if match["verb"] is None:
                return json_response(HTTPStatus.OK, status_of(model))
            return json_response(HTTPStatus.OK, metadata_of(self.name, model))

    def _is_asked_for(self, model: ServedModel, match: re.Match[str]) -> bool:
        if match["label"] is not None:
            return unquote(match["label"]) == self._server.alias
        return match["version"] is None or int(match["version"]) == model.version

    def _answer(self, body: bytes) -> HttpResponse:
        return _timed(*self.predict(parse_body(body)))

    def _predict(self, document: Any, model: ServedModel) -> tuple[dict[str, Any], float]:
        request = PredictRequest.parse(document, model.runtime.signature)
        started = time.perf_counter()
        outputs = self._server.run(model, request.inputs)
        seconds = time.perf_counter() - started
        return request.answer({n: np.asarray(each) for n, each in outputs.items()}), seconds

    def _state(self, path: str) -> HttpResponse:
        if path == "/health":
            return json_response(HTTPStatus.OK, {"status": "ok"})
        if self._server.is_closed:
            return error_response(HTTPStatus.SERVICE_UNAVAILABLE, "this server is closed")
        return json_response(HTTPStatus.OK, self._server.status.to_json())


def json_response(
    status: HTTPStatus, document: Any, headers: Mapping[str, str] | None = None
) -> HttpResponse:
    """Return an answer with a JSON document."""
    body = json.dumps(document, separators=(",", ":")).encode()
    return HttpResponse(
        status=int(status),
        body=body,
        headers={"Content-Type": "application/json", **(headers or {})},
    )


def error_response(
    status: HTTPStatus, message: str, headers: Mapping[str, str] | None = None
) -> HttpResponse:
    """Return an answer that says what is wrong, as TensorFlow Serving says it."""
    return json_response(status, {"error": message}, headers)


def bad_request(error: ArgumentError) -> HttpResponse:
    """Return the answer to what a client does wrong."""
    return error_response(HTTPStatus.BAD_REQUEST, str(error))


def _timed(document: Mapping[str, Any], seconds: float) -> HttpResponse:
    # W3C, "Server Timing": milliseconds.
    timing = {"Server-Timing": f"predict;dur={seconds * 1000:.3f}"}
    return json_response(HTTPStatus.OK, document, timing)


def _only(method: str, request: HttpRequest) -> HttpResponse | None:
    allowed = ("GET", "HEAD") if method == "GET" else (method,)
    if request.method in allowed:
        return None
    message = f"this takes {method}, not {shorten(request.method)}"
    allow = {"Allow": ", ".join(allowed)}
    return error_response(HTTPStatus.METHOD_NOT_ALLOWED, message, allow)
