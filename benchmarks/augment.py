"""Images a second of the same augmentation by kcnn, keras-cv, Keras and albumentations.

    python benchmarks/augment.py [--sizes 32 224] [--rounds 5] [--seconds 1.5] [--groups ...]
    python benchmarks/augment.py --table       what augment.json holds

The chain is flip, crop with padding, resized crop, colour jitter and cutout of uint8 RGB images;
beside it RandAugment with two operations, equalization alone, MixUp and CutMix. All in a `tf.data`
pipeline that is fed from memory and not autotuned, with two threads and, unless a name
says "1 call", two parallel calls of the map; albumentations works image by image on arrays in a
pool of one or two threads. All give float32 but those that say uint8. The contenders take turns in
one process; the medians of the rounds are kept, and the ratios of kcnn's to theirs within their
group, each round against its own neighbours. `cpu` is the processor time an image takes (the least
of all rounds), which other programs disturb less than the wall clock. Lines of augment.json are
replaced.

Keras has no random resized crop: RandomZoom stands for it; its RandomCrop draws one offset for the
whole batch, which is less work than one for each image. Keras's RandAugment draws one set of
operations for the batch; kcnn's does as many for each image by itself.
"""

import argparse
import concurrent.futures
import importlib.metadata
import json
import os
import pathlib
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

RESULTS = pathlib.Path(__file__).with_suffix(".json")
THREADS = 2
BATCH = {32: 256, 224: 32}


def pipeline(batch, augment, calls=THREADS):
    """Endless augmented batches; `calls` of the map run at the same time."""
    dataset = tf.data.Dataset.from_tensors(batch).repeat()
    parallel = calls if calls > 1 else None
    dataset = dataset.map(augment, num_parallel_calls=parallel).prefetch(2)
    options = tf.data.Options()
    options.autotune.enabled = False
    options.threading.private_threadpool_size = THREADS
    return iter(dataset.with_options(options))


def kcnn_layers(size, dtype="float32", *, fused=True):
    """Our layers, in one pipeline unless said otherwise."""
    from kcnn import augment

    layers = [
        augment.RandomFlip("horizontal"),
        augment.RandomCrop(padding=0.125),
        augment.RandomResizedCrop(scale=(0.5, 1.0), ratio=(3 / 4, 4 / 3)),
        augment.ColorJitter(0.2, 0.2, 0.2, 0.05),
        augment.RandomCutout(0.25, 0.25),
    ]
    if not fused:
        return in_turn(layers)
    return augment.Pipeline(layers, seed=1, dtype=dtype)


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


def other_layers():
    """Groups of single layers: ours first, then Keras's and keras-cv's of the same meaning."""
    from keras_cv import layers as cv

    from kcnn import augment

    span = {"value_range": (0, 255)}
    return {
        "RandAugment": {
            "kcnn": augment.RandAugment(2, 0.3, seed=1),
            "keras": keras.layers.RandAugment(num_ops=2, factor=0.3),
            "keras-cv": cv.RandAugment(**span, augmentations_per_image=2, magnitude=0.3),
        },
        "Equalization": {
            "kcnn": augment.Equalization(seed=1),
            "keras": keras.layers.Equalization(),
            "keras-cv": cv.Equalization(**span),
        },
        "MixUp": {
            "kcnn": augment.MixUp(seed=1),
            "keras": keras.layers.MixUp(),
            "keras-cv": cv.MixUp(),
        },
        "CutMix": {
            "kcnn": augment.CutMix(seed=1),
            "keras": keras.layers.CutMix(),
            "keras-cv": cv.CutMix(),
        },
    }


def contenders(images, size):
    """Makers of iterators over augmented batches, by group and name; ours is "kcnn"."""
    labels = np.eye(len(images), dtype=np.float32)

    def alone(group, layer):
        if group in ("MixUp", "CutMix"):
            batch = {"images": images.astype(np.float32), "labels": labels}
            return lambda: pipeline(batch, lambda x: layer(dict(x), training=True))
        return lambda: pipeline(images, lambda x: layer(tf.cast(x, tf.float32), training=True))

    groups = {
        group: {name: alone(group, layer) for name, layer in layers.items()}
        for group, layers in other_layers().items()
    }
    return {"chain": chains(images, size), **groups}


