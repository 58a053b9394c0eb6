"""Headers read by hand, against Pillow, and files that are no images."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from kcnn.data._headers import MAX_PIXELS, BadImage, read_header


def pixels(mode="RGB", size=(21, 34), seed=0):
    rgb = np.random.default_rng(seed).integers(0, 256, (*size, 3)).astype(np.uint8)
    return Image.fromarray(rgb).convert(mode)


def saved(image, format, **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def turned(value):
    exif = Image.Exif()
    exif[0x010F] = "a maker whose name comes first"
    exif[0x0112] = value
    return {"exif": exif}


GOOD = {
    "jpeg": (saved(pixels(), "JPEG"), 3),
    "progressive": (saved(pixels(), "JPEG", progressive=True), 3),
    "gray jpeg": (saved(pixels("L"), "JPEG"), 1),
    "cmyk": (saved(pixels("CMYK"), "JPEG"), 3),
    "png": (saved(pixels(), "PNG"), 3),
    "gray png": (saved(pixels("L"), "PNG"), 1),
    "one bit": (saved(pixels("1"), "PNG"), 1),
    "alpha": (saved(pixels("RGBA"), "PNG"), 3),
    "gray alpha": (saved(pixels("LA"), "PNG"), 1),
    "palette": (saved(pixels("P"), "PNG"), 3),
    "gray palette": (saved(pixels("L").convert("P"), "PNG"), 1),
    "gif": (saved(pixels("P"), "GIF"), 3),
    "gray gif": (saved(pixels("L"), "GIF"), 1),
    "moving gif": (
        saved(pixels("P"), "GIF", save_all=True, append_images=[pixels("P", seed=1)]),
        3,
    ),
    "bmp": (saved(pixels(), "BMP"), 3),
    "gray bmp": (saved(pixels("L"), "BMP"), 1),
    "palette bmp": (saved(pixels("P"), "BMP"), 3),
    "webp": (saved(pixels(), "WEBP"), 3),
    "lossless webp": (saved(pixels(), "WEBP", lossless=True), 3),
    "clear webp": (saved(pixels("RGBA"), "WEBP"), 3),
    "lossless clear webp": (saved(pixels("RGBA"), "WEBP", lossless=True), 3),
    **{f"jpeg turned {i}": (saved(pixels(), "JPEG", **turned(i)), 3) for i in range(1, 9)},
    "png turned": (saved(pixels(), "PNG", **turned(6)), 3),
    "webp turned": (saved(pixels(), "WEBP", **turned(8)), 3),
}


@pytest.mark.parametrize("name", GOOD)
def test_size_colour_and_orientation_are_those_that_pillow_finds(name):
    data, channels = GOOD[name]
    found = read_header(data)
    with Image.open(io.BytesIO(data)) as image:
        orientation = image.getexif().get(0x0112, 1)
        width, height = image.size
        if orientation > 4:
            width, height = height, width
        assert found[:3] == (height, width, channels)
        assert found.format == image.format.lower()
        assert found.orientation == orientation
        assert found.alpha == (image.mode in ("RGBA", "LA"))


def test_deep_and_transparent_palette_images_are_told():
    deep = Image.fromarray(np.arange(64, dtype=np.uint16).reshape(8, 8) * 1000)
    assert read_header(saved(deep, "PNG")).bits == 16
    assert read_header(saved(pixels("P"), "PNG", transparency=3)).alpha


@pytest.mark.parametrize("name", GOOD)
def test_a_file_cut_off_anywhere_is_refused(name):
    """What ends before the pixels of its first frame do; a GIF may end in a later frame."""
    data, _ = GOOD[name]
    ends = len(data) // 2 if name == "moving gif" else len(data) - 5
    for length in sorted({1, 2, 3, 9, 16, 20, 25, 29, ends // 3, ends // 2, ends * 4 // 5, ends}):
        with pytest.raises(BadImage):
            read_header(data[: min(length, ends)])


def test_random_bytes_after_a_right_beginning_never_do_worse_than_a_refusal():
    rng = np.random.default_rng(0)
    for name in ("jpeg", "png", "gif", "bmp", "webp", "jpeg turned 6"):
        data, _ = GOOD[name]
        for _ in range(300):
            start = int(rng.integers(2, 40))
            junk = bytearray(data)
            junk[start : start + 8] = rng.bytes(8)
            try:
                found = read_header(bytes(junk))
            except BadImage:
                continue
            assert found.height > 0
            assert found.height * found.width <= MAX_PIXELS


def huge_png():
    data = bytearray(GOOD["png"][0])
    data[16:24] = struct.pack(">II", 60_000, 60_000)
    import zlib

    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


def changed_png():
    data = bytearray(GOOD["png"][0])
    data[60] ^= 255
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty"),
        (b"hello, I am a text", "no image"),
        (b"<!doctype html><title>404</title>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"),
        (saved(pixels(), "TIFF"), "a TIFF image"),
        (saved(pixels(), "PPM"), "a netpbm image"),
        (b"\0\0\0\x18ftypheic" + bytes(20), "HEIC"),
        (b"RIFF\x24\0\0\0WAVEfmt " + bytes(30), "no WebP"),
        (huge_png(), r"too large: 60000x60000 pixels unpack to 10\.1 GiB"),
        (changed_png(), "broken: the IDAT part has been changed"),
        (
            saved(pixels(), "WEBP", save_all=True, append_images=[pixels(seed=1)]),
            "an animated WebP",
        ),
        (saved(pixels("1"), "BMP"), "a BMP of 1 bits"),
    ],
)
def test_what_cannot_be_trained_on_is_refused_with_the_reason(data, why):
    with pytest.raises(BadImage, match=why) as caught:
        read_header(data)
    assert "\n" not in str(caught.value)
