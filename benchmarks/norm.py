"""Speed and error of GroupNorm and InstanceNorm beside Keras's GroupNormalization.

    python benchmarks/norm.py [--dtypes float32 bfloat16 float16] [--rounds 15] [--torch]

Forward and backward through `tf.function`, plain and with `jit_compile=True`, on the maps of
ResNets; the layers take turns in one process and medians are printed, in milliseconds.
`unknown batch` traces with a batch dimension of None, as `fit` does; `unknown size` leaves
height and width open, so that nothing is compiled. Errors are those of float32 against
float64 at mean 1e3, std 1. `--torch` adds PyTorch's own kernel where PyTorch is installed.
"""

import argparse
import functools
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from kcnn.layers import GroupNorm, InstanceNorm

# (batch, height, width, channels), groups; None: instance norm.
SHAPES = [
    ((32, 56, 56, 64), 32),
    ((32, 28, 28, 128), 32),
    ((8, 112, 112, 64), 32),
    ((128, 32, 32, 16), 8),
    ((32, 7, 7, 512), 32),
    ((32, 56, 56, 64), None),
]
POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
MODES = ("plain", "jit", "unknown batch", "unknown size")


def ours(groups, policy):
    """Our layer."""
    if groups is None:
        return InstanceNorm(dtype=policy)
    return GroupNorm(groups, dtype=policy)


def theirs(groups, policy):
    """Keras's layer, with the same epsilon."""
    return keras.layers.GroupNormalization(groups or -1, epsilon=1e-5, dtype=policy)


def step(layer, shape, dtype, mode):
    """A function of (x, dy) that returns the gradients of x, gamma and beta."""
    layer.build(shape)

    def run(x, dy):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
        return tape.gradient(y, [x, *layer.trainable_variables], dy)

    open_shape = {"unknown batch": (None, *shape[1:]), "unknown size": (None,) * 3 + shape[3:]}
    if mode in open_shape:
        spec = tf.TensorSpec(open_shape[mode], dtype)
        return tf.function(run, input_signature=[spec, spec])
    return tf.function(run, jit_compile=mode == "jit")


def take_turns(functions, rounds):
    """Median milliseconds of each function; one call of each a round."""
    for f in functions.values():
        f()
        f()
    times = {name: [] for name in functions}
    for _ in range(rounds):
        for name, f in functions.items():
            start = time.perf_counter()
            f()
            times[name].append(1e3 * (time.perf_counter() - start))
    return {name: statistics.median(t) for name, t in times.items()}


def torch_step(shape, groups):
    """PyTorch's group_norm on the same map, channels last; None without PyTorch."""
    try:
        import torch
    except ImportError:
        return None
    x = torch.randn(shape).permute(0, 3, 1, 2).requires_grad_()
    gamma = torch.ones(shape[3], requires_grad=True)
    beta = torch.zeros(shape[3], requires_grad=True)
    dy = torch.randn(shape).permute(0, 3, 1, 2)

    def run():
        y = torch.nn.functional.group_norm(x, groups or shape[3], gamma, beta, 1e-5)
        torch.autograd.grad(y, (x, gamma, beta), dy)

    return run


def speed(dtypes, modes, rounds, with_torch):
    """Print one line for each shape, type and mode; then the geometric means."""
    print(
        f"{'shape':20} {'groups':>6} {'type':9} {'mode':13} {'keras':>7} {'ours':>7} {'ratio':>6}"
    )
    ratios = {}
    for shape, groups in SHAPES:
        for dtype in dtypes:
            x = tf.cast(tf.random.normal(shape), dtype)
            dy = tf.cast(tf.random.normal(shape), dtype)
            for mode in modes:
                functions = {}
                for name, make in (("keras", theirs), ("ours", ours)):
                    run = step(make(groups, POLICIES[dtype]), shape, dtype, mode)
                    functions[name] = functools.partial(run, x, dy)
                native = with_torch and dtype == "float32" and mode == "plain"
                native = torch_step(shape, groups) if native else None
                if native:
                    functions["torch"] = native
                t = take_turns(functions, rounds)
                ratio = t["keras"] / t["ours"]
                extra = f"  torch {t['torch']:.1f}" if native else ""
                print(
                    f"{shape!s:20} {groups or 'inst':>6} {dtype:9} {mode:13} "
                    f"{t['keras']:7.1f} {t['ours']:7.1f} {ratio:5.2f}x{extra}",
                    flush=True,
                )
                if groups and shape[1] >= 28:
                    ratios.setdefault((dtype, mode), []).append(ratio)
    print("\nGroupNorm on maps of 28x28 and larger: geometric mean, least")
    for (dtype, mode), found in ratios.items():
        print(f"  {dtype:9} {mode:13} {statistics.geometric_mean(found):.2f}x  {min(found):.2f}x")


def exact(x, dy, groups, epsilon=1e-5):
    """y, dx, dgamma, dbeta for gamma 1 and beta 0, in float64 NumPy."""
    v = x.astype("float64").reshape(len(x), -1, groups, x.shape[-1] // groups)
    mean, var = v.mean((1, 3), keepdims=True), v.var((1, 3), keepdims=True)
    y = (v - mean) / np.sqrt(var + epsilon)
    d = dy.astype("float64").reshape(v.shape)
    means = d.mean((1, 3), keepdims=True), (d * y).mean((1, 3), keepdims=True)
    dx = (d - means[0] - y * means[1]) / np.sqrt(var + epsilon)
    y, dx, d = (t.reshape(x.shape) for t in (y, dx, d))
    return y, dx, (d * y).sum((0, 1, 2)), d.sum((0, 1, 2))


def errors():
    """Print the errors of both layers at mean 1e3: rms of y and dx, largest of the rest."""
    print("\nfloat32 against float64 at mean 1e3, std 1: rms of y and dx, largest of the others")
    print(f"{'shape':20} {'groups':>6} {'layer':6} {'y':>9} {'dx':>9} {'dgamma':>9} {'dbeta':>9}")
    rng = np.random.default_rng(0)
    for shape, groups in SHAPES:
        x = (rng.standard_normal(shape) + 1e3).astype("float32")
        dy = rng.standard_normal(shape).astype("float32")
        want = exact(x, dy, groups or shape[3])
        for name, make in (("keras", theirs), ("ours", ours)):
            layer = make(groups, "float32")
            got = [layer(x).numpy()]
            got += [np.array(g) for g in step(layer, shape, "float32", "plain")(x, dy)]
            off = [got[i].astype("float64") - want[i] for i in range(4)]
            found = [np.sqrt(np.mean(off[i] ** 2)) for i in range(2)]
            found += [np.abs(off[i]).max() for i in (2, 3)]
            row = " ".join(f"{e:9.1e}" for e in found)
            print(f"{shape!s:20} {groups or 'inst':>6} {name:6} {row}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dtypes", nargs="+", default=["float32"], choices=POLICIES)
    parser.add_argument("--modes", nargs="+", default=MODES, choices=MODES)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--torch", action="store_true")
    parser.add_argument("--no-errors", action="store_true")
    args = parser.parse_args()
    speed(args.dtypes, args.modes, args.rounds, args.torch)
    if not args.no_errors:
        errors()


if __name__ == "__main__":
    main()
