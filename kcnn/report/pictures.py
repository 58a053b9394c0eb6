"""Arrays of pixels as data URIs."""

import base64
import io

import numpy as np
from PIL import Image

__all__ = ["data_uri"]

THUMBNAIL = 160  # pixels, the longer side of a large image
LOSSY_FROM = 48  # pixels: photographs of this size and more go as JPEG, a tenth of PNG's bytes


def data_uri(image: np.ndarray) -> str:
    """A data URI of pixels 0..255 (h, w, c): gray, RGB, RGBA, others by channel 0."""
    pixels = np.clip(np.nan_to_num(image), 0, 255).astype(np.uint8)
    if pixels.shape[-1] not in (3, 4):
        pixels = pixels[..., 0]
    picture = Image.fromarray(pixels)
    if max(picture.size) > THUMBNAIL:
        picture.thumbnail((THUMBNAIL, THUMBNAIL))
    if min(picture.size) >= LOSSY_FROM and picture.mode in ("L", "RGB"):
        return _encoded(picture, "JPEG", quality=80)
    return _encoded(picture, "PNG", optimize=True)


def _encoded(picture: Image.Image, kind: str, **options: object) -> str:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    text = base64.b64encode(file.getvalue()).decode("ascii")
    return f"data:image/{kind.lower()};base64,{text}"
