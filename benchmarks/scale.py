"""What several processes cost, against one with as many threads, on this machine.

    python benchmarks/scale.py            # measures (minutes), writes benchmarks/scale.json
    python benchmarks/scale.py --table    # prints the result that lies there, and the calculation

One global batch is trained by 1, 2 and 4 processes on the same cores: what is more than the time
of one process is overhead, since no core is added. The cost of an all-reduce is measured by its
bytes, on the loopback address. The step of 64 and 1,024 workers is calculated from the measured
step and an assumed network (`PEER_BYTES`, `PEER_DELAY`); it says so.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
RESULT = Path(__file__).with_suffix(".json")
BATCH, SIDE, STEPS, WARM = 64, 32, 12, 3
WIDTHS = (0.5, 1.0, 2.0)
SIZES = (1 << 10, 1 << 16, 1 << 20, 1 << 22)  # floats in one all-reduce
RUN = "import sys; from kcnn_cli import main; main(sys.argv[1:])"
PEER_BYTES = 12.5e9  # bytes a second of a 100 Gbit/s network, the assumption of the calculation
PEER_DELAY = 20e-6  # seconds for one message there


def worker(out):
    """One process: the median step of each width, then all-reduces of growing size."""
    from kcnn import distribute

    strategy = distribute.strategy()
    import keras
    import numpy as np
    import tensorflow as tf

    import kcnn

    class Clock(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.times = []

        def on_train_batch_begin(self, batch, logs=None):
            self.began = time.perf_counter()

        def on_train_batch_end(self, batch, logs=None):
            self.times.append(time.perf_counter() - self.began)

    rng = np.random.default_rng(0)
    x = rng.normal(size=(BATCH * STEPS, SIDE, SIDE, 3)).astype("float32")
    y = rng.integers(0, 10, len(x))
    found = {"steps": {}, "all_reduce": {}}
    for width in WIDTHS:
        with strategy.scope():
            model = kcnn.create_model(
                "resnet20", classes=10, input_shape=(SIDE, SIDE, 3), width=width, norm="none"
            )
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            model.compile(keras.optimizers.SGD(1e-4), loss, jit_compile=False)
        clock = Clock()
        distribute.fit(
            model, x, y, batch_size=BATCH, epochs=1, verbose=0, shuffle=False, callbacks=[clock]
        )
        seconds = statistics.median(clock.times[WARM:])
        found["steps"][str(width)] = {"parameters": model.count_params(), "seconds": seconds}
    for size in SIZES if strategy.num_replicas_in_sync > 1 else ():
        values = tf.ones(size)

        def share(values=values):
            return tf.distribute.get_replica_context().all_reduce("SUM", values)

        reduce = tf.function(lambda share=share: strategy.run(share))
        times = []
        for _ in range(WARM + STEPS):
            began = time.perf_counter()
            strategy.experimental_local_results(reduce())[0].numpy()
            times.append(time.perf_counter() - began)
        found["all_reduce"][str(4 * size)] = statistics.median(times[WARM:])
    if distribute.cluster().chief:
        Path(out).write_text(json.dumps(found))


def measure():
    found = {}
    for count in (1, 2, 4):
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "found.json"
            command = [sys.executable, "-c", RUN, "launch", "--processes", str(count)]
            command += ["--logs", folder, __file__, "--worker", str(out)]
            environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT)}
            subprocess.run(command, check=True, env=environment)
            found[str(count)] = json.loads(out.read_text())
    import keras
    import tensorflow as tf

    machine = {
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "load": os.getloadavg()[0],
    }
    RESULT.write_text(json.dumps({"machine": machine, "processes": found}, indent=1) + "\n")


def table():
    result = json.loads(RESULT.read_text())
    found, machine = result["processes"], result["machine"]
    print(f"Measured on {machine['cores']} cores, load {machine['load']:.1f} at the end.")
    print(f"ResNet-20, {SIDE}x{SIDE}, one batch of {BATCH} shared by all processes\n")
    print(
        "| parameters | 1 process, ms | 2 processes | 4 processes | s for 1,000 images (1, 2, 4) |"
    )
    print("| ---: | ---: | ---: | ---: | ---: |")
    for width, one in found["1"]["steps"].items():
        seconds = [found[n]["steps"][width]["seconds"] for n in ("1", "2", "4")]
        ratios = " | ".join(f"x{s / seconds[0]:.2f}" for s in seconds[1:])
        costs = ", ".join(f"{s * 1000 / BATCH:.1f}" for s in seconds)
        print(f"| {one['parameters']:,} | {1e3 * seconds[0]:.0f} | {ratios} | {costs} |")
    print("\nAll-reduce on the loopback address, ms:\n")
    print("| bytes | 2 processes | 4 processes |")
    print("| ---: | ---: | ---: |")
    for size in found["2"]["all_reduce"]:
        two, four = (1e3 * found[n]["all_reduce"][size] for n in ("2", "4"))
        print(f"| {int(size):,} | {two:.2f} | {four:.2f} |")
    print(
        "\nCalculated, not measured: a ring all-reduce of the gradients (2 (n-1)/n of their bytes, "
        f"2 (n-1) messages) over {PEER_BYTES / 1e9:g} GB/s and {1e6 * PEER_DELAY:g} us, not "
        "overlapped with the step, each worker with a batch of its own as large as the one above.\n"
    )
    print("| parameters | step, ms | + all-reduce, 64 workers | 1,024 workers |")
    print("| ---: | ---: | ---: | ---: |")
    for one in found["1"]["steps"].values():
        cells = []
        for n in (64, 1024):
            size = 4 * one["parameters"]
            ring = 2 * (n - 1) / n * size / PEER_BYTES + 2 * (n - 1) * PEER_DELAY
            cells.append(f"{1e3 * ring:.1f} ms, {one['seconds'] / (one['seconds'] + ring):.0%}")
        print(f"| {one['parameters']:,} | {1e3 * one['seconds']:.0f} | {' | '.join(cells)} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", action="store_true", help="print what was measured")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        worker(arguments.worker)
    else:
        if not arguments.table:
            measure()
        table()
