"""Training steps a second of ResNets with each kind of normalization.

    python benchmarks/step.py [--models resnet20 resnet18] [--rounds 8] [--norms ...]
    python benchmarks/step.py --fresh      first step and peak memory, a process for each norm
    python benchmarks/step.py --fresh --activation gelu     the same with another activation
    python benchmarks/step.py --table      what step.json holds

One process, one compiled step for each model (`model.train_function`'s way: forward, loss,
backward, SGD with momentum), taking turns; medians, in images a second. "keras group" is
the same model with `keras.layers.GroupNormalization` and the same groups. Where PyTorch is
installed, the same network written in it takes its turn (channels last in memory). Peak
memory is what the largest resident set of the process has grown by since the imports, in MB;
how much of it is there with a batch of 8 already is the compiler's rather than the tensors'.
ConvNeXt, MobileNetV3 and EfficientNet are compared with keras.applications' networks of the same
name instead and, by --torch-python, an interpreter that has it, with timm's; dropout and
stochastic depth off.
The results of each run replace those of its model in step.json beside this file.
"""

import argparse
import importlib.util
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from _family_steps import FAMILIES, family_steps

from kcnn import create_model
from kcnn.layers import norm

RESULTS = pathlib.Path(__file__).with_suffix(".json")
SETTINGS = {  # batch, side in pixels
    "resnet20": (128, 32),
    "resnet18": (32, 64),
    **{name: row[2:] for name, row in FAMILIES.items()},
}


class KerasGroupNorm(keras.layers.GroupNormalization):
    """Keras's layer with the groups that `kcnn.layers.norm("group")` takes."""

    def __init__(self, **kwargs):
        super().__init__(epsilon=1e-5, **kwargs)

    def build(self, input_shape):
        self.groups = norm("group", channels=input_shape[self.axis]).groups
        super().build(input_shape)


KINDS = {
    "keras group": KerasGroupNorm,
    "group": "group",
    "instance": "instance",
    "batch": "batch",
    "none": "none",
}
TORCH_KINDS = ("group", "batch", "none")


def keras_step(model_name, kind, batch, side, activation="relu"):
    """A function that takes one training step and waits for it."""
    model = create_model(
        model_name,
        classes=10,
        input_shape=(side, side, 3),
        norm=KINDS[kind],
        activation=activation,
    )
    return step_of(model, batch, side)


