"""Pictures out of a `multipart/form-data` body (RFC 7578)."""

from __future__ import annotations

import re

from kcnn_server.errors import BadRequest

__all__ = ["form_files"]

MOST_PARTS = 1024  # of one body
MOST_HEADER = 8192  # bytes before the content of a part
_BOUNDARY = re.compile(rb';\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE)
_IS_FILE = re.compile(
    rb"^content-disposition:[^\r\n]*;[ \t]*filename\*?[ \t]*=", re.IGNORECASE | re.MULTILINE
)


def form_files(body: bytes, content_type: bytes) -> list[bytes]:
    """The contents of the parts that carry a file, in their order."""
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise BadRequest("multipart/form-data without a boundary.")
    delimiter = b"\r\n--" + (found[1] or found[2])
    _, *parts = (b"\r\n" + body).split(delimiter, MOST_PARTS + 2)
    if not parts:
        raise BadRequest("The multipart body cannot be read: it does not hold its boundary.")
    files = []
    for number, part in enumerate(parts):
        if part.startswith(b"--"):
            break
        if number == MOST_PARTS:
            raise BadRequest(f"More than {MOST_PARTS} parts in one body.")
        head, blank, content = part.partition(b"\r\n\r\n")
        if not blank or len(head) > MOST_HEADER or head.split(b"\r\n", 1)[0].strip(b" \t"):
            raise BadRequest(
                "The multipart body cannot be read: a part without its header, or one of more "
                f"than {MOST_HEADER} bytes."
            )
        if _IS_FILE.search(head):
            files.append(content)
    else:
        raise BadRequest("The multipart body ends before its last boundary.")
    if not files:
        raise BadRequest('No file in the form; send pictures like `curl -F "image=@picture.jpg"`.')
    return files
