"""HTTP/1.1 with limits: uvicorn's protocol, which by itself waits for ever and reads any header.

A request must arrive whole within a time, its header within a size, and there is a largest
number of connections. A client that closes its half of the connection still gets its answer.
"""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from kcnn_server.settings import Settings

__all__ = ["make_protocol"]


def make_protocol(settings: Settings) -> type[HttpToolsProtocol]:
    """The protocol class for uvicorn, with the limits of `settings`."""

    class Protocol(LimitedProtocol):
        limits = settings

    return Protocol


class LimitedProtocol(HttpToolsProtocol):
    limits: Settings
    arriving_since: float | None = None  # the loop's time of the first byte of a request
    _header_left = 0
    _in_header = True
    _last_request = False  # the server is going down; this connection ends with its request

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._header_left = self.limits.max_header
        self.arriving_since = self.loop.time()  # a connection that says nothing is closed too
        if len(self.connections) > self.limits.max_connections:
            self.refuse(503, "Too many connections; try again later.")

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._in_header:
            if self.arriving_since is None:
                self.arriving_since = self.loop.time()
            if data.find(b"\r\n\r\n", 0, self._header_left) < 0:  # no end of it yet
                self._header_left -= len(data)
            if self._header_left < 0:
                self.refuse(431, f"The header is larger than {self.limits.max_header} bytes.")
                return
        super().data_received(data)

    def on_headers_complete(self) -> None:
        self._in_header = False
        super().on_headers_complete()
        if self._last_request and self.cycle is not None:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        self._in_header = True
        self._header_left = self.limits.max_header
        self.arriving_since = None
        super().on_message_complete()

    def eof_received(self) -> Any:  # uvicorn says None, asyncio a boolean
        """Whether to keep the other half open, for the answer that is still to be sent."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete or self.arriving_since is not None:
            return False
        cycle.keep_alive = False
        return True

    def shutdown(self) -> None:
        """Close when idle; a request that has begun to arrive is still answered."""
        begun = not self._in_header or self._header_left < self.limits.max_header
        if begun and not self.transport.is_closing():
            self._last_request = True
            if not self._in_header:
                self.cycle.keep_alive = False
        else:
            super().shutdown()

    def send_400_response(self, msg: str) -> None:
        self.refuse(400, msg)

    def expire(self, now: float) -> None:
        """Close the connection if its request takes too long to arrive."""
        since = self.arriving_since
        if since is not None and now - since > self.limits.receive_s:
            self.refuse(408, f"The request did not arrive within {self.limits.receive_s:g} s.")

    def refuse(self, code: int, message: str) -> None:
        """Answer without the application, unless it is answering already, and close."""
        if self.transport.is_closing():
            return
        cycle = self.cycle
        if cycle is None or cycle.response_complete or not cycle.response_started:
            body = f'{{"error":"{message}"}}'.encode()
            head = (
                f"HTTP/1.1 {code} {_REASONS[code]}\r\ncontent-type: application/json\r\n"
                f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
            )
            self.transport.write(head.encode() + body)
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()
        self.transport.close()


_REASONS = {
    400: "Bad Request",
    408: "Request Timeout",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}