def step_of(model, batch, side):
    """One compiled training step of a Keras model with ten classes, on images drawn once."""
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = keras.optimizers.SGD(0.01, momentum=0.9)
    optimizer.build(model.trainable_variables)
    spec = [tf.TensorSpec((None, side, side, 3)), tf.TensorSpec((None,), tf.int64)]

    @tf.function(input_signature=spec)
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = loss_of(y, model(x, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return loss

    rng = np.random.default_rng(0)
    x = tf.constant(rng.standard_normal((batch, side, side, 3)), "float32")
    y = tf.constant(rng.integers(0, 10, batch))
    return lambda: float(step(x, y))


def torch_step(model_name, kind, batch, side):
    """The same step in PyTorch; kind "group", "batch" or "none"."""
    sys.modules.setdefault("triton", None)  # its LLVM and TensorFlow's end the process together
    import torch
    from _torch_resnet import resnet
    from torch import nn, optim, randint, randn

    torch.set_num_threads(len(os.sched_getaffinity(0)))

    def make_norm(channels):
        if kind == "group":
            return nn.GroupNorm(norm("group", channels=channels).groups, channels)
        return nn.BatchNorm2d(channels) if kind == "batch" else nn.Identity()

    model = resnet(model_name, make_norm).to(memory_format=torch.channels_last)
    optimizer = optim.SGD(model.parameters(), 0.01, momentum=0.9)
    x = randn(batch, 3, side, side).to(memory_format=torch.channels_last)
    y = randint(0, 10, (batch,))

    def step():
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def take_turns(model_name, kinds, rounds, torch_python=None):
    """The results of one model: median images a second of every norm, or of every library."""
    if model_name in FAMILIES:
        steps, batch = family_steps(model_name, step_of, torch_python)
    else:
        batch, side = SETTINGS[model_name]
        steps = {kind: keras_step(model_name, kind, batch, side) for kind in kinds}
        if importlib.util.find_spec("torch"):
            steps |= {f"torch {k}": torch_step(model_name, k, batch, side) for k in TORCH_KINDS}
    times = {name: [] for name in steps}
    for step in steps.values():
        step()
        step()
    for _ in range(rounds):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            times[name].append(time.perf_counter() - start)
    speeds = {name: round(batch / statistics.median(t), 1) for name, t in times.items()}
    return {"images_per_second": speeds, "cores": len(os.sched_getaffinity(0))}


def one_fresh(model_name, kind, batch, activation):
    """First step in seconds and growth of the peak memory in MB, of this very process."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    step = keras_step(model_name, kind, batch, SETTINGS[model_name][1], activation)
    start = time.perf_counter()
    step()
    first = time.perf_counter() - start
    for _ in range(3):
        step()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"first_step_s": round(first, 2), "peak_mb": round((peak - before) / 1024)}


def fresh(model_name, kinds, activation):
    """`one_fresh` of every norm, each in a process of its own."""
    found = {}
    for kind in kinds:
        for batch in (8, SETTINGS[model_name][0]):
            command = [sys.executable, __file__, "--one", model_name, kind, activation, str(batch)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            line = json.loads(done.stdout.splitlines()[-1])
            found.setdefault(kind, {"of_8_mb": line["peak_mb"]}).update(line)
    return {"fresh" if activation == "relu" else f"fresh {activation}": found}


def keep(model_name, results):
    """Replace what the results hold of this model and kind."""
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    known["versions"] = {"tensorflow": tf.__version__, "keras": keras.__version__}
    known.setdefault(model_name, {}).update(results)
    RESULTS.write_text(json.dumps(known, indent=1) + "\n")


def told(once):
    """One result of `one_fresh`, in words."""
    return (
        f"  first step {once['first_step_s']:5.1f} s"
        f"  peak +{once['peak_mb']} MB, {once['of_8_mb']} of them fixed"
    )


def table():
    """Print the results."""
    known = json.loads(RESULTS.read_text())
    for model_name, (batch, side) in SETTINGS.items():
        found = known.get(model_name, {})
        speeds, once = found.get("images_per_second", {}), found.get("fresh", {})
        print(f"{model_name}, batch {batch}, {side}x{side}, {found.get('cores', '?')} cores")
        for name in dict.fromkeys([*speeds, *once]):
            row = f"  {name:14}"
            if name in speeds:
                row += f" {speeds[name]:7.1f} images/s"
                base = "keras" if "keras" in speeds else "keras group"
                row += f"  {speeds[name] / speeds[base]:5.2f}x {base}"
            if name in once:
                row += told(once[name])
            print(row)
        for key in (key for key in found if key.startswith("fresh ")):
            for name, line in found[key].items():
                print(f"  {name:14} with {key.removeprefix('fresh ')} {told(line)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=list(SETTINGS), choices=SETTINGS)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--norms", nargs="+", default=list(KINDS), choices=KINDS)
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--activation", default="relu")
    parser.add_argument("--torch-python", metavar="PATH", help="an interpreter that has timm")
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        model_name, kind, activation, batch = args.one
        print(json.dumps(one_fresh(model_name, kind, int(batch), activation)))
        return
    if not args.table:
        for name in args.models:
            by_norm = args.fresh and name not in FAMILIES
            found = fresh(name, args.norms, args.activation) if by_norm else None
            keep(name, found or take_turns(name, args.norms, args.rounds, args.torch_python))
    table()


if __name__ == "__main__":
    main()
