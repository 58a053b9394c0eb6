"""Images a second from JPEG files to batches, by kcnn, Keras, keras-cv and PyTorch; first looks.

    python benchmarks/input.py [--only speed look memory] [--rounds 3] [--images 20000]
    python benchmarks/input.py --torch-python PATH   an interpreter that has PyTorch
    python benchmarks/input.py --table               what input.json holds

speed: photographs of about 400x300 as JPEG, to 224x224, batches of 64. Alone, and with a flip, a
random resized crop and a colour jitter; kcnn, torchvision and albumentations cut the crop out of
the file, the layers of Keras and keras-cv out of the resized image. The contenders take turns, each
drawing its share of images in the rounds; medians are kept, and the ratio of kcnn's rate to theirs,
each round against its own neighbours. `cpu` is the processor time of an image (the least of all
rounds; of PyTorch's workers too), which other programs disturb less than the clock. "kcnn" makes
smaller pictures antialiased, as Pillow and torchvision do; "kcnn, as Keras" takes four neighbours
as Keras does, the same work.
A pipeline runs in its own turn only, and what it had made in advance is drawn before the clock
starts: Keras's grows its buffer between turns, which would then be counted as speed.
The epochs of "kcnn, cached" come from the cache that its first epoch filled.
PyTorch runs in a process of its own, with as many workers as cores.

look: 100,000 files of 64x64: the first and the second `kcnn.data.load`, and how much the memory
grows in an epoch. memory: files of 6 GB, and an epoch of training over them in a process whose
private memory is limited to 3 GB (RLIMIT_DATA; the peak of its resident memory is measured).
Files are made once, in --scratch.
"""

import argparse
import importlib.metadata
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import _input_files as files
import _input_memory as memory

RESULTS = pathlib.Path(__file__).with_suffix(".json")
CORES = len(os.sched_getaffinity(0))
SIZE, BATCH = 224, 64
AHEAD = 24  # batches: more than any of the pipelines makes in advance at first
SETTLED = 1.5  # seconds in which an autotuned pipeline finds its number of threads


def kcnn_batches(folder, augment=None, **options):
    """A training pipeline over all files of a folder."""
    import kcnn.data
    from kcnn.preprocessing import Preprocessing

    record = Preprocessing(SIZE, antialias=options.pop("antialias", True))
    crop = options.pop("crop", None)
    data = kcnn.data.load(
        folder, preprocessing=record, val_fraction=0.01, test_fraction=0.01, **options
    )
    return data.train.batches(BATCH, shuffle=True, augment=augment, crop=crop)


def kcnn_augmented(folder, **options):
    """The crop is cut out of the file, as torchvision and albumentations do."""
    from kcnn import augment

    flip_and_colour = [augment.RandomFlip("horizontal"), augment.ColorJitter(0.3, 0.3, 0.3, 0.05)]
    return kcnn_batches(
        folder,
        augment.Pipeline(flip_and_colour, seed=1),
        crop=augment.RandomResizedCrop(scale=(0.3, 1.0)),
        cache=None,
        **options,
    )


