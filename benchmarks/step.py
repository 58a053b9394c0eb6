"""Training steps a second of ResNets with each kind of normalization.

    python benchmarks/step.py [--model resnet20|resnet18] [--rounds 8] [--norms ...] [--torch]

One process, one compiled step for each model (`model.train_function`'s way: forward, loss,
backward, SGD with momentum), taking turns; medians, in images a second. "keras group" is
the same model with `keras.layers.GroupNormalization` and the same groups. `--torch` adds the
same network written in PyTorch, where PyTorch is installed (channels last in memory).
"""

import argparse
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from kcnn import create_model
from kcnn.layers import norm

SETTINGS = {  # batch, side in pixels
    "resnet20": (128, 32),
    "resnet18": (32, 64),
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


def keras_step(model_name, kind, batch, side):
    """A function that takes one training step and waits for it."""
    model = create_model(model_name, classes=10, input_shape=(side, side, 3), norm=KINDS[kind])
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
    import torch
    from _torch_resnet import resnet
    from torch import nn, optim, randint, randn

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


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="resnet20", choices=SETTINGS)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--norms", nargs="+", default=list(KINDS), choices=KINDS)
    parser.add_argument("--torch", action="store_true")
    args = parser.parse_args()
    batch, side = SETTINGS[args.model]
    steps = {kind: keras_step(args.model, kind, batch, side) for kind in args.norms}
    if args.torch:
        for kind in ("group", "batch", "none"):
            steps[f"torch {kind}"] = torch_step(args.model, kind, batch, side)
    first, times = {}, {name: [] for name in steps}
    for name, step in steps.items():
        start = time.perf_counter()
        step()
        first[name] = time.perf_counter() - start
        step()
    for _ in range(args.rounds):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            times[name].append(time.perf_counter() - start)
    print(f"{args.model}, batch {batch}, {side}x{side}")
    base = statistics.median(times[args.norms[0]])
    for name, found in times.items():
        median = statistics.median(found)
        print(
            f"  {name:14} {batch / median:7.0f} images/s   {base / median:.2f}x {args.norms[0]}"
            f"   first step {first[name]:.1f} s"
        )


if __name__ == "__main__":
    main()
