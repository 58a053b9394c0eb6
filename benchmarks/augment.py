"""Images a second of the same augmentation by kcnn, keras-cv, Keras and albumentations.

    python benchmarks/augment.py [--sizes 32 224] [--rounds 5] [--seconds 1.5] [--only NAME ...]

Flip, crop with padding, resized crop, colour jitter and cutout of uint8 RGB images, in a
`tf.data` pipeline that is fed from memory and not autotuned, with two threads; albumentations
works image by image on arrays in a pool of as many threads (the better of one and two). The
contenders take turns in one process; the medians of the rounds are printed, and the ratios of
kcnn's to theirs, each round against its own neighbours. `cpu` is the processor time an image
takes (the least of all rounds), which other programs disturb less than the wall clock.

Keras has no random resized crop: RandomZoom stands for it; its RandomCrop draws one offset for the
whole batch, which is less work than one for each image.
"""

import argparse
import concurrent.futures
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

THREADS = 2
BATCH = {32: 256, 224: 32}


def pipeline(images, augment, parallel=None):
    """Endless augmented batches."""
    dataset = tf.data.Dataset.from_tensors(images).repeat()
    dataset = dataset.map(augment, num_parallel_calls=parallel).prefetch(2)
    options = tf.data.Options()
    options.autotune.enabled = False
    options.threading.private_threadpool_size = THREADS
    return iter(dataset.with_options(options))


def kcnn_layers(size, dtype):
    """Our fused pipeline; float32 out, as the others of Keras's family, or uint8."""
    from kcnn import augment

    layers = [
        augment.RandomFlip(),
        augment.RandomCrop(padding=0.125),
        augment.RandomResizedCrop(scale=(0.5, 1.0), ratio=(3 / 4, 4 / 3)),
        augment.ColorJitter(0.2, 0.2, 0.2, 0.05),
        augment.RandomCutout(0.25, 0.25),
    ]
    chain = augment.Pipeline(layers, seed=1, dtype=dtype)
    return lambda images: chain(images, training=True)


def kcnn_layers_one_by_one(size):
    """Our layers without the fusion."""
    from kcnn import augment

    layers = [
        augment.RandomFlip(),
        augment.RandomCrop(padding=0.125),
        augment.RandomResizedCrop(scale=(0.5, 1.0), ratio=(3 / 4, 4 / 3)),
        augment.ColorJitter(0.2, 0.2, 0.2, 0.05),
        augment.RandomCutout(0.25, 0.25),
    ]
    return in_turn(layers)


def in_turn(layers):
    """One layer after the other."""

    def augment(images):
        for layer in layers:
            images = layer(images)
        return images

    return augment


def keras_cv_layers(size):
    """keras-cv's layers for the same."""
    from keras_cv import layers

    return in_turn(
        [
            layers.RandomFlip("horizontal"),
            keras.layers.ZeroPadding2D(size // 8),
            layers.RandomCrop(size, size),
            layers.RandomCropAndResize((size, size), (0.5, 1.0), (3 / 4, 4 / 3)),
            layers.RandomColorJitter((0, 255), 0.2, 0.2, (0.4, 0.6), 0.05),
            layers.RandomCutout(0.25, 0.25),
        ]
    )


def keras_layers(size):
    """Keras's own layers for the same."""
    layers = keras.layers
    return in_turn(
        [
            layers.RandomFlip("horizontal"),
            layers.ZeroPadding2D(size // 8),
            layers.RandomCrop(size, size),
            layers.RandomZoom((-0.3, 0.0), (-0.3, 0.0)),
            layers.RandomColorJitter((0, 255), 0.2, 0.2, (0.4, 0.6), 0.05),
            layers.RandomErasing(factor=1.0, scale=(0.06, 0.0625)),
        ]
    )


class Albumentations:
    """Image by image in `workers` threads; OpenCV's own threads are off."""

    def __init__(self, images, size, workers):
        import albumentations
        import cv2

        cv2.setNumThreads(0)
        a = albumentations
        pad = size + 2 * (size // 8)
        self.chain = a.Compose(
            [
                a.HorizontalFlip(p=0.5),
                a.PadIfNeeded(pad, pad),
                a.RandomCrop(size, size),
                a.RandomResizedCrop((size, size), scale=(0.5, 1.0), ratio=(3 / 4, 4 / 3), p=1.0),
                a.ColorJitter((0.8, 1.2), (0.8, 1.2), (0.8, 1.2), (-0.05, 0.05), p=1.0),
                a.CoarseDropout((1, 1), (size // 4, size // 4), (size // 4, size // 4), p=1.0),
            ]
        )
        self.images = images
        self.pool = concurrent.futures.ThreadPoolExecutor(workers) if workers > 1 else None

    def __next__(self):
        def one(image):
            return self.chain(image=image)["image"]

        return np.stack(list((self.pool.map if self.pool else map)(one, self.images)))


def contenders(images, size):
    """Iterators over augmented batches, by name."""

    def albumentations(workers):
        return lambda: Albumentations(images, size, workers)

    def in_data(augment, parallel):
        return lambda: pipeline(images, augment(size), parallel)

    return {
        "kcnn": lambda: pipeline(images, kcnn_layers(size, "float32")),
        "kcnn uint8 out": lambda: pipeline(images, kcnn_layers(size, "uint8")),
        "kcnn one by one": in_data(kcnn_layers_one_by_one, None),
        "keras-cv": in_data(keras_cv_layers, THREADS),
        "keras": in_data(keras_layers, THREADS),
        "albumentations": albumentations(1),
        "albumentations x2": albumentations(THREADS),
    }


def speed(batches, batch, seconds):
    """Images a second by the clock, and processor microseconds an image."""
    done, start, used = 0, time.perf_counter(), time.process_time()
    while done == 0 or time.perf_counter() - start < seconds:
        next(batches)
        done += batch
    elapsed = time.perf_counter() - start
    return done / elapsed, (time.process_time() - used) / done * 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[32, 224])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--only", nargs="+")
    options = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(THREADS)
    for size in options.sizes:
        batch = BATCH.get(size, 64)
        rng = np.random.default_rng(0)
        images = rng.integers(0, 256, (batch, size, size, 3)).astype(np.uint8)
        running = {}
        for name, make in contenders(images, size).items():
            if options.only and name not in options.only:
                continue
            try:
                running[name] = make()
                for _ in range(3):
                    next(running[name])
            except ImportError as error:
                print(f"{name}: left out ({error})")
                running.pop(name, None)
        rounds = {name: [] for name in running}
        for _ in range(options.rounds):
            for name, batches in running.items():
                rounds[name].append(speed(batches, batch, options.seconds))
        print(f"\n{size}x{size}x3, batches of {batch}")
        print(f"{'':20} {'img/s':>9} {'best':>9} {'cpu us/img':>11} {'kcnn is':>9} {'by cpu':>8}")
        ours = rounds.get("kcnn")
        for name, seen in rounds.items():
            rate, best = statistics.median(r for r, _ in seen), max(r for r, _ in seen)
            cpu = min(used for _, used in seen)
            faster = by_cpu = float("nan")
            if ours:
                faster = statistics.median(a[0] / b[0] for a, b in zip(ours, seen, strict=True))
                by_cpu = cpu / min(used for _, used in ours)
            print(f"{name:20} {rate:9.0f} {best:9.0f} {cpu:11.1f} {faster:8.1f}x {by_cpu:7.1f}x")


if __name__ == "__main__":
    main()
