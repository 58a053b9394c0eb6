"""What the first bytes of a file tell, read inside a graph: format, size, orientation."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

__all__ = [
    "BMP",
    "GIF",
    "JPEG",
    "PNG",
    "UNKNOWN",
    "WEBP",
    "bytes_at",
    "exif_orientation",
    "format_of",
    "is_simple_jpeg",
    "number_at",
    "size_of",
]

UNKNOWN, JPEG, PNG, GIF, BMP, WEBP = range(6)

_BLOCKS = 64  # blocks of metadata looked at before the pixels; files have a handful
_ORIENTATION = 0x0112  # the EXIF tag


def bytes_at(data: Any, start: Any, count: int) -> Any:
    """`count` bytes from `start` as int32 (count,), zeros after the end of the data."""
    length = tf.strings.length(data)
    found = tf.strings.substr(data, tf.clip_by_value(start, 0, length), count)
    padded = tf.strings.substr(tf.strings.join([found, "\0" * count]), 0, count)
    return tf.cast(tf.io.decode_raw(padded, tf.uint8), tf.int32)


def number_at(values: Any, start: int, count: int, *, big: bool) -> Any:
    """`count` bytes of int32 `values` as one number; below zero where it exceeds int32."""
    powers = [1 << 8 * place for place in range(count)]
    signed = [power - (1 << 32) if power >= 1 << 31 else power for power in powers]
    weights = tf.constant(signed[::-1] if big else signed, tf.int32)
    return tf.reduce_sum(values[start : start + count] * weights)


def format_of(data: Any) -> Any:
    """Which of the formats the bytes are, int32."""
    head = bytes_at(data, 0, 12)

    def starts(text: bytes, at: int = 0) -> Any:
        return tf.reduce_all(head[at : at + len(text)] == tf.constant(list(text), tf.int32))

    found = tf.constant(UNKNOWN)
    for number, match in (
        (JPEG, starts(b"\xff\xd8\xff")),
        (PNG, starts(b"\x89PNG\r\n\x1a\n")),
        (GIF, starts(b"GIF8")),
        (BMP, starts(b"BM")),
        (WEBP, starts(b"RIFF") & starts(b"WEBP", 8)),
    ):
        found = tf.where(match, number, found)
    return found


def is_simple_jpeg(data: Any) -> Any:
    """Whether the bytes are a JPEG that says at once that it holds no EXIF, as most writers' do.

    A JFIF block of 16 bytes, then the pixels' tables: `exif_orientation` looks no further.
    """
    head = tf.gather(bytes_at(data, 0, 22), [0, 1, 2, 3, 4, 5, 20, 21])
    return tf.reduce_all(head == tf.constant([0xFF, 0xD8, 0xFF, 0xE0, 0, 16, 0xFF, 0xDB]))


def size_of(data: Any, format: int) -> tuple[Any, Any]:
    """(height, width) that the header claims, int32, before EXIF turns the picture."""
    if format == JPEG:
        shape = tf.io.extract_jpeg_shape(data)
        return shape[0], shape[1]
    head = bytes_at(data, 0, 32)

    def number(start: int, count: int, *, big: bool = False) -> Any:
        return number_at(head, start, count, big=big)

    if format == PNG:
        return number(20, 4, big=True), number(16, 4, big=True)
    if format == GIF:
        return number(8, 2), number(6, 2)
    if format == BMP:
        return tf.abs(number(22, 4)), number(18, 4)  # a negative height: rows from the top
    extended = (1 + number(27, 3), 1 + number(24, 3))
    lossy = (number(28, 2) % 2**14, number(26, 2) % 2**14)
    packed = number(21, 4)
    lossless = (
        1 + tf.bitwise.bitwise_and(tf.bitwise.right_shift(packed, 14), 2**14 - 1),
        1 + tf.bitwise.bitwise_and(packed, 2**14 - 1),
    )
    kind = head[15]  # the last letter of VP8X, VP8 and VP8L
    return tuple(
        tf.where(kind == ord("X"), x, tf.where(kind == ord("L"), bits, plain))
        for x, bits, plain in zip(extended, lossless, lossy, strict=True)
    )


def _next_block(data: Any, at: Any, format: int) -> tuple[Any, Any]:
    """(where the EXIF data begins if this block holds it, else -1; where the next one begins).

    Behind the last block before the pixels the next one begins at -1.
    """
    block = bytes_at(data, at, 10)

    def reads(text: bytes, start: int) -> Any:
        return tf.reduce_all(block[start : start + len(text)] == tf.constant(list(text), tf.int32))

    if format == JPEG:
        found = reads(b"\xff\xe1", 0) & reads(b"Exif\0\0", 4)
        size, start = 2 + number_at(block, 2, 2, big=True), at + 10
        more = (block[0] == 0xFF) & ((block[1] // 16 == 0xE) | (block[1] == 0xFE))  # APPn, COM
    elif format == PNG:
        found = reads(b"eXIf", 4)
        size, start = 12 + number_at(block, 0, 4, big=True), at + 8
        more = ~(reads(b"IDAT", 4) | reads(b"IEND", 4))
    else:  # the chunks of WebP
        found = reads(b"EXIF", 0)
        length = number_at(block, 4, 4, big=False)
        size, start = 8 + length + length % 2, at + 8
        more = tf.constant(True)
    ahead = more & (size > 0) & (at + size < tf.strings.length(data))
    return tf.where(found, start, -1), tf.where(ahead, at + size, -1)


def _exif_start(data: Any, format: int) -> Any:
    """Where the EXIF data begins, or -1 without any."""

    def step(tries: Any, start: Any, at: Any) -> tuple[Any, Any, Any]:
        return tries + 1, *_next_block(data, at, format)

    def unfinished(tries: Any, start: Any, at: Any) -> Any:
        return (start < 0) & (at > 0) & (tries < _BLOCKS)

    first = tf.constant({JPEG: 2, PNG: 8, WEBP: 12}[format])
    return tf.while_loop(unfinished, step, (tf.constant(0), tf.constant(-1), first))[1]


def _orientation_at(data: Any, start: Any) -> Any:
    """The orientation 1 to 8 in EXIF data, 1 where it says none."""
    head = bytes_at(data, start, 14)
    prefixed = tf.reduce_all(head[:6] == tf.constant(list(b"Exif\0\0"), tf.int32))
    start = tf.where(prefixed, start + 6, start)  # some writers of PNG and WebP keep JPEG's prefix
    head = bytes_at(data, start, 8)
    big = head[0] == ord("M")

    def number(values: Any, at: int, count: int) -> Any:
        both = (number_at(values, at, count, big=False), number_at(values, at, count, big=True))
        return tf.where(big, both[1], both[0])

    tags = start + number(head, 4, 4)
    count = number(bytes_at(data, tags, 2), 0, 2)
    rows = tf.reshape(bytes_at(data, tags + 2, 12 * _BLOCKS), (_BLOCKS, 12))
    names = tf.where(big, rows[:, 0] * 256 + rows[:, 1], rows[:, 1] * 256 + rows[:, 0])
    values = tf.where(big, rows[:, 8] * 256 + rows[:, 9], rows[:, 9] * 256 + rows[:, 8])
    wanted = (names == _ORIENTATION) & (tf.range(_BLOCKS) < count) & (values <= 8)
    return tf.maximum(1, tf.reduce_max(tf.where(wanted, values, 1)))


def exif_orientation(data: Any, format: int) -> Any:
    """How the picture has to be turned, 1 (not at all) to 8, as EXIF numbers it."""
    if format not in (JPEG, PNG, WEBP):
        return tf.constant(1)
    start = _exif_start(data, format)
    return tf.cond(start > 0, lambda: _orientation_at(data, start), lambda: tf.constant(1))
