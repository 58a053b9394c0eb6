"""The files that input.py reads: photographs that come with two libraries, cut and resized."""

import multiprocessing
import os

import numpy as np
from PIL import Image

__all__ = ["large_photographs", "photographs", "thumbnails"]

_CLASSES = 10
_PHOTOS = []


def _photos():
    if not _PHOTOS:
        import skimage.data
        from sklearn.datasets import load_sample_images

        found = list(load_sample_images().images)
        found += [getattr(skimage.data, name)() for name in ("astronaut", "chelsea", "coffee")]
        _PHOTOS.extend(Image.fromarray(image).convert("RGB") for image in found)
    return _PHOTOS


def _write(task):
    """One file; its number decides the part of the photograph, the size and the quality."""
    path, number, low, high = task
    if os.path.exists(path):  # of a run that was stopped
        return os.path.getsize(path)
    rng = np.random.default_rng(number)
    photo = _photos()[rng.integers(len(_photos()))]
    share = rng.uniform(0.6, 1.0)
    width, height = int(photo.width * share), int(photo.height * share)
    left, top = rng.integers(0, photo.width - width + 1), rng.integers(0, photo.height - height + 1)
    size = tuple(int(rng.integers(a, b + 1)) for a, b in zip(low, high, strict=True))
    part = photo.crop((left, top, left + width, top + height)).resize(
        size, Image.Resampling.BICUBIC
    )
    if size[0] > 1000:  # the grain of a large photograph
        grain = rng.integers(-8, 9, (size[1], size[0], 1), dtype=np.int16)
        part = Image.fromarray(np.clip(np.asarray(part, np.int16) + grain, 0, 255).astype(np.uint8))
    part.save(f"{path}.part", "JPEG", quality=int(rng.integers(80, 93)))
    os.replace(f"{path}.part", path)
    return os.path.getsize(path)


def _make(folder, count, low, high):
    """`count` files of sizes between `low` and `high`, once; the folder and its bytes."""
    done = os.path.join(folder, ".done")
    if not os.path.exists(done):
        for number in range(_CLASSES):
            os.makedirs(os.path.join(folder, f"class{number}"), exist_ok=True)
        tasks = [
            (os.path.join(folder, f"class{i % _CLASSES}", f"{i:06d}.jpg"), i, low, high)
            for i in range(count)
        ]
        print(f"making {count} files in {folder}", flush=True)
        with multiprocessing.get_context("spawn").Pool() as pool:
            size = sum(pool.imap_unordered(_write, tasks, chunksize=100))
        with open(done, "w") as file:
            file.write(str(size))
    with open(done) as file:
        return folder, int(file.read())


def photographs(scratch, count):
    """The folder of files of about 400x300."""
    return _make(os.path.join(scratch, f"photos{count}"), count, (360, 270), (440, 330))[0]


def thumbnails(scratch, count):
    """The folder of files of 64x64."""
    return _make(os.path.join(scratch, f"thumbnails{count}"), count, (64, 64), (64, 64))[0]


def large_photographs(scratch, gigabytes):
    """The folder of files of about 2400x1800 that take so many gigabytes, and its bytes."""
    each = 0.9e6  # bytes, as they turn out
    count = int(gigabytes * 1e9 / each)
    return _make(os.path.join(scratch, f"large{count}"), count, (2300, 1700), (2500, 1900))
