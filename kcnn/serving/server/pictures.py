"""The size of an encoded picture, read from its header before anything is decoded."""

from __future__ import annotations

import struct

from kcnn_server.errors import BadRequest, TooLarge

__all__ = ["checked_pixels", "picture_size"]


def checked_pixels(data: bytes, most: int) -> int:
    """How many pixels decoding would make, all frames together; an HTTPError above `most`."""
    try:
        size = picture_size(data)
    except (struct.error, IndexError):
        size = None
    if size is None:
        raise BadRequest(
            f"These {len(data)} bytes are no picture; JPEG, PNG, GIF, BMP and WebP are read."
        )
    width, height, frames = size
    if width < 1 or height < 1:
        raise BadRequest(f"The picture is {width}x{height} pixels.")
    pixels = width * height * frames
    if pixels > most:
        raise TooLarge(
            f"The picture has {width}x{height} pixels{f' in {frames} frames' * (frames > 1)}; "
            f"at most {most:,} are decoded. Send a smaller one."
        )
    return pixels


def picture_size(data: bytes) -> tuple[int, int, int] | None:
    """(width, height, frames), or None for what is none of the five formats."""
    if data[:3] == b"\xff\xd8\xff":
        return _jpeg(data)
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return (*struct.unpack(">II", data[16:24]), 1) if data[12:16] == b"IHDR" else None
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return _gif(data)
    if data[:2] == b"BM":
        width, height = struct.unpack("<ii", data[18:26])
        return width, abs(height), 1
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp(data)
    return None


def _jpeg(data: bytes) -> tuple[int, int, int] | None:
    """Walk over the segments to the first frame header."""
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            at += 1  # decoders skip bytes between segments
            continue
        marker = data[at + 1]
        if marker in (0xFF, 0x00, 0x01) or 0xD0 <= marker <= 0xD9:  # fill bytes; no length
            at += 1 if marker == 0xFF else 2
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height, 1
        at += 2 + max(2, struct.unpack(">H", data[at + 2 : at + 4])[0])
    return None


def _gif(data: bytes) -> tuple[int, int, int] | None:
    """The screen's size, or the largest frame's, and the number of frames."""
    width, height, flags = struct.unpack("<HHB", data[6:11])
    at = 13 + (3 << ((flags & 7) + 1) if flags & 0x80 else 0)
    frames = 0
    while at < len(data) and data[at] != 0x3B:
        if data[at] == 0x21:  # an extension: label, then blocks
            at = _after_blocks(data, at + 2)
        elif data[at] == 0x2C:
            left, top, w, h, local = struct.unpack("<HHHHB", data[at + 1 : at + 10])
            width, height = max(width, left + w), max(height, top + h)
            frames += 1
            at += 10 + (3 << ((local & 7) + 1) if local & 0x80 else 0)
            at = _after_blocks(data, at + 1)
        else:
            break
    return width, height, max(1, frames)


def _after_blocks(data: bytes, at: int) -> int:
    while at < len(data) and data[at]:
        at += 1 + data[at]
    return at + 1


def _webp(data: bytes) -> tuple[int, int, int] | None:
    kind = data[12:16]
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", data[26:30])
        return width & 0x3FFF, height & 0x3FFF, 1
    if kind == b"VP8L":
        bits = struct.unpack("<I", data[21:25])[0]
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, 1
    if kind == b"VP8X":
        width = int.from_bytes(data[24:27], "little") + 1
        height = int.from_bytes(data[27:30], "little") + 1
        return width, height, max(1, data.count(b"ANMF"))
    return None
