"""A random part of each file instead of the whole, decoded alone where that gives its pixels."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from sklearn.datasets import load_sample_images

from kcnn.augment import RandomResizedCrop
from kcnn.data import DataError, Split
from kcnn.data._one_file import from_any_format
from kcnn.data._rows import Files
from kcnn.preprocessing import Preprocessing
from kcnn.preprocessing._decode import part_from_jpeg

PHOTOS = [Image.fromarray(image) for image in load_sample_images().images]
AS_IT_IS, SMALL = Preprocessing(), Preprocessing((20, 24))
KINDS = {
    "4:2:0": {"subsampling": 2},
    "4:2:2": {"subsampling": 1},
    "4:4:4": {"subsampling": 0},
    "progressive": {"progressive": True},
}


def encoded(photo, **options):
    file = io.BytesIO()
    photo.save(file, "JPEG", quality=85, **options)
    return file.getvalue()


def parts(preprocessing):
    spec = (tf.TensorSpec((), tf.string), *(tf.TensorSpec((n,), tf.int32) for n in (4, 2)))
    return tf.function(
        lambda data, box, size: part_from_jpeg(preprocessing, data, box, size, dtype=tf.uint8),
        input_signature=spec,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_part_decoded_alone_has_the_pixels_of_the_whole(kind):
    rng = np.random.default_rng(0)
    photo = PHOTOS[0].crop((0, 0, 317, 203))
    data, part = encoded(photo, **KINDS[kind]), parts(AS_IT_IS)
    whole = tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE").numpy()
    for _ in range(25):
        height, width = int(rng.integers(1, 204)), int(rng.integers(1, 318))
        top, left = int(rng.integers(0, 204 - height)), int(rng.integers(0, 318 - width))
        found = part(data, np.array([top, left, height, width]), np.array([203, 317])).numpy()
        assert np.array_equal(found, whole[top : top + height, left : left + width])


def test_a_part_much_larger_than_needed_is_nearly_what_pillow_makes_of_it():
    box = (37, 25, 637, 425)  # left, top, right, bottom
    wanted = np.asarray(PHOTOS[1].resize((24, 20), Image.Resampling.BILINEAR, box), int)
    data = encoded(PHOTOS[1], subsampling=0)
    found = parts(SMALL)(data, np.array([25, 37, 400, 600]), np.array(PHOTOS[1].size[::-1]))
    assert np.abs(found.numpy().astype(int) - wanted).mean() < 1.0


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    """JPEG and PNG files, some of them turned by EXIF."""
    folder, paths, sizes, formats, turned = tmp_path_factory.mktemp("parts"), [], [], [], []
    for number in range(12):
        photo = PHOTOS[number % 2].crop((0, 0, 200 + 8 * number, 150 + number))
        kind, orientation = ("png", 1) if number % 3 == 0 else ("jpeg", 1 + 5 * (number % 3 == 1))
        exif = Image.Exif()
        exif[0x0112] = orientation
        photo.save(folder / f"{number}.{kind}", kind, exif=exif)
        paths.append(bytes(folder / f"{number}.{kind}"))
        sizes.append(photo.size if orientation == 6 else photo.size[::-1])
        formats.append(kind)
        turned.append(orientation)
    heights, widths = np.array(sizes).T
    rows = Files(paths, heights, widths, np.array(formats), np.array(turned))
    return Split(rows, np.arange(12), preprocessing=SMALL)


def drawn(split, **options):
    batches = split.batches(5, crop=RandomResizedCrop(scale=(0.2, 0.5)), **options)
    epochs = [[(x.numpy(), y.numpy()) for x, y in batches] for _ in range(2)]
    return [(np.concatenate([x for x, _ in e]), np.concatenate([y for _, y in e])) for e in epochs]


def test_every_image_gives_another_part_each_epoch_and_the_seed_repeats_them(split):
    (first, labels), (second, _) = drawn(split, seed=3)
    assert labels.tolist() == list(range(12))
    assert (np.abs(first - second).mean(axis=(1, 2, 3)) > 0).all()
    again = drawn(split, seed=3)
    assert np.array_equal(first, again[0][0])
    assert np.array_equal(second, again[1][0])
    assert not np.array_equal(first, drawn(split, seed=4)[0][0])


def test_images_are_the_boxes_of_their_upright_files(split):
    class Known(RandomResizedCrop):
        def boxes(self, seed, heights, widths):
            third = tf.stack([heights // 3, widths // 4, heights // 4, widths // 5], axis=1)
            return tf.cast(third, tf.int32)

    for images, labels in split.batches(5, crop=Known()):
        for image, number in zip(images.numpy(), labels.numpy(), strict=True):
            height, width = _size(split, number)
            box = np.array([height // 3, width // 4, height // 4, width // 5])
            data = tf.io.read_file(split._rows.paths[number])
            wanted = from_any_format(SMALL, part=True)(data, box)
            assert np.abs(image - wanted.numpy().astype(np.float32)).max() <= 1


def _size(split, number):
    return int(split._rows.heights[number]), int(split._rows.widths[number])


def test_boxes_lie_within_their_pictures_and_have_the_area_and_ratio_asked_for():
    heights, widths = tf.fill([4000], 300), tf.fill([4000], 400)
    crop = RandomResizedCrop(scale=(0.2, 0.6), ratio=(0.75, 4 / 3))
    top, left, height, width = crop.boxes(tf.constant([1, 2]), heights, widths).numpy().T
    assert min(top.min(), left.min()) == 0
    assert (top + height).max() == 300
    assert (left + width).max() == 400
    area = height * width / (300 * 400)
    assert 0.19 < area.min() < 0.22
    assert 0.58 < area.max() < 0.61
    assert abs(area.mean() - 0.4) < 0.02
    assert (width / height).min() > 0.73
    assert (width / height).max() < 1.36


def test_arrays_have_no_files_to_cut_parts_out_of():
    split = Split(np.zeros((8, 6, 6, 3), np.uint8), np.arange(8))
    with pytest.raises(DataError, match="layer of augment"):
        split.batches(4, crop=RandomResizedCrop())
