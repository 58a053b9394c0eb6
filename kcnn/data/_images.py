"""One image file to pixels: every mode Pillow reads becomes uint8 with one or three channels."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from kcnn.data._record import DataError

__all__ = ["SUFFIXES", "Header", "read_header", "read_image"]

SUFFIXES = frozenset(
    f".{kind}"
    for kind in ("bmp", "gif", "jpeg", "jpg", "pbm", "pgm", "png", "ppm", "tif", "tiff", "webp")
)
_ORIENTATION = 0x0112  # EXIF tag; values 5 to 8 swap height and width
_GRAY = ("1", "L", "LA", "La", "I", "F")  # and every I;16 variant

Header = tuple[int, int, bool]  # height and width as shown, and whether there is colour


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The open image; whatever its decoder raises becomes a DataError that names the file."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of harmless oddities in metadata
            with Image.open(path) as image:
                yield image
    except DataError:
        raise
    except Exception as error:  # decoders of broken files raise nearly every kind
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{path}: unreadable or truncated image ({reason}); repair or remove the file."
        ) from error


def _has_colour(image: Any) -> bool:
    if image.mode == "P":
        palette = np.asarray(image.getpalette() or [], np.uint8).reshape(-1, 3)
        return bool((palette != palette[:, :1]).any())
    return not (image.mode in _GRAY or image.mode.startswith("I;16"))


def read_header(path: Path) -> Header:
    """Size and colour of an image without decoding its pixels."""
    with _opened(path) as image:
        width, height = image.size
        if image.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8):
            height, width = width, height
        return height, width, _has_colour(image)


def _to_eight_bits(image: Any, path: Path) -> tuple[Any, str | None]:
    """Integer images of 16 bits, 0..65535, and float images, 0..255, as mode L."""
    from PIL import Image

    if image.mode == "F":
        pixels, top, factor, said = np.asarray(image), 255.0, 1.0, None
    elif image.mode.startswith("I"):
        pixels, top, factor, said = np.asarray(image), 65535.0, 257.0, "16 bits scaled to 8"
    else:
        return image, None
    if not (np.isfinite(pixels).all() and pixels.min() >= 0 and pixels.max() <= top):
        raise DataError(
            f"{path}: pixels of mode {image.mode} lie outside 0..{top:.0f}; save it as an "
            "8-bit image."
        )
    return Image.fromarray(np.rint(pixels / factor).astype(np.uint8)), said


def read_image(
    path: Path, size: tuple[int, int], channels: int
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Pixels (*size, channels), uint8, and remarks on what was done beyond decoding.

    Turned as its EXIF orientation says; transparent pixels show white; CMYK, palettes and the like
    become RGB; 16 bits become 8; the first frame of an animation is taken. Resizing is bilinear and
    anti-aliased. DataError naming the file if it can't be decoded.
    """
    from PIL import Image, ImageOps

    remarks = []
    with _opened(path) as image:
        if image.getexif().get(_ORIENTATION, 1) not in (0, 1):
            remarks.append("turned as the EXIF orientation says")
        image.draft(None, (2 * max(size), 2 * max(size)))  # a large JPEG is decoded at a fraction
        picture, said = _to_eight_bits(ImageOps.exif_transpose(image), path)
        if said:
            remarks.append(said)
        mode = "L" if channels == 1 else "RGB"
        if picture.mode in ("LA", "La", "RGBA", "RGBa", "PA") or "transparency" in picture.info:
            picture = picture.convert("RGBA")
            if picture.getextrema()[3][0] < 255:
                remarks.append("transparent pixels put on white")
            white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
            picture = Image.alpha_composite(white, picture)
        if picture.mode != mode:
            picture = picture.convert(mode)
        if picture.size != (size[1], size[0]):
            picture = picture.resize((size[1], size[0]), Image.Resampling.BILINEAR)
        return np.asarray(picture, np.uint8).reshape(*size, channels), tuple(remarks)