def chains(images, size):
    """The makers of the group "chain"."""

    def in_data(augment, calls=THREADS):
        return lambda: pipeline(images, augment(size), calls)

    def albumentations(workers):
        return lambda: Albumentations(images, size, workers)

    return {
        "kcnn": in_data(kcnn_layers),
        "kcnn uint8 out": in_data(lambda size: kcnn_layers(size, "uint8")),
        "kcnn one by one": in_data(lambda size: kcnn_layers(size, fused=False)),
        "kcnn, 1 call": in_data(kcnn_layers, 1),
        "keras-cv": in_data(keras_cv_layers),
        "keras-cv, 1 call": in_data(keras_cv_layers, 1),
        "keras": in_data(keras_layers),
        "keras, 1 call": in_data(keras_layers, 1),
        "albumentations uint8": albumentations(1),
        "albumentations x2 uint8": albumentations(THREADS),
    }


def speed(batches, batch, seconds):
    """Images a second by the clock, and processor microseconds an image."""
    done, start, used = 0, time.perf_counter(), time.process_time()
    while done == 0 or time.perf_counter() - start < seconds:
        next(batches)
        done += batch
    elapsed = time.perf_counter() - start
    return done / elapsed, (time.process_time() - used) / done * 1e6


def measured(size, batch, options):
    """A line of results for each contender of each group."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (batch, size, size, 3)).astype(np.uint8)
    groups = contenders(images, size)
    return [
        {"size": size, "batch": batch, "group": group, **line}
        for group, makers in groups.items()
        if not options.groups or group in options.groups
        for line in compared(makers, batch, options)
    ]


def compared(makers, batch, options):
    """A line for each contender of a group."""
    running = {}
    for name, make in makers.items():
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
    ours = rounds.get("kcnn")
    lines = []
    for name, seen in rounds.items():
        line = {"name": name, "cores": len(os.sched_getaffinity(0))}
        line["images_per_s"] = round(statistics.median(rate for rate, _ in seen))
        line["best"] = round(max(rate for rate, _ in seen))
        line["cpu_us"] = round(min(used for _, used in seen), 1)
        if ours:
            ratios = [a[0] / b[0] for a, b in zip(ours, seen, strict=True)]
            line["kcnn_is"] = round(statistics.median(ratios), 2)
            line["kcnn_by_cpu"] = round(line["cpu_us"] / min(used for _, used in ours), 2)
        lines.append(line)
    return lines


def table(lines):
    """Print the lines, size by size."""
    for size in sorted({line["size"] for line in lines}):
        chosen = [line for line in lines if line["size"] == size]
        print(f"\n{size}x{size}x3, batches of {chosen[0]['batch']}, {chosen[0]['cores']} cores")
        print(f"{'':24} {'img/s':>9} {'best':>9} {'cpu us/img':>11} {'kcnn is':>9} {'by cpu':>8}")
        for at, line in enumerate(chosen):
            if at == 0 or chosen[at - 1]["group"] != line["group"]:
                print(line["group"])
            ratio, by_cpu = (line.get(key, float("nan")) for key in ("kcnn_is", "kcnn_by_cpu"))
            print(
                f"  {line['name']:22} {line['images_per_s']:9} {line['best']:9} "
                f"{line['cpu_us']:11.1f} {ratio:8.1f}x {by_cpu:7.1f}x"
            )


def keep(lines):
    """Replace these lines of the result file."""
    found = {d.metadata["Name"]: d.version for d in importlib.metadata.distributions()}
    names = {"keras", "keras-cv", "albumentations"} & set(found)
    versions = {"tensorflow": tf.__version__, **{name: found[name] for name in sorted(names)}}
    new = {(line["size"], line["group"], line["name"]) for line in lines}
    kept = json.loads(RESULTS.read_text())["lines"] if RESULTS.exists() else []
    kept = [line for line in kept if (line["size"], line["group"], line["name"]) not in new]
    text = ",\n".join(json.dumps(line) for line in [*kept, *lines])
    RESULTS.write_text(f'{{"versions": {json.dumps(versions)}, "lines": [\n{text}\n]}}\n')


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[32, 224])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--groups", nargs="+", help="chain, RandAugment, Equalization, ...")
    parser.add_argument("--only", nargs="+", help="contenders by name; keeps no result")
    parser.add_argument("--table", action="store_true", help="print the result file alone")
    options = parser.parse_args()
    if options.table:
        return table(json.loads(RESULTS.read_text())["lines"])
    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(THREADS)
    for size in options.sizes:
        lines = measured(size, BATCH.get(size, 64), options)
        table(lines)
        if not options.only:
            keep(lines)


if __name__ == "__main__":
    main()
