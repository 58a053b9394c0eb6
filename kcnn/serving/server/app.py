"""The ASGI application: predictions by the shortest way, everything else by FastAPI."""

from __future__ import annotations

import asyncio
import hmac
import re
import time
from collections.abc import Callable
from typing import Any

from kcnn_server.errors import CLOSE, BadRequest, Busy, HTTPError, NotFound, TooLarge
from kcnn_server.logs import log
from kcnn_server.metrics import Metrics
from kcnn_server.predict import Predictor
from kcnn_server.settings import Settings
from kcnn_server.tensors import to_json
from kcnn_server.versions import Versions

__all__ = ["App"]

POST_PATH = re.compile(
    r"/v1/models/([^/:]+)(?:/versions/([0-9]{1,18})|/labels/([^/:]+))?:(predict|classify|regress)"
)
JSON = (b"content-type", b"application/json")


class ClientGone(Exception):
    """The client closed the connection before its request was whole."""


class Held:
    """How many bytes a request holds."""

    bytes = 0


class App:
    """Called by uvicorn for every request."""

    def __init__(
        self,
        settings: Settings,
        versions: Versions,
        predictor: Predictor,
        metrics: Metrics,
        others: Callable[..., Any],
    ):
        self._settings, self._versions = settings, versions
        self._predictor, self._metrics, self._others = predictor, metrics, others
        self._key = settings.api_key.encode()
        self._buffered = 0  # bytes of all bodies that are being read or answered

    async def __call__(self, scope: dict, receive: Callable, send: Callable) -> None:
        if scope["type"] != "http":
            return
        started = time.perf_counter()
        path = scope["path"]
        match = POST_PATH.fullmatch(path)
        if match is None or scope["method"] != "POST":
            await self._other(scope, receive, send, started)
            return
        endpoint = "predict" if match[4] == "predict" else "classify"
        try:
            body = await self._post(scope, receive, match)
            code, headers = 200, ()
        except HTTPError as error:
            code, body, headers = error.code, to_json({"error": error.message}), error.headers
        except ClientGone:
            self._done(scope, endpoint, 499, started)
            return
        except Exception as error:  # a fault of ours: told in the log, not to the client
            log("internal_error", path=path, error=repr(error)[:1000])
            code, body, headers = 500, b'{"error":"Internal error; see the server\'s log."}', ()
        self._done(scope, endpoint, code, started)  # before the client can ask for the count
        await send_json(send, code, body, headers)

    async def _post(self, scope: dict, receive: Callable, match: re.Match) -> bytes:
        length, content_type, authorized = -1, b"", not self._key
        for name, value in scope["headers"]:
            if name == b"content-type":
                content_type = value
            elif name == b"content-length":
                length = int(value)
            elif not authorized:
                authorized = self._opens(name, value)
        if not authorized:
            raise Unauthorized(close=True)
        name, version, label, method = match.groups()
        if name != self._settings.name:
            raise NotFound(f"Servable not found for request: Latest({name[:100]})")
        if length > self._settings.max_body:
            raise self._too_large()
        number = int(version) if version else None
        while not (model := self._versions.find(number, label)).acquire():
            await asyncio.sleep(0)  # replaced since it was found
        held = Held()
        try:
            body = await self._body(receive, held)
            if method == "predict":
                return await self._predictor.predict(model, body, content_type)
            if method == "classify":
                return await self._predictor.classify(model, body)
            raise BadRequest("This model has no regression signature.")
        finally:
            self._buffered -= held.bytes
            model.release()

    def _too_large(self) -> TooLarge:
        most = self._settings.max_body
        return TooLarge(f"The request's body is larger than {most} bytes.", headers=(CLOSE,))

    async def _body(self, receive: Callable, held: Held) -> bytes:
        """The whole body; what has arrived of all bodies together is bounded, too."""
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] != "http.request":
                raise ClientGone
            piece = message["body"]
            held.bytes += len(piece)
            self._buffered += len(piece)
            if held.bytes > self._settings.max_body:
                raise self._too_large()
            if self._buffered > self._settings.max_buffered:
                text = "Too many bytes of requests are being read; try again later."
                raise Busy(text, seconds=1, close=message["more_body"])
            if not body and not message["more_body"]:
                return piece  # the usual case: no copy
            body += piece
            if not message["more_body"]:
                return bytes(body)

    async def _other(self, scope: dict, receive: Callable, send: Callable, started: float) -> None:
        """What FastAPI answers, counted and, where a key is asked for, closed without it."""
        endpoint = endpoint_of(scope["path"])

        async def counted(message: dict) -> None:
            if message["type"] == "http.response.start":
                self._done(scope, endpoint, message["status"], started)
            await send(message)

        open_to_all = endpoint in ("health", "page")
        if self._key and not open_to_all and not any(self._opens(*h) for h in scope["headers"]):
            error = Unauthorized(close=False)
            await send_json(counted, error.code, to_json({"error": error.message}), error.headers)
        else:
            await self._others(scope, receive, counted)

    def _opens(self, name: bytes, value: bytes) -> bool:
        """Whether the header carries the key."""
        if name == b"authorization" and value[:7].lower() == b"bearer ":
            return hmac.compare_digest(value[7:].strip(), self._key)
        return name == b"x-api-key" and hmac.compare_digest(value, self._key)

    def _done(self, scope: dict, endpoint: str, code: int, started: float) -> None:
        seconds = time.perf_counter() - started
        self._metrics.request(endpoint, code)
        if endpoint == "predict":
            self._metrics.observe("kcnn_request_seconds", seconds)
        if self._settings.access_log:
            log(
                "request",
                method=scope["method"],
                path=scope["path"],
                code=code,
                ms=round(1000 * seconds, 3),
                client=scope["client"][0] if scope.get("client") else None,
            )


class Unauthorized(HTTPError):
    code = 401

    def __init__(self, *, close: bool):
        headers = ((b"www-authenticate", b"Bearer"), *((CLOSE,) if close else ()))
        super().__init__(
            "An API key is needed: send it as `Authorization: Bearer KEY` or `X-API-Key: KEY`.",
            headers=headers,
        )


async def send_json(send: Callable, code: int, body: bytes, headers: tuple = ()) -> None:
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": code, "headers": [JSON, length, *headers]})
    await send({"type": "http.response.body", "body": body})


def endpoint_of(path: str) -> str:
    """The word that the metrics count a request under."""
    if path.startswith("/v1/models/"):
        return "metadata" if path.endswith("/metadata") else "status"
    return {"/": "page", "/healthz": "health", "/readyz": "health", "/metrics": "metrics"}.get(
        path, "other"
    )
