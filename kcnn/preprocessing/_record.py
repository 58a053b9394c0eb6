"""The record of one preprocessing."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from typing import Any

from kcnn.preprocessing._layer import PreprocessingLayer

__all__ = ["Preprocessing"]

RESIZES = ("stretch", "crop", "pad")
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos3")
# Goes into every fingerprint; a change of the pixels that the same config gives raises it, so that
# no cache made by older rules is taken for the new pixels.
PIXELS_VERSION = 1


def _refuse(what: str) -> ValueError:
    return ValueError(f"Preprocessing: {what}")


def _as_size(size: Any) -> tuple[int, int] | None:
    if size is None:
        return None
    try:
        sides = tuple(size) if isinstance(size, list | tuple) else (size, size)
        whole = tuple(int(side) for side in sides)
    except (TypeError, ValueError):
        whole, sides = (), (size,)
    if len(whole) != 2 or whole != sides or min(whole) < 1:
        raise _refuse(f"size={size!r} is not a number of pixels, (height, width) or None.")
    return whole[0], whole[1]


def _per_channel(name: str, values: Any, channels: int) -> tuple[float, ...]:
    """One number for all channels or one for each, finite."""
    try:
        found = [float(value) for value in values]
    except TypeError:
        found = [float(values)] * channels
    if len(found) != channels or not all(math.isfinite(value) for value in found):
        raise _refuse(f"{name}={values!r} is not {channels} finite numbers, one for each channel.")
    return tuple(found)


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """From a file's bytes, or an array 0..255, to what a model computes with.

    Pixels are decoded, turned upright, brought to `channels` and to `size` as whole numbers 0..255
    (`decode`, `resized`, `from_bytes`: TensorFlow, inside a graph too); the layer that `layer()`
    gives, the first of a model, makes (pixels * scale + offset - mean) / std of them.

    size: (height, width), one number for both, or None where images come in their size.
    channels: 3 for colour, 1 for gray; files decode to these two only, arrays may have any.
    resize: "stretch" both sides; "crop" the middle, after the picture is made to cover
        size / crop_ratio; "pad" with `background` what the whole picture does not fill.
    interpolation: "nearest", "bilinear", "bicubic" or "lanczos3"; antialias: widen it over all
        pixels that go into one, where pictures become smaller (as Pillow and torchvision do).
    background: what transparent pixels and padding show, a number 0..255 or one per channel.
    mean, std: per channel, in units of pixels * scale + offset; a channel whose std is zero is only
        centred, so an unseen value in it is not blown up.

    | file | read | refused, with a message that says so |
    | --- | --- | --- |
    | JPEG | gray, colour, CMYK, progressive; turned as EXIF says | 12 bits, arithmetic coding |
    | PNG | gray, colour, palette, 1-16 bits (the upper 8), alpha; turned as an eXIf chunk says | |
    | GIF | the first frame (a transparent pixel shows black) | |
    | BMP | 8 bits with palette, 24 and 32 bits | 1, 4 and 16 bits, run-length coding |
    | WebP | lossy, lossless, alpha; turned as EXIF says (TensorFlow from 2.21) | animations |
    | TIFF, PPM, HEIC, ... | | all: convert them to PNG or JPEG |

    Colour profiles are not applied. A picture of more than 2**27 pixels is refused before it is
    decoded. Raises ValueError for arguments that make no sense.

    >>> Preprocessing(224, resize="crop", crop_ratio=0.875, scale=1 / 255).image_shape
    (224, 224, 3)
    """

    size: Any = None
    channels: int = 3
    _: dataclasses.KW_ONLY
    resize: str = "stretch"
    crop_ratio: float = 1.0
    interpolation: str = "bilinear"
    antialias: bool = True
    background: Any = 255.0
    scale: float = 1.0
    offset: float = 0.0
    mean: Any = None
    std: Any = None

    def __post_init__(self) -> None:
        def settle(name: str, value: Any) -> None:
            object.__setattr__(self, name, value)

        if int(self.channels) != self.channels or self.channels < 1:
            raise _refuse(f"channels={self.channels!r} is not a number of channels.")
        if self.resize not in RESIZES:
            raise _refuse(f"resize={self.resize!r} is none of {', '.join(RESIZES)}.")
        if self.interpolation not in INTERPOLATIONS:
            raise _refuse(
                f"interpolation={self.interpolation!r} is none of {', '.join(INTERPOLATIONS)}."
            )
        if not 0.0 < float(self.crop_ratio) <= 1.0:
            raise _refuse(f"crop_ratio={self.crop_ratio!r} must be above 0 and at most 1.")
        settle("size", _as_size(self.size))
        settle("channels", int(self.channels))
        settle("crop_ratio", float(self.crop_ratio))
        settle("antialias", bool(self.antialias))
        settle("background", _per_channel("background", self.background, self.channels))
        if min(self.background) < 0 or max(self.background) > 255:
            raise _refuse(f"background={self.background!r} lies outside 0..255.")
        for name in ("scale", "offset"):
            settle(name, _per_channel(name, (getattr(self, name),), 1)[0])
        if self.scale == 0:
            raise _refuse("scale=0 makes every image the same.")
        for name in ("mean", "std"):
            if getattr(self, name) is not None:
                settle(name, _per_channel(name, getattr(self, name), self.channels))
        if self.std is not None and min(self.std) < 0:
            raise _refuse(f"std={self.std!r} holds a negative number.")

    def get_config(self) -> dict[str, Any]:
        """Plain numbers, strings and lists that `from_config` makes the same record of."""
        config = dataclasses.asdict(self)
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in config.items()
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Preprocessing:
        known = {field.name for field in dataclasses.fields(cls)}
        strange = sorted(set(config) - known)
        if strange:
            raise _refuse(
                f"config has {', '.join(strange)}, which this version of kcnn does not know; a "
                "newer one likely wrote it."
            )
        return cls(**config)

    def replace(self, **changes: Any) -> Preprocessing:
        """The same with other values."""
        return dataclasses.replace(self, **changes)

    def normalized(self, stats: Any) -> Preprocessing:
        """With the mean and std of `stats` (`kcnn.data.channel_stats`, of pixels 0..255)."""
        return self.replace(
            mean=[value * self.scale + self.offset for value in stats.mean.tolist()],
            std=[value * abs(self.scale) for value in stats.std.tolist()],
        )

    @property
    def fingerprint(self) -> str:
        """Hexadecimal digits that differ where anything differs."""
        text = json.dumps([PIXELS_VERSION, self.get_config()], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    @property
    def pixels(self) -> Preprocessing:
        """What decides the pixels alone: without scale, offset, mean and std."""
        return self.replace(scale=1.0, offset=0.0, mean=None, std=None)

    @property
    def image_shape(self) -> tuple[Any, Any, int]:
        """(height, width, channels); the first two are None where size is."""
        height, width = self.size or (None, None)
        return height, width, self.channels

    def decode(self, data: Any) -> Any:
        """A file's bytes (scalar string) as uint8 (h, w, channels), upright, in its own size."""
        from kcnn.preprocessing._decode import decode

        return decode(self, data)

    def resized(self, images: Any) -> Any:
        """Images 0..255 (h, w, c) or (b, h, w, c) as float32 of `size`, whole numbers 0..255."""
        from kcnn.preprocessing._resize import resized

        return resized(self, images)

    def from_bytes(self, data: Any) -> Any:
        """A file's bytes (scalar string) as float32 (*size, channels), whole numbers 0..255.

        `resized(decode(data))`, but that (with antialias) a JPEG at least four times as large as
        needed is decoded at a half, a quarter or an eighth, to at least twice what is needed.
        """
        from kcnn.preprocessing._decode import from_bytes

        return from_bytes(self, data)

    def layer(self, **kwargs: Any) -> PreprocessingLayer:
        """The first layer of a model, for images that `resized` or `from_bytes` gave."""
        return PreprocessingLayer(self, **kwargs)

    @staticmethod
    def of(model: Any) -> Preprocessing | None:
        """The record in a model's `PreprocessingLayer`, however deep, or None without one."""
        if isinstance(model, PreprocessingLayer):
            return Preprocessing.from_config(model.preprocessing)
        inner = list(getattr(model, "layers", None) or ())
        if hasattr(model, "layer"):  # keras.layers.Wrapper
            inner.append(model.layer)
        for layer in inner:
            found = Preprocessing.of(layer)
            if found is not None:
                return found
        return None
