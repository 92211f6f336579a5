"""The REST interface by each of its ways: Lambda, Cloud Run, ASGI."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import flask
import httpx
import pytest
import snapshot_restore_py

from remote_models.errors import IntegrityError
from remote_models.serving import (
    ModelServer,
    asgi_app,
    cloud_event_function,
    http_function,
    lambda_handler,
)
from remote_models.storage import Location
from serving.models import damage, save_next

Ask = Callable[[str, str, bytes], tuple[int, Any]]

REQUEST = b'{"instances": [[1, 2], [NaN, Infinity]]}'


@pytest.fixture
def root(memory_base: Location) -> Location:
    return memory_base.join("digits")


@pytest.fixture
def server(root: Location) -> Iterator[ModelServer]:
    save_next(root)
    with ModelServer(root.url) as made:
        yield made


def by_format_1(server: ModelServer) -> Ask:
    handler = lambda_handler(server, max_bytes=1000)

    def ask(method: str, path: str, body: bytes) -> tuple[int, Any]:
        event = {
            "httpMethod": method, "path": path, "requestContext": {"stage": "prod"},
            "body": body.decode(), "isBase64Encoded": False,
        }  # fmt: skip
        answer = handler(event, None)
        return answer["statusCode"], json.loads(answer["body"])

    return ask


def by_format_2(server: ModelServer) -> Ask:
    handler = lambda_handler(server, max_bytes=1000)

    def ask(method: str, path: str, body: bytes) -> tuple[int, Any]:
        event = {
            "version": "2.0", "rawPath": f"/prod{path}",
            "requestContext": {"stage": "prod", "http": {"method": method}},
            "body": base64.b64encode(body).decode(), "isBase64Encoded": True,
        }  # fmt: skip
        answer = handler(event, None)
        assert answer["headers"]["Content-Type"] == "application/json"
        return answer["statusCode"], json.loads(answer["body"])

    return ask


def by_flask(server: ModelServer) -> Ask:
    function = http_function(server, max_bytes=1000)
    app = flask.Flask(__name__)

    def ask(method: str, path: str, body: bytes) -> tuple[int, Any]:
        with app.test_request_context(path, method=method, data=body):
            answer, status, _headers = function(flask.request)
        return status, json.loads(answer)

    return ask


def by_asgi(server: ModelServer) -> Ask:
    app: Any = asgi_app(server, max_bytes=1000)

    async def send(method: str, path: str, body: bytes) -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://model") as client:
            return await client.request(method, path, content=body)

    def ask(method: str, path: str, body: bytes) -> tuple[int, Any]:
        answer = asyncio.run(send(method, path, body))
        return answer.status_code, json.loads(answer.content)

    return ask


@pytest.fixture(params=[by_format_1, by_format_2, by_flask, by_asgi])
def ask(server: ModelServer, request: pytest.FixtureRequest) -> Ask:
    made: Ask = request.param(server)
    return made


@pytest.mark.parametrize(
    "path",
    ["/", "/predict", "/v1/models/digits:predict", "/v1/models/digits/versions/1:predict",
     "/v1/models/digits/labels/latest:predict"],
)  # fmt: skip
def test_predicts(ask: Ask, path: str) -> None:
    status, answer = ask("POST", path, REQUEST)
    assert status == 200
    assert json.dumps(answer) == '{"predictions": [[2.0, 3.0], [NaN, Infinity]]}'


@pytest.mark.parametrize(
    ("asked", "status", "told"),
    [
        (("POST", "/", b"{"), 400, "not JSON"),
        (("POST", "/", b'{"instances": [[1]]}'), 400, "expected [?, 2], found [1, 1]"),
        (("POST", "/", b"1" * 1001), 413, "more than 1000 bytes"),
        (("GET", "/", b""), 405, "POST"),
        (("POST", "/health", b""), 405, "GET"),
        (("GET", "/elsewhere", b""), 404, "/elsewhere"),
        (("POST", "/v1/models/other:predict", REQUEST), 404, "no model 'other'"),
        (("POST", "/v1/models/digits:classify", REQUEST), 404, "classify"),
        (("POST", "/v1/models/digits/versions/2:predict", REQUEST), 404, "not served"),
        (("POST", "/v1/models/digits/labels/old:predict", REQUEST), 404, "not served"),
        (("GET", "/v1/models/digits:predict", b""), 405, "POST"),
    ],
)
def test_refuses(ask: Ask, asked: tuple[str, str, bytes], status: int, told: str) -> None:
    found, answer = ask(*asked)
    assert (found, set(answer)) == (status, {"error"})
    assert told in answer["error"]


def test_tells_status_and_signature(ask: Ask) -> None:
    assert ask("GET", "/health", b"") == (200, {"status": "ok"})
    status, answer = ask("GET", "/ready", b"")
    assert (status, answer["version"], answer["runtime"]) == (200, 1, "onnx")
    assert answer["load_seconds"] > 0
    versions = ask("GET", "/v1/models/digits", b"")[1]["model_version_status"]
    assert [(each["version"], each["state"]) for each in versions] == [("1", "AVAILABLE")]
    metadata = ask("GET", "/v1/models/digits/metadata", b"")[1]
    assert metadata["model_spec"] == {"name": "digits", "signature_name": "", "version": "1"}
    signature = metadata["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["inputs"]["x"]["dtype"] == "DT_FLOAT"
    sizes = [each["size"] for each in signature["inputs"]["x"]["tensor_shape"]["dim"]]
    assert sizes == ["-1", "2"]


def test_a_closed_server_is_not_ready(server: ModelServer) -> None:
    ask = by_flask(server)
    server.close()
    assert ask("GET", "/ready", b"")[0] == 503
    assert ask("GET", "/health", b"")[0] == 200


def test_lambda_takes_a_document_by_itself(server: ModelServer) -> None:
    handler = lambda_handler(server)
    assert handler({"instances": [[1, 2]]}, None) == {"predictions": [[2.0, 3.0]]}
    assert "not a request" in handler([], None)["error"]
    assert "not a request" in handler({"requestContext": {}}, None)["error"]


def test_lambda_takes_no_body_that_is_no_base64(server: ModelServer) -> None:
    event = {
        "httpMethod": "POST", "path": "/", "requestContext": {}, "body": "?",
        "isBase64Encoded": True,
    }  # fmt: skip
    assert lambda_handler(server)(event, None)["statusCode"] == 400


@pytest.fixture
def _no_hooks() -> Iterator[None]:
    registries = (
        snapshot_restore_py._before_snapshot_registry,
        (snapshot_restore_py._after_restore_registry),
    )
    before = [list(each) for each in registries]
    for each in registries:
        each.clear()
    yield
    for each, old in zip(registries, before, strict=True):
        each[:] = old


@pytest.mark.usefixtures("_no_hooks")
def test_a_snapshot_holds_a_model_that_has_predicted(server: ModelServer, root: Location) -> None:
    lambda_handler(server)
    ((before, arguments, _),) = snapshot_restore_py.get_before_snapshot()
    ((after, none, _),) = snapshot_restore_py.get_after_restore()
    before(*arguments)
    assert server.status.predictions.count == 1
    save_next(root)
    after(*none)
    assert server.status.model.version == 2


def event_of(root: Location, name: str, kind: str = "finalized") -> dict[str, Any]:
    bucket, _, folder = root.path.partition("/")
    return {
        "type": f"google.cloud.storage.object.v1.{kind}",
        "data": {"bucket": bucket, "name": f"{folder}/{name}"},
    }


class Event(dict[str, Any]):
    """As ``cloudevents.http.CloudEvent``: attributes by index, data beside them."""

    @property
    def data(self) -> Any:
        return self["data"]


@pytest.fixture
def of_gcs(server: ModelServer, monkeypatch: pytest.MonkeyPatch, root: Location) -> ModelServer:
    """A server that believes to read from GCS."""
    bucket, _, folder = root.path.partition("/")
    monkeypatch.setattr(ModelServer, "watched", [f"gs://{bucket}/{folder}/aliases/latest.json"])
    return server


def test_the_bucket_tells_of_another_version(of_gcs: ModelServer, root: Location) -> None:
    handle = cloud_event_function(of_gcs)
    save_next(root)
    for other in (
        event_of(root, "2/manifest.json"),
        event_of(root, "aliases/latest.json", "deleted"),
    ):
        handle(Event(other))
    assert of_gcs.status.model.version == 1
    handle(Event(event_of(root, "aliases/latest.json")))
    assert of_gcs.status.model.version == 2
    save_next(root)
    damage(root.join("3"))
    with pytest.raises(IntegrityError):
        handle(Event(event_of(root, "aliases/latest.json")))
    assert of_gcs.status.model.version == 2


@pytest.mark.parametrize("is_binary", [True, False])
def test_events_come_by_http(of_gcs: ModelServer, root: Location, is_binary: bool) -> None:
    function = http_function(of_gcs)
    event = event_of(root, "aliases/latest.json")
    headers = {"ce-type": event["type"]} if is_binary else {}
    kind = "application/json" if is_binary else "application/cloudevents+json"
    body = json.dumps(event["data"] if is_binary else event)
    app = flask.Flask(__name__)

    def send(text: str) -> tuple[int, Any]:
        with app.test_request_context(
            "/", method="POST", data=text, headers=headers, content_type=kind
        ):
            answer, status, _headers = function(flask.request)
        return status, json.loads(answer)

    assert send(body) == (200, {"swapped": False})
    save_next(root)
    assert send(body) == (200, {"swapped": True})
    assert send("[1]")[0] == 400
    assert send("{")[0] == 400
    save_next(root)
    damage(root.join("3"))
    status, answer = send(body)
    assert (status, set(answer)) == (503, {"error"})


def test_a_long_body_is_not_read_to_its_end(server: ModelServer) -> None:
    class Request:
        method, path = "POST", "/"
        headers: ClassVar[dict[str, str]] = {}
        stream = io.BytesIO(b"1" * 10_000)

    assert http_function(server, max_bytes=100)(Request())[1] == 413
    assert Request.stream.tell() == 101


def test_asgi_closes_with_its_server(server: ModelServer) -> None:
    app = asgi_app(server)
    messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    sent: list[Any] = []

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    asyncio.run(app({"type": "lifespan"}, receive, send))
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert server.is_closed
    with pytest.raises(NotImplementedError):
        asyncio.run(app({"type": "websocket"}, receive, send))
