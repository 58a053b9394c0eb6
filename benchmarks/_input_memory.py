"""First looks at many files, and an epoch over more than the memory holds, in their own processes.

Run as a script, this is such a process: `_input_memory.py look|memory FOLDER`.
"""

import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

import _input_files as files

__all__ = ["measure_look", "measure_memory"]

CORES = len(os.sched_getaffinity(0))
SIZE, BATCH = 224, 64
LIMIT = 3 << 30  # bytes


def resident():
    """Megabytes of this process now."""
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def peak():
    """The most megabytes that this process held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def child(what, folder):
    """What runs in a process of its own; prints a line of results."""
    import keras
    import tensorflow as tf

    import kcnn.data

    keras.utils.set_random_seed(0)
    line = {}
    tf.ones((8, 8)) @ tf.ones((8, 8))
    before = resident()
    if what == "memory":
        resource.setrlimit(resource.RLIMIT_DATA, (LIMIT, LIMIT))
    start = time.perf_counter()
    data = kcnn.data.load(folder, image_size=None if what == "look" else SIZE)
    line["load_s"] = round(time.perf_counter() - start, 2)
    if what == "look":
        start = time.perf_counter()
        for _ in data.train.batches(BATCH, shuffle=True):
            pass
    else:
        small = keras.Sequential(
            [
                keras.Input(data.image_shape),
                keras.layers.Conv2D(8, 3, strides=4, activation="relu"),
                keras.layers.GlobalAveragePooling2D(),
                keras.layers.Dense(data.classes),
            ]
        )
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        small.compile("adam", loss)
        start = time.perf_counter()
        small.fit(data.train.batches(BATCH, shuffle=True), verbose=0)
    line["epoch_s"] = round(time.perf_counter() - start, 2)
    line["images"] = len(data.train)
    line["grown_mb"] = round(peak() - before)
    line["peak_mb"] = round(peak())
    print("RESULT", json.dumps(line), flush=True)


def in_child(what, folder, home):
    environment = {**os.environ, "KCNN_CACHE": str(home)}
    command = [sys.executable, __file__, what, folder]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    found = [text for text in done.stdout.splitlines() if text.startswith("RESULT ")]
    if not found:
        raise RuntimeError(f"{what} failed: {done.stderr[-2000:]}")
    return json.loads(found[0].removeprefix("RESULT "))


def measure_look(options):
    folder = files.thumbnails(options.scratch, options.thumbnails)
    with tempfile.TemporaryDirectory(dir=options.scratch) as home:
        first, second = (in_child("look", folder, home) for _ in range(2))
    line = {"group": "look", "name": "kcnn", "images": options.thumbnails, "cores": CORES}
    line |= {"first_s": first["load_s"], "second_s": second["load_s"]}
    line |= {"epoch_s": first["epoch_s"], "grown_mb": first["grown_mb"]}
    print(json.dumps(line), flush=True)
    return [line]


def measure_memory(options):
    folder, size = files.large_photographs(options.scratch, options.gigabytes)
    with tempfile.TemporaryDirectory(dir=options.scratch) as home:
        found = in_child("memory", folder, home)
    line = {"group": "memory", "name": "kcnn", "files_gb": round(size / 1e9, 2), "cores": CORES}
    line |= {"limit_gb": round(LIMIT / 1e9, 2), **found}
    print(json.dumps(line), flush=True)
    return [line]


if __name__ == "__main__":
    child(*sys.argv[1:])
