"""What the bytes of an image file say before a pixel is decoded: format, size, colour, soundness.

Read by hand: a header takes about ten microseconds instead of the hundred of an image library, and
files that end too early are noticed without decoding them.
"""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

__all__ = ["MAX_PIXELS", "BadImage", "Header", "read_header"]

MAX_PIXELS = 1 << 27  # 400 MB of colour, more than any camera gives; decoding refuses the same


class BadImage(ValueError):
    """Why a file is no image that can be trained on."""


class Header(NamedTuple):
    """What a file says of itself; height and width as shown upright."""

    height: int
    width: int
    channels: int  # 1 or 3, without transparency
    format: str  # "jpeg", "png", "gif", "bmp" or "webp"
    orientation: int = 1  # as EXIF numbers it; from 5 on the stored image lies on its side
    alpha: bool = False  # pixels may be transparent
    bits: int = 8  # of a channel


_CUT = "truncated: it ends before its pixels do"
_OTHERS = (  # what else files with an image's name turn out to be
    (b"II*\0", "a TIFF image"),
    (b"MM\0*", "a TIFF image"),
    (b"8BPS", "a Photoshop file"),
    (b"%PDF", "a PDF file"),
    (b"\0\0\0\x0cjP", "a JPEG 2000 image"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 image"),
    (b"\0\0\1\0", "an icon"),
    (b"<svg", "an SVG drawing"),
    (b"<!", "a web page"),
    (b"<html", "a web page"),
    (b"version https://git-lfs", "a pointer of Git LFS, not the file itself"),
    (b"P4", "a netpbm image"),
    (b"P5", "a netpbm image"),
    (b"P6", "a netpbm image"),
)


def read_header(data: bytes) -> Header:
    """The header of a whole image file; BadImage with the reason if it can't be trained on."""
    if not data:
        raise BadImage("empty")
    for magic, read in _READERS.items():
        if data.startswith(magic):
            try:
                header = read(data)
            except (IndexError, struct.error) as error:
                raise BadImage(_CUT) from error
            break
    else:
        raise BadImage(_what_else(data))
    if header.height < 1 or header.width < 1:
        raise BadImage(f"broken: it claims {header.height}x{header.width} pixels")
    if header.height * header.width > MAX_PIXELS:
        raise BadImage(
            f"too large: {header.height}x{header.width} pixels unpack to "
            f"{header.height * header.width * 3 / 2**30:.1f} GiB"
        )
    if header.orientation > 4:
        return header._replace(height=header.width, width=header.height)
    return header


def _what_else(data: bytes) -> str:
    for magic, name in _OTHERS:
        if data.startswith(magic):
            return f"{name}; JPEG, PNG, GIF, BMP and WebP are read"
    if data[4:8] == b"ftyp":
        return "a HEIC, AVIF or video file; JPEG, PNG, GIF, BMP and WebP are read"
    return "no image (neither JPEG, PNG, GIF, BMP nor WebP)"


def _jpeg(data: bytes) -> Header:
    at, size, orientation = 2, None, 1
    while True:
        at = data.find(b"\xff", at)
        if at < 0:
            raise BadImage(_CUT)
        marker = data[at + 1]
        if marker in (0x00, 0x01, 0xFF) or 0xD0 <= marker <= 0xD8:  # no segment follows
            at += 1 if marker == 0xFF else 2
            continue
        if marker == 0xD9:
            raise BadImage("broken: a JPEG without pixels")
        start, length = at + 4, struct.unpack_from(">H", data, at + 2)[0]
        if marker == 0xDA:
            break
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            if marker > 0xC2:
                raise BadImage("a lossless or arithmetic JPEG; save it as an ordinary one")
            precision, *size, components = struct.unpack_from(">BHHB", data, start)
            if precision != 8 or components not in (1, 3, 4):
                raise BadImage(f"a JPEG of {precision} bits and {components} components")
        elif marker == 0xE1 and data[start : start + 6] == b"Exif\0\0":
            orientation = _orientation(data[start : at + 2 + length])
        at += 2 + length
    if size is None:
        raise BadImage("broken: a JPEG without a size")
    if data.rfind(b"\xff\xd9") < at:  # no byte of the pixels looks like this end
        raise BadImage(_CUT)
    return Header(size[0], size[1], 1 if components == 1 else 3, "jpeg", orientation)


def _orientation(exif: bytes) -> int:
    """Tag 0x0112 of a TIFF directory, 1 where there is none."""
    exif = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    try:
        if order is None:
            return 1
        (start,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, _, _, value = struct.unpack_from(order + "HHIH", exif, entry)
            if tag == 0x0112:
                return value if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1


def _png(data: bytes) -> Header:
    if data[12:16] != b"IHDR":
        raise BadImage("broken: a PNG without a header")
    width, height, bits, kind = struct.unpack_from(">IIBB", data, 16)
    at, orientation, colour, alpha = 8, 1, kind in (2, 6), kind in (4, 6)
    while True:
        length, name = struct.unpack_from(">I4s", data, at)
        end = at + 8 + length
        (told,) = struct.unpack_from(">I", data, end)
        if name[:1].isupper() and zlib.crc32(data[at + 4 : end]) != told:
            raise BadImage(f"broken: the {name.decode('ascii', 'replace')} part has been changed")
        if name == b"PLTE" and kind == 3:
            colour = _coloured(data[at + 8 : end])
        elif name == b"eXIf":
            orientation = _orientation(data[at + 8 : end])
        elif name == b"tRNS":
            alpha = True
        elif name == b"IEND":
            return Header(height, width, 3 if colour else 1, "png", orientation, alpha, bits)
        at = end + 4


def _coloured(palette: bytes) -> bool:
    return palette[0::3] != palette[1::3] or palette[1::3] != palette[2::3]


def _gif(data: bytes) -> Header:
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    at, palette = 13, b""
    if flags & 0x80:
        palette = data[13 : 13 + 3 * 2 ** ((flags & 7) + 1)]
        at += len(palette)
    while data[at] != 0x2C:  # up to the first frame
        if data[at] == 0x3B:
            raise BadImage("broken: a GIF without a frame")
        at = _after_blocks(data, at + 2)
    flags = data[at + 9]
    at += 10
    if flags & 0x80:
        palette = data[at : at + 3 * 2 ** ((flags & 7) + 1)]
        at += len(palette)
    _after_blocks(data, at + 1)
    return Header(height, width, 3 if _coloured(palette) else 1, "gif")


def _after_blocks(data: bytes, at: int) -> int:
    while data[at]:
        at += data[at] + 1
    return at + 1


def _bmp(data: bytes) -> Header:
    offset, kind = struct.unpack_from("<II", data, 10)
    if kind < 40:
        raise BadImage("a BMP of a kind from before 1990; save it anew")
    width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    if compression or bits not in (8, 24, 32):
        raise BadImage(f"a BMP of {bits} bits, compression {compression}; save it as a PNG")
    if len(data) < offset + (width * bits + 31) // 32 * 4 * abs(height):
        raise BadImage(_CUT)
    colour = bits > 8 or any(
        data[i] != data[i + 1] or data[i] != data[i + 2] for i in range(14 + kind, offset - 3, 4)
    )
    return Header(abs(height), width, 3 if colour else 1, "bmp")


def _webp(data: bytes) -> Header:
    (length,) = struct.unpack_from("<I", data, 4)
    if data[8:12] != b"WEBP":
        raise BadImage("no image (a RIFF file, but no WebP)")
    if len(data) < length + 8:
        raise BadImage(_CUT)
    kind = data[12:16]
    if kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
        return Header(height, width, 3, "webp")
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        height, width = (bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1
        return Header(height, width, 3, "webp", alpha=bool(bits >> 28 & 1))
    if kind != b"VP8X":
        raise BadImage("broken: a WebP of an unknown kind")
    if data[20] & 2:
        raise BadImage("an animated WebP; save one frame as a PNG")
    width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
    at, orientation = 30, 1
    while at + 8 <= min(len(data), length + 8):
        name, size = struct.unpack_from("<4sI", data, at)
        if name == b"EXIF":
            orientation = _orientation(data[at + 8 : at + 8 + size])
        at += 8 + size + size % 2
    return Header(height, width, 3, "webp", orientation, bool(data[20] & 16))


_READERS = {
    b"\xff\xd8": _jpeg,
    b"\x89PNG\r\n\x1a\n": _png,
    b"GIF8": _gif,
    b"BM": _bmp,
    b"RIFF": _webp,
}
