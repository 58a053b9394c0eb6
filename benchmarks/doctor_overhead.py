"""What the live doctor costs: ResNet-20 steps with and without it, alternating.

Run: python benchmarks/doctor_overhead.py [--rounds 5] [--steps 20] [--batch 128]

Prints the median seconds of an epoch of `--steps` steps on random 32x32 images with and
without `kcnn.callbacks.Doctor(x, y)`, and the median of the paired ratios; the goal is
an overhead under 3 %.
"""

import argparse
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def main() -> None:
    """Measure and print."""
    import keras
    import numpy as np

    import kcnn
    from kcnn.callbacks import Doctor

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--batch", type=int, default=128)
    options = parser.parse_args()
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    count = options.steps * options.batch
    x = rng.normal(size=(count, 32, 32, 3)).astype("float32")
    y = rng.integers(0, 10, count)
    model = kcnn.create_model("resnet20", classes=10, input_shape=(32, 32, 3))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), loss, metrics=["accuracy"])

    class Clock(keras.callbacks.Callback):
        """Seconds from the first step's begin to the end of the epoch, as others left it."""

        def on_epoch_begin(self, epoch, logs=None):
            self.begin = time.perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            self.seconds = time.perf_counter() - self.begin

    def epoch(callbacks):
        clock = Clock()
        model.fit(
            x, y, batch_size=options.batch, epochs=1, verbose=0, callbacks=[*callbacks, clock]
        )
        return clock.seconds

    class Timed(Doctor):
        """Adds up the seconds in its own hooks, which other programs on the machine spare."""

        spent = 0.0

        def __getattribute__(self, name):
            hook = super().__getattribute__(name)
            if name not in ("on_train_batch_end", "on_epoch_end"):
                return hook

            def timed(*args, **kwargs):
                begin = time.perf_counter()
                hook(*args, **kwargs)
                Timed.spent += time.perf_counter() - begin

            return timed

    epoch([Doctor(x[:128], y[:128], sink=None)])
    plain, watched = [], []
    for _ in range(options.rounds):
        plain.append(epoch([]))
        watched.append(epoch([Timed(x[:128], y[:128], sink=None)]))
    ratio = statistics.median(w / p for w, p in zip(watched, plain, strict=True))
    step = statistics.median(plain) / options.steps
    print(
        f"step {1000 * step:.1f} ms; epoch {statistics.median(plain):.2f} s without, "
        f"{statistics.median(watched):.2f} s with the doctor: {100 * (ratio - 1):+.1f} %; "
        f"in the doctor's own hooks {100 * Timed.spent / sum(watched):.2f} %"
    )


if __name__ == "__main__":
    main()
