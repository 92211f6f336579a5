"""An ASGI application, for uvicorn, hypercorn and their like.

ASGI specification 3.0, "HTTP & WebSocket ASGI Message Format" and "Lifespan Protocol".
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import Any

from remote_models.serving._rest import DEFAULT_MAX_BYTES, HttpRequest, HttpResponse, RestApi
from remote_models.serving._server import ModelServer

__all__ = ["asgi_app"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Coroutine[Any, Any, None]]


def asgi_app(
    server: ModelServer | None = None,
    *,
    name: str | None = None,
    max_bytes: int = DEFAULT_MAX_BYTES,
) -> Application:
    """Return an application with TensorFlow Serving's REST interface.

    Predictions run in threads, and a body is refused as soon as it is too long. When the
    application is shut down, the server is closed. Without arguments it is a factory:
    ``uvicorn --factory remote_models.serving:asgi_app``.

    Args:
        server: The server; by default one that the environment describes.
        name: The model's name in URLs; by default the last part of the model's URL.
        max_bytes: The longest body that is read.
    """
    served = server or ModelServer()
    api = RestApi(served, name=name, max_bytes=max_bytes)

    async def application(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(served, receive, send)
        elif scope["type"] == "http":
            await _send(send, await _answer(api, scope, receive))
        else:
            raise NotImplementedError(f"no {scope['type']} here")

    return application


async def _live(server: ModelServer, receive: Receive, send: Send) -> None:
    while (await receive())["type"] != "lifespan.shutdown":
        await send({"type": "lifespan.startup.complete"})
    server.close()
    await send({"type": "lifespan.shutdown.complete"})


async def _answer(api: RestApi, scope: Message, receive: Receive) -> HttpResponse:
    body = bytearray()
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > api.max_bytes:
            return api.too_large()
    path = scope.get("raw_path") or scope["path"].encode()
    request = HttpRequest(
        method=scope["method"], path=path.partition(b"?")[0].decode("latin-1"), body=bytes(body)
    )
    return await asyncio.to_thread(api.handle, request)


async def _send(send: Send, response: HttpResponse) -> None:
    headers = {**response.headers, "Content-Length": str(len(response.body))}
    await send({
        "type": "http.response.start",
        "status": response.status,
        "headers": [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in headers.items()
        ],
    })  # fmt: skip
    await send({"type": "http.response.body", "body": response.body})
