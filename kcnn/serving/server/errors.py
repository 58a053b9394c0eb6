"""What a request is answered when it gets no prediction: TensorFlow Serving's form and codes."""

from __future__ import annotations

__all__ = [
    "CLOSE",
    "BadRequest",
    "Busy",
    "HTTPError",
    "NotFound",
    "TooLarge",
    "TooLate",
    "Unavailable",
]

CLOSE = (b"connection", b"close")  # the rest of the body is not worth waiting for


class HTTPError(Exception):
    """An answer `{"error": message}` with a status code."""

    code = 500

    def __init__(self, message: str, *, headers: tuple[tuple[bytes, bytes], ...] = ()):
        super().__init__(message)
        self.message = message
        self.headers = headers


class BadRequest(HTTPError):
    code = 400  # INVALID_ARGUMENT, FAILED_PRECONDITION


class NotFound(HTTPError):
    code = 404


class TooLarge(HTTPError):
    code = 413


class Busy(HTTPError):
    """The queue is full; `Retry-After` says in how many seconds it will not be."""

    code = 429

    def __init__(self, message: str, *, seconds: int, close: bool = False):
        headers = ((b"retry-after", str(seconds).encode()),)
        super().__init__(message, headers=(*headers, CLOSE) if close else headers)


class Unavailable(HTTPError):
    code = 503


class TooLate(HTTPError):
    code = 504  # DEADLINE_EXCEEDED
