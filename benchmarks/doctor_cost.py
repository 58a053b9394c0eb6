"""What the doctor costs: `examine` beyond the user's own fit, and the live doctor beside it.

Run: python benchmarks/doctor_cost.py [--rows 1000 10000 100000] [--rounds 5] [--only live]
     python benchmarks/doctor_cost.py --only scripts --rounds 1  # goes on where it was cut

`examine`: seconds beyond the fit inside it, against rows, width and epochs, on a table of 16
columns and a perceptron; a network that does well, and one whose rate is a thousandth of the
customary one. Live: ResNet-20 on random 32x32 images with and without `Doctor(x, y)`, alternating,
in 3 epochs of 100 and in 12 of 8 steps; the median of the paired ratios, and the share of the time
that is spent in the doctor's own hooks. Scripts: the six of `_doctor_scripts.py`, of a minute or
more, plain and under `kcnn doctor` by turns, seconds of the whole process by its processors and by
the clock, and their ratios. Writes doctor_cost.json beside this file.
"""

import argparse
import functools
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

NAMES = (
    "cnn_with_augmentation", "perceptron", "lstm", "resnet20_on_a_pipeline", "autoencoder",
    "own_train_step",
)  # fmt: skip

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def examined(rows: int, width: int, epochs: int, rate: float) -> dict[str, float]:
    """Seconds of `examine` and of the fit inside it."""
    import keras
    import numpy as np

    from kcnn.callbacks import examine

    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    y = rng.integers(0, 5, rows)
    x = (rng.normal(size=(5, 16))[y] + rng.normal(size=(rows, 16))).astype("float32")
    body = [keras.layers.Dense(width, "relu") for _ in range(2)]
    layers = [keras.Input((16,)), *body, keras.layers.Dense(5, "softmax")]
    model = keras.Sequential(layers)
    loss = "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
    begin = time.perf_counter()
    found = examine(model, x, y, epochs=epochs, batch_size=64, validation_split=0.1)
    whole = time.perf_counter() - begin
    fit = found.numbers["run_seconds"]
    return {
        "rows": rows, "width": width, "epochs": epochs, "rate": rate,
        "fit_s": round(fit, 2), "beyond_s": round(whole - fit, 2),
    }  # fmt: skip


def live(steps: int, batch: int, rounds: int) -> dict[str, float]:
    """Epochs with the doctor over epochs without, and the share of its own hooks."""
    import keras
    import numpy as np

    import kcnn
    from kcnn.callbacks import Doctor

    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(steps * batch, 32, 32, 3)).astype("float32")
    y = rng.integers(0, 10, len(x))
    model = kcnn.create_model("resnet20", classes=10, input_shape=(32, 32, 3))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), loss, metrics=["accuracy"])
    spent = []

    class Timed(Doctor):
        """Notes the seconds in its own hooks, which other programs on the machine spare."""

        def on_train_batch_end(self, batch, logs=None):
            begin = time.perf_counter()
            super().on_train_batch_end(batch, logs)
            spent.append(time.perf_counter() - begin)

        def on_epoch_end(self, epoch, logs=None):
            begin = time.perf_counter()
            super().on_epoch_end(epoch, logs)
            spent.append(time.perf_counter() - begin)

    class Clock(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.begin = time.perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            self.seconds = time.perf_counter() - self.begin

    length = max(3, 100 // steps)  # epochs of about 100 steps and more in all

    def run(callbacks, epochs=length):
        clock = Clock()
        model.fit(x, y, batch_size=batch, epochs=epochs, verbose=0, callbacks=[*callbacks, clock])
        return clock.seconds

    run([], 1)
    pairs = [(run([]), run([Timed(x[:128], y[:128], sink=None)])) for _ in range(rounds)]
    return {
        "steps": steps,
        "step_ms": round(1000 * statistics.median(p for p, _ in pairs) / (length * steps), 1),
        "ratio": round(statistics.median(w / p for p, w in pairs), 4),
        "own_share": round(sum(spent) / sum(w for _, w in pairs), 4),
    }


def spent(command: list[str]) -> tuple[float, float]:
    """Seconds of the processors and of the clock that a process takes."""
    before, begin = os.times(), time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    after = os.times()
    processors = after.children_user + after.children_system
    processors -= before.children_user + before.children_system
    return round(processors, 1), round(time.perf_counter() - begin, 1)


def scripts(
    rounds: int, share: float, known: dict[str, Any], keep: Callable[[dict[str, Any]], Any]
) -> None:
    """Each script plain and under the doctor by turns; each run is kept as soon as it is over."""
    file, tools = str(Path(__file__).with_name("_doctor_scripts.py")), Path(sys.executable).parent
    ways = {"plain": [sys.executable, file], "watched": [str(tools / "kcnn"), "doctor", file]}
    if known.get("share") != share:
        known = {}
    runs = known.setdefault("runs", {name: {way: [] for way in ways} for name in NAMES})
    for turn, name, way in itertools.product(range(rounds), NAMES, ways):
        if len(runs[name][way]) <= turn:
            runs[name][way].append(spent([*ways[way], name, str(share)]))
            print(name, way, runs[name][way][-1], flush=True)
            keep({"share": share, **ratios(runs), "runs": runs})


def ratios(runs: dict[str, dict[str, list[tuple[float, float]]]]) -> dict[str, Any]:
    """Watched over plain: the median of each script's pairs, and the median and largest of all."""
    found: dict[str, Any] = {"ratios": {}}
    for at, unit in enumerate(("cpu", "wall")):
        pairs = {name: list(zip(*ways.values(), strict=False)) for name, ways in runs.items()}
        each = {
            name: round(statistics.median(w[at] / p[at] for p, w in both), 3)
            for name, both in pairs.items()
            if both
        }
        if each:
            found["ratios"][unit] = each
            found[f"median_{unit}"] = round(statistics.median(each.values()), 3)
            found[f"largest_{unit}"] = max(each.values())
    return found


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[1000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--share", type=float, default=1.0, help="of the scripts' epochs")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--only", choices=("examine", "live", "scripts"))
    options = parser.parse_args()
    file = Path(__file__).with_suffix(".json")
    result = json.loads(file.read_text()) if file.exists() else {}

    def keep(part, measured):
        result[part] = measured
        file.write_text(json.dumps(result, indent=1) + "\n")

    if options.only in (None, "examine"):
        cases = [(rows, 64, 1, 1e-3) for rows in options.rows]
        cases += [(10_000, width, 1, 1e-3) for width in (16, 1024)]
        cases += [(10_000, 64, 4, 1e-3), (1000, 64, 8, 1e-6), (100_000, 64, 1, 1e-6)]
        keep("examine", [examined(*case) for case in cases])
        for row in result["examine"]:
            print(row)
    if options.only in (None, "live"):
        keep("live", [live(steps, options.batch, options.rounds) for steps in (100, 8)])
        for row in result["live"]:
            print(row)
    if options.only in (None, "scripts"):
        known = result.get("scripts", {}) if options.only else {}
        scripts(options.rounds, options.share, known, functools.partial(keep, "scripts"))


if __name__ == "__main__":
    main()
