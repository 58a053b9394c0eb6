"""Files of every kind to pixels: the graph decoder against Pillow, on real photographs."""

import functools
import io
import struct

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps
from sklearn.datasets import load_sample_images

from kcnn.preprocessing import Preprocessing
from kcnn.preprocessing._decode import MOST_PIXELS

CHINA, FLOWER = (Image.fromarray(image) for image in load_sample_images().images)


def photo(width=97, height=64):
    return CHINA.resize((width, height), Image.Resampling.BICUBIC)


def with_alpha(image):
    ramp = np.linspace(0, 255, image.width * image.height).reshape(image.height, image.width)
    out = image.convert("RGBA")
    out.putalpha(Image.fromarray(ramp.astype(np.uint8)))
    return out


def encoded(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@functools.lru_cache
def graph(preprocessing, method):
    method = getattr(preprocessing, method)
    return tf.function(method, input_signature=[tf.TensorSpec((), tf.string)])


COLOUR, GRAY = Preprocessing(), Preprocessing(channels=1)


def decoded(data, preprocessing=COLOUR):
    """In a graph, as a pipeline and a SavedModel do."""
    return graph(preprocessing, "decode")(data).numpy()


def as_pillow(data, mode="RGB", background=255):
    """Upright and opaque, as Pillow sees it."""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    if "A" in image.mode or "transparency" in image.info:
        below = Image.new("RGBA", image.size, (background,) * 3 + (255,))
        image = Image.alpha_composite(below, image.convert("RGBA"))
    pixels = np.asarray(image.convert(mode))
    return pixels if pixels.ndim == 3 else pixels[..., None]


P = Image.Image.quantize
EXACT = {
    "jpeg": lambda: encoded(photo(), "JPEG", quality=90),
    "jpeg 4:4:4": lambda: encoded(photo(), "JPEG", quality=95, subsampling=0),
    "jpeg progressive": lambda: encoded(photo(), "JPEG", progressive=True),
    "jpeg cmyk": lambda: encoded(photo().convert("CMYK"), "JPEG"),
    "jpeg gray": lambda: encoded(photo().convert("L"), "JPEG"),
    "jpeg of a flower": lambda: encoded(FLOWER.resize((120, 81)), "JPEG", quality=70),
    "png": lambda: encoded(photo(), "PNG"),
    "png gray": lambda: encoded(photo().convert("L"), "PNG"),
    "png 1 bit": lambda: encoded(photo().convert("1"), "PNG"),
    "png palette": lambda: encoded(P(photo(), 200), "PNG"),
    "png palette 4 bits": lambda: encoded(P(photo(), 9), "PNG", bits=4),
    "png palette 1 bit": lambda: encoded(P(photo(), 2), "PNG", bits=1),
    "png palette transparent": lambda: encoded(P(photo(), 60), "PNG", transparency=3),
    "png gray transparent": lambda: encoded(photo().convert("L"), "PNG", transparency=100),
    "png interlaced gif palette": lambda: encoded(P(photo(), 32).convert("P"), "PNG"),
    "gif": lambda: encoded(P(photo(), 64), "GIF"),
    "gif moving": lambda: encoded(
        P(photo(), 64), "GIF", save_all=True, append_images=[P(FLOWER.resize((97, 64)), 64)]
    ),
    "bmp": lambda: encoded(photo(), "BMP"),
    "bmp gray": lambda: encoded(photo().convert("L"), "BMP"),
    "bmp palette": lambda: encoded(P(photo(), 200), "BMP"),
    "webp": lambda: encoded(photo(), "WEBP"),
    "webp lossless": lambda: encoded(photo(), "WEBP", lossless=True),
}
WITHIN_ONE = {  # where transparent pixels are blended, halves round either way
    "png alpha": lambda: encoded(with_alpha(photo()), "PNG"),
    "png gray alpha": lambda: encoded(with_alpha(photo()).convert("LA"), "PNG"),
    "webp alpha": lambda: encoded(with_alpha(photo()), "WEBP"),
    "webp lossless alpha": lambda: encoded(with_alpha(photo()), "WEBP", lossless=True),
}


@pytest.fixture(scope="module")
def files():
    """Kind of file: its bytes, and its pixels in colour and in gray."""
    made = {kind: make() for kind, make in {**EXACT, **WITHIN_ONE}.items()}
    return {kind: (data, decoded(data), decoded(data, GRAY)) for kind, data in made.items()}


@pytest.mark.parametrize("kind", [*EXACT, *WITHIN_ONE])
def test_every_kind_of_file_decodes_to_pillows_pixels(files, kind):
    data, *found = files[kind]
    for got, mode in zip(found, ("RGB", "L"), strict=True):
        want = as_pillow(data, mode)
        assert got.shape == want.shape
        assert np.abs(got.astype(int) - want).max() <= (0 if kind in EXACT else 1)


def test_transparent_pixels_show_the_background():
    data = encoded(with_alpha(photo()), "PNG")
    black = decoded(data, Preprocessing(background=0))
    assert np.abs(black.astype(int) - as_pillow(data, background=0)).max() <= 1
    red = decoded(data, Preprocessing(background=(255, 0, 0)))
    assert red[0, 0].tolist() == [255, 0, 0]


def test_sixteen_bits_keep_their_upper_eight():
    values = np.arange(96 * 96, dtype=np.uint16).reshape(96, 96) * 7
    data = encoded(Image.fromarray(values), "PNG")
    np.testing.assert_array_equal(decoded(data, GRAY)[..., 0], values >> 8)
    np.testing.assert_array_equal(decoded(data)[..., 1], values >> 8)


def turned(image, kind, orientation, **options):
    exif = Image.Exif()
    exif[0x010F] = "a camera's name before the tag"
    exif[0x0112] = orientation
    data = encoded(image, kind, exif=exif, **options)
    assert Image.open(io.BytesIO(data)).getexif()[0x0112] == orientation
    return data


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_pictures_stand_upright(kind):
    for orientation in range(1, 9):
        data = turned(photo(), kind, orientation)
        np.testing.assert_array_equal(decoded(data), as_pillow(data))


def test_orientation_is_read_in_both_byte_orders_and_behind_other_blocks():
    plain = encoded(photo(), "JPEG", comment=b"x" * 70)
    tags = struct.pack(">HHHIHHHHI", 2, 0x0100, 3, 1, 97, 0, 0x0112, 3, 1) + b"\0\x06\0\0"
    tiff = b"MM\0*" + struct.pack(">I", 8) + tags + b"\0" * 4
    block = b"Exif\0\0" + tiff
    app1 = b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block
    first = 4 + int.from_bytes(plain[4:6], "big")  # behind JFIF's own block
    data = plain[:first] + app1 + plain[first:]
    assert decoded(data).shape == (97, 64, 3)
    np.testing.assert_array_equal(decoded(data), as_pillow(data))


def test_nonsense_in_exif_leaves_the_picture_as_it_is():
    for block in (
        b"",
        b"II*\0\xff\xff\xff\x7f",
        b"MM\0*\0\0\0\x08\xff\xff",
        b"II*\0\x08\0\0\0\1\0",
    ):
        body = b"Exif\0\0" + block
        app1 = b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
        plain = encoded(photo(), "JPEG")
        np.testing.assert_array_equal(decoded(plain[:2] + app1 + plain[2:]), decoded(plain))


def _bomb_png():
    import zlib

    def chunk(kind, body):
        checked = kind + body
        return struct.pack(">I", len(body)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def _claiming(data, at, fmt, *numbers):
    return data[:at] + struct.pack(fmt, *numbers) + data[at + struct.calcsize(fmt) :]


def _jpeg_claiming(side):
    data = encoded(photo(), "JPEG")
    at = data.index(b"\xff\xc0") + 5
    return _claiming(data, at, ">HH", side, side)


BOMBS = {
    "png bomb": _bomb_png,
    "jpeg bomb": lambda: _jpeg_claiming(65000),
    "gif bomb": lambda: _claiming(encoded(P(photo(), 8), "GIF"), 6, "<HH", 65000, 65000),
    "bmp bomb": lambda: _claiming(encoded(photo(), "BMP"), 18, "<ii", 60000, -60000),
    "webp bomb": lambda: _claiming(encoded(photo(), "WEBP"), 26, "<HH", 16383, 16383),
    "webp lossless bomb": lambda: _claiming(
        encoded(photo(), "WEBP", lossless=True), 21, "<I", 16382 | 16382 << 14
    ),
}


REFUSED = {
    "empty": (lambda: b"", "not a JPEG"),
    "text": (lambda: b"hello, I am no picture", "not a JPEG"),
    "tiff": (lambda: encoded(photo(), "TIFF"), "convert it to PNG or JPEG"),
    "ppm": (lambda: encoded(photo(), "PPM"), "convert it to PNG or JPEG"),
    "bmp 1 bit": (lambda: encoded(photo().convert("1"), "BMP"), "BMP picture of 1, 4 or 16 bits"),
    "webp moving": (
        lambda: encoded(photo(), "WEBP", save_all=True, append_images=[FLOWER.resize((97, 64))]),
        "animated WebP",
    ),
    "half a jpeg": (lambda: encoded(photo(), "JPEG")[:900], "."),
    "half a png": (lambda: encoded(photo(), "PNG")[:2000], "."),
    "half a gif": (lambda: encoded(P(photo(), 64), "GIF")[:700], "."),
    "half a bmp": (lambda: encoded(photo(), "BMP")[:2000], "."),
    "half a webp": (lambda: encoded(photo(), "WEBP")[:500], "."),
    "a png's beginning": (lambda: encoded(photo(), "PNG")[:12], "."),
    "a jpeg's beginning": (lambda: encoded(photo(), "JPEG")[:4], "."),
}


@pytest.fixture(scope="module")
def errors():
    """Kind of file: the error it raises."""
    found = {}
    for kind, make in {**BOMBS, **{kind: make for kind, (make, _) in REFUSED.items()}}.items():
        try:
            decoded(make())
        except tf.errors.InvalidArgumentError as error:
            found[kind] = str(error)
    return found


@pytest.mark.parametrize("kind", BOMBS)
def test_pictures_that_unpack_to_gigabytes_are_refused_from_their_header(errors, kind):
    assert f"more than {MOST_PIXELS}" in errors[kind]


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_readable_picture_is_an_error(errors, kind):
    assert REFUSED[kind][1] in errors[kind]


def test_a_large_jpeg_is_decoded_at_a_fraction_to_nearly_the_same_pixels():
    """640 x 427, so that half, quarter and eighth end within a pixel."""
    for size in ((100, 70), 24):
        preprocessing = Preprocessing(size)
        for orientation in (1, 3, 6, 8):
            data = turned(CHINA, "JPEG", orientation, quality=95)
            fast = graph(preprocessing, "from_bytes")(data).numpy()
            whole = preprocessing.resized(decoded(data)).numpy()
            assert np.abs(fast - whole).max() <= 12
            assert 0 < np.abs(fast - whole).mean() <= 0.6
    preprocessing, data = Preprocessing(110), encoded(CHINA, "JPEG")  # 427 < 4 * 110
    np.testing.assert_array_equal(
        graph(preprocessing, "from_bytes")(data), preprocessing.resized(decoded(data))
    )


@pytest.mark.parametrize(
    ("interpolation", "filter", "most"),
    [
        ("bilinear", Image.Resampling.BILINEAR, 1),
        ("bicubic", Image.Resampling.BICUBIC, 2),  # Pillow rounds and clips between its two passes
        ("lanczos3", Image.Resampling.LANCZOS, 4),
    ],
)
def test_resizing_is_pillows_within_its_rounding(interpolation, filter, most):
    image = CHINA.resize((150, 120))
    for size in ((40, 50), (120, 75), (200, 190)):
        got = Preprocessing(size, interpolation=interpolation).resized(np.asarray(image)).numpy()
        difference = np.abs(got - np.asarray(image.resize(size[::-1], filter)))
        assert difference.max() <= most
        assert difference.mean() < 0.3
        np.testing.assert_array_equal(got, np.rint(got))


def test_crop_takes_the_middle_as_torchvision_does():
    """Resize(short side) then CenterCrop, written out with Pillow."""
    image = CHINA.resize((150, 121))
    got = Preprocessing(56, resize="crop", crop_ratio=0.875).resized(np.asarray(image)).numpy()
    scaled = image.resize((round(64 * 150 / 121), 64), Image.Resampling.BILINEAR)
    left, top = round((scaled.width - 56) / 2), round((64 - 56) / 2)
    want = scaled.crop((left, top, left + 56, top + 56))
    assert np.abs(got - np.asarray(want)).max() <= 1


def test_pad_shows_the_whole_picture_on_the_background():
    image = CHINA.resize((150, 100))
    got = Preprocessing((60, 60), resize="pad", background=7).resized(np.asarray(image)).numpy()
    want = np.full((60, 60, 3), 7)
    want[10:50] = np.asarray(image.resize((60, 40), Image.Resampling.BILINEAR))
    assert np.abs(got - want).max() <= 1


def test_batches_and_single_images_are_resized_alike():
    images = np.stack([np.asarray(photo()), np.asarray(FLOWER.resize((97, 64)))])
    for resize in ("stretch", "crop", "pad"):
        preprocessing = Preprocessing((33, 40), resize=resize)
        one_by_one = np.stack([preprocessing.resized(image) for image in images])
        np.testing.assert_array_equal(preprocessing.resized(images), one_by_one)


def test_a_saved_model_makes_the_same_pixels_of_the_same_bytes(files, tmp_path):
    preprocessing = Preprocessing((48, 40), resize="crop")

    class Module(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None,), tf.string)])
        def pixels(self, image_bytes):
            shape = tf.TensorSpec(preprocessing.image_shape, tf.float32)
            return tf.map_fn(preprocessing.from_bytes, image_bytes, fn_output_signature=shape)

    module = Module()
    tf.saved_model.save(module, str(tmp_path), signatures={"bytes": module.pixels})
    given = [data for data, *_ in files.values()] + [encoded(CHINA, "JPEG")]
    loaded = tf.saved_model.load(str(tmp_path)).signatures["bytes"]
    (served,) = loaded(tf.constant(given)).values()
    trained = tf.data.Dataset.from_tensor_slices(given).map(preprocessing.from_bytes)
    np.testing.assert_array_equal(served, np.stack([pixels.numpy() for pixels in trained]))