def keras_batches(folder, layers=()):
    import keras
    import tensorflow as tf

    data = keras.utils.image_dataset_from_directory(
        folder, image_size=(SIZE, SIZE), batch_size=BATCH, seed=1, verbose=False
    )
    if not layers:
        return data

    def augment(images, labels):
        for layer in layers:
            images = layer(images, training=True)
        return images, labels

    return data.map(augment, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def keras_layers():
    """Keras has no random resized crop: a random zoom stands for it."""
    from keras import layers

    return [
        layers.RandomFlip("horizontal"),
        layers.RandomZoom((-0.45, 0.0), (-0.45, 0.0)),
        layers.RandomColorJitter((0, 255), 0.3, 0.3, (0.35, 0.65), 0.05),
    ]


def keras_cv_layers():
    from keras_cv import layers

    return [
        layers.RandomFlip("horizontal"),
        layers.RandomCropAndResize((SIZE, SIZE), (0.3, 1.0), (3 / 4, 4 / 3)),
        layers.RandomColorJitter((0, 255), 0.3, 0.3, (0.35, 0.65), 0.05),
    ]


class TensorFlowBatches:
    """A `tf.data` pipeline, read anew in each turn: an idle one would go on filling its buffers."""

    def __init__(self, make):
        self._data = make().repeat()
        next(iter(self._data))

    def draw(self, images):
        """(images a second, processor milliseconds of an image) over about so many images."""
        batches = iter(self._data)
        begun, ahead = time.perf_counter(), 0
        while ahead < AHEAD or time.perf_counter() - begun < SETTLED:
            next(batches)
            ahead += 1
        start, used = time.perf_counter(), time.process_time()
        done = 0
        while done < images:
            done += len(next(batches)[1])
        return done / (time.perf_counter() - start), (time.process_time() - used) / done * 1e3

    def close(self):
        del self._data


class TorchBatches:
    """The same of a `DataLoader` in another process, which draws when it is told to."""

    def __init__(self, python, folder, kind):
        script = pathlib.Path(__file__).with_name("_input_torch.py")
        numbers = [str(number) for number in (CORES, SIZE, BATCH, AHEAD)]
        command = [python, str(script), folder, kind, *numbers]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        if self._process.stdout.readline().strip() != "ready":
            raise ImportError(f"{python} has no PyTorch, torchvision or albumentations")

    def draw(self, images):
        print(images, file=self._process.stdin, flush=True)
        return tuple(float(text) for text in self._process.stdout.readline().split())

    def close(self):
        self._process.stdin.close()
        self._process.wait()


def contenders(folder, python):
    """Makers by group and name; kcnn's comes first."""

    def tensorflow(make, *args, **options):
        return lambda: TensorFlowBatches(lambda: make(folder, *args, **options))

    def torch(kind):
        return lambda: TorchBatches(python, folder, kind)

    def augmented(layers):
        return lambda: TensorFlowBatches(lambda: keras_batches(folder, layers()))

    return {
        "plain": {
            "kcnn": tensorflow(kcnn_batches, cache=None),
            "kcnn, as Keras": tensorflow(kcnn_batches, cache=None, antialias=False),
            "keras": tensorflow(keras_batches),
            "torchvision": torch("plain"),
        },
        "augmented": {
            "kcnn": tensorflow(kcnn_augmented),
            "kcnn, as Keras": tensorflow(kcnn_augmented, antialias=False),
            "keras": augmented(keras_layers),
            "keras-cv": augmented(keras_cv_layers),
            "torchvision": torch("torchvision"),
            "albumentations": torch("albumentations"),
        },
    }


def measure_speed(options):
    """Lines of both groups, then those of first and later epochs."""
    folder = files.photographs(options.scratch, options.images)
    lines = []
    for group, makers in contenders(folder, options.torch_python).items():
        running = {}
        for name, make in makers.items():
            try:
                running[name] = make()
            except ImportError as error:
                print(f"{group}, {name}: left out ({error})")
        seen = {name: [] for name in running}
        for _ in range(options.rounds):
            for name, batches in running.items():
                seen[name].append(batches.draw(options.draw))
        for batches in running.values():
            batches.close()
        for name, rounds in seen.items():
            line = {"group": group, "name": name, "images": options.images, "cores": CORES}
            line["images_per_s"] = round(statistics.median(rate for rate, _ in rounds))
            line["cpu_ms"] = round(min(used for _, used in rounds), 3)
            for ours in ("kcnn", "kcnn, as Keras"):
                ratios = [a[0] / b[0] for a, b in zip(seen[ours], rounds, strict=True)]
                line["ratio" if ours == "kcnn" else "ratio_as_keras"] = round(
                    statistics.median(ratios), 2
                )
            lines.append(line)
            print(json.dumps(line), flush=True)
    return [*lines, *measure_epochs(folder, options)]


def measure_epochs(folder, options):
    """First and later epochs with the cache on disk."""
    with tempfile.TemporaryDirectory(dir=options.scratch) as home:
        os.environ["KCNN_CACHE"] = home
        data = kcnn_batches(folder, cache="disk")
        seconds, images = [], 0
        for _ in range(3):
            start, images = time.perf_counter(), 0
            for _, labels in data:
                images += len(labels)
            seconds.append(time.perf_counter() - start)
        del os.environ["KCNN_CACHE"]
    later = min(seconds[1:])
    line = {"group": "epochs", "name": "kcnn, cached", "images": images, "cores": CORES}
    line |= {"first_s": round(seconds[0], 2), "later_s": round(later, 2)}
    line |= {"images_per_s": round(images / later), "ratio": round(seconds[0] / later, 2)}
    print(json.dumps(line), flush=True)
    return [line]


def table(lines):
    """Print the lines, group by group."""
    for line in lines:
        rest = {key: value for key, value in line.items() if key not in ("group", "name")}
        said = "  ".join(f"{key} {value}" for key, value in rest.items())
        print(f"{line['group']:10} {line['name']:16} {said}")


def keep(lines):
    """Replace the groups that were measured in the result file."""
    found = {d.metadata["Name"]: d.version for d in importlib.metadata.distributions()}
    names = ("albumentations", "keras", "keras-cv", "tensorflow", "torch", "torchvision")
    versions = {name: found[name] for name in names if name in found}
    groups = {line["group"] for line in lines}
    old = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"lines": []}
    kept = [line for line in old["lines"] if line["group"] not in groups]
    text = ",\n".join(json.dumps(line) for line in [*kept, *lines])
    RESULTS.write_text(f'{{"versions": {json.dumps(versions)}, "lines": [\n{text}\n]}}\n')


MEASURES = {
    "speed": measure_speed,
    "look": memory.measure_look,
    "memory": memory.measure_memory,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=MEASURES, default=list(MEASURES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--draw", type=int, default=4096, help="images a contender draws in turn")
    parser.add_argument("--thumbnails", type=int, default=100_000)
    parser.add_argument("--gigabytes", type=float, default=6.0)
    parser.add_argument("--torch-python", default=sys.executable)
    parser.add_argument("--scratch", default=os.path.join(tempfile.gettempdir(), "kcnn-input"))
    parser.add_argument("--table", action="store_true", help="print the result file alone")
    options = parser.parse_args()
    if options.table:
        return table(json.loads(RESULTS.read_text())["lines"])
    for name in options.only:
        keep(MEASURES[name](options))
    return table(json.loads(RESULTS.read_text())["lines"])


if __name__ == "__main__":
    main()
