"""Pictures out of a `multipart/form-data` body."""

from __future__ import annotations

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from kcnn_server.errors import BadRequest

__all__ = ["form_files"]

MOST_PARTS = 1024  # of one body


def form_files(body: bytes, content_type: bytes) -> list[bytes]:
    """The contents of the parts that carry a file, in their order."""
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if not boundary:
        raise BadRequest("multipart/form-data without a boundary.")
    form = _Form()
    parser = MultipartParser(
        boundary,
        {
            "on_part_begin": form.begin,
            "on_header_field": form.field,
            "on_header_value": form.value,
            "on_header_end": form.header_end,
            "on_headers_finished": form.headers_finished,
            "on_part_data": form.data,
            "on_end": form.end,
        },
    )
    try:
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise BadRequest(f"The multipart body cannot be read: {error}") from error
    if not form.ended:
        raise BadRequest("The multipart body ends before its last boundary.")
    if not form.files:
        raise BadRequest('No file in the form; send pictures like `curl -F "image=@picture.jpg"`.')
    return [bytes(file) for file in form.files]


class _Form:
    """What the parser has told so far."""

    def __init__(self) -> None:
        self.files: list[bytearray] = []
        self.ended = False
        self._parts = 0
        self._in_file = False
        self._name = self._text = self._disposition = b""

    def begin(self) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise BadRequest(f"More than {MOST_PARTS} parts in one body.")
        self._in_file = False
        self._name = self._text = self._disposition = b""

    def field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def value(self, data: bytes, start: int, end: int) -> None:
        self._text += data[start:end]

    def header_end(self) -> None:
        if self._name.lower() == b"content-disposition":
            self._disposition = self._text
        self._name = self._text = b""

    def headers_finished(self) -> None:
        _, fields = parse_options_header(self._disposition)
        self._in_file = b"filename" in fields
        if self._in_file:
            self.files.append(bytearray())

    def data(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            self.files[-1] += data[start:end]

    def end(self) -> None:
        self.ended = True
