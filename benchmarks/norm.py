"""Speed and error of GroupNorm and InstanceNorm beside Keras's GroupNormalization.

    python benchmarks/norm.py [--dtypes float32 ...] [--modes plain ...] [--shapes 0 1 ...]
    python benchmarks/norm.py --drawn 12    a table drawn by lot, the same at each start
    python benchmarks/norm.py --errors      the errors alone
    python benchmarks/norm.py --table       what norm.json holds

Forward and backward (y, dx, dgamma and dbeta are asked for) through `tf.function`, plain and
with `jit_compile=True`, on the maps of ResNets; the layers take turns in one process, medians
are kept, in milliseconds. `unknown batch` traces with a batch dimension of None, as `fit`
does; `unknown size` leaves height and width open, so that nothing is compiled; `inference`
is the forward pass alone. The table drawn by lot has 24 to 512 channels, 1 to 64 of them a
group, and maps of 14 x 14 to 224 x 224. For one core: `taskset -c 0 python ...`. Errors are those
of float32 against float64 at mean 1e3, std 1. PyTorch's own kernel takes its turn where PyTorch
is installed. Each measurement replaces its line in norm.json beside this file, which so can be
written in pieces.
"""

import argparse
import functools
import importlib.util
import json
import math
import os
import pathlib
import random
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from kcnn.layers import GroupNorm, InstanceNorm

RESULTS = pathlib.Path(__file__).with_suffix(".json")

# (batch, height, width, channels), groups; None: instance norm.
SHAPES = [
    ((32, 56, 56, 64), 32),
    ((32, 28, 28, 128), 32),
    ((8, 112, 112, 64), 32),
    ((128, 32, 32, 16), 8),
    ((32, 7, 7, 512), 32),
    ((32, 56, 56, 64), None),
    # The rest of a ResNet-20 at 32 x 32 and of a ResNet-18 at 64 x 64.
    ((128, 16, 16, 32), 16),
    ((128, 8, 8, 64), 32),
    ((32, 16, 16, 64), 32),
    ((32, 4, 4, 256), 32),
    ((32, 2, 2, 512), 32),
]
DRAWN_SIDES = (14, 20, 28, 40, 56, 80, 112, 160, 224)
DRAWN_CHANNELS = (24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 256, 320, 384, 512)
DRAWN_ROWS = 12
DRAWN_VALUES = 2**22  # of a map, about: 16 MB
POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
MODES = ("plain", "jit", "unknown batch", "unknown size", "inference")


def drawn(count, seed=17):
    """Shapes and groups by lot; the first of a longer table are those of a shorter one."""
    lot, rows = random.Random(seed), []
    while len(rows) < count:
        side, channels = lot.choice(DRAWN_SIDES), lot.choice(DRAWN_CHANNELS)
        depth = lot.choice([d for d in range(1, 65) if channels % d == 0])
        images = DRAWN_VALUES / (side * side * channels)
        if images >= 0.5:  # of at least one image twice as large
            batch = 2 ** max(0, min(7, round(math.log2(images))))
            rows.append(((batch, side, side, channels), channels // depth))
    return rows


def ours(groups, policy):
    """Our layer."""
    if groups is None:
        return InstanceNorm(dtype=policy)
    return GroupNorm(groups, dtype=policy)


def theirs(groups, policy):
    """Keras's layer, with the same epsilon."""
    return keras.layers.GroupNormalization(groups or -1, epsilon=1e-5, dtype=policy)


def step(layer, shape, dtype, mode):
    """A function of (x, dy) that returns y and the gradients of x, gamma and beta."""
    layer.build(shape)

    def run(x, dy):
        if mode == "inference":
            return layer(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
        return y, *tape.gradient(y, [x, *layer.trainable_variables], dy)

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


def torch_step(shape, groups, backward=True):
    """PyTorch's group_norm on the same map, float32, channels last."""
    import torch

    x = torch.randn(shape).permute(0, 3, 1, 2).requires_grad_(backward)
    gamma = torch.ones(shape[3], requires_grad=backward)
    beta = torch.zeros(shape[3], requires_grad=backward)
    dy = torch.randn(shape).permute(0, 3, 1, 2)

    def run():
        y = torch.nn.functional.group_norm(x, groups or shape[3], gamma, beta, 1e-5)
        return torch.autograd.grad(y, (x, gamma, beta), dy) if backward else y

    return run


def speed(shape, groups, dtype, mode, rounds):
    """One measurement, as a line of the results."""
    x = tf.cast(tf.random.normal(shape), dtype)
    dy = tf.cast(tf.random.normal(shape), dtype)
    functions = {}
    for name, make in (("keras", theirs), ("ours", ours)):
        run = step(make(groups, POLICIES[dtype]), shape, dtype, mode)
        functions[name] = functools.partial(run, x, dy)
    torch_too = dtype == "float32" and mode in ("plain", "inference")
    if torch_too and importlib.util.find_spec("torch"):
        functions["torch"] = torch_step(shape, groups, mode == "plain")
    milliseconds = take_turns(functions, rounds)
    return {
        "shape": list(shape),
        "groups": groups,
        "dtype": dtype,
        "mode": mode,
        **{name: round(t, 3) for name, t in milliseconds.items()},
        "cores": len(os.sched_getaffinity(0)),
        "drawn": (tuple(shape), groups) in drawn(DRAWN_ROWS),
    }


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


def errors(shape, groups, mode):
    """Errors of both layers at mean 1e3: rms of y and dx, the largest of dgamma and dbeta."""
    rng = np.random.default_rng(0)
    x = (rng.standard_normal(shape) + 1e3).astype("float32")
    dy = rng.standard_normal(shape).astype("float32")
    want = exact(x, dy, groups or shape[3])
    line = {"shape": list(shape), "groups": groups, "dtype": "float32", "error": mode}
    for name, make in (("keras", theirs), ("ours", ours)):
        got = step(make(groups, "float32"), shape, "float32", mode)(x, dy)
        off = [np.array(g, "float64") - w for g, w in zip(got, want, strict=True)]
        found = [np.sqrt(np.mean(o**2)) for o in off[:2]] + [np.abs(o).max() for o in off[2:]]
        names = ("y", "dx", "dgamma", "dbeta")
        line[name] = {n: float(f"{e:.3g}") for n, e in zip(names, found, strict=True)}
    return line


def keep(line):
    """Put a line into the results, in the place of its predecessor."""
    known = json.loads(RESULTS.read_text())["lines"] if RESULTS.exists() else []
    key = ("shape", "groups", "dtype", "mode", "error", "cores")
    known = [old for old in known if [old.get(k) for k in key] != [line.get(k) for k in key]]
    versions = {"tensorflow": tf.__version__, "keras": keras.__version__}
    lines = ",\n".join(json.dumps(old) for old in [*known, line])
    RESULTS.write_text(f'{{"versions": {json.dumps(versions)}, "lines": [\n{lines}\n]}}\n')


def show(line):
    """Print one line."""
    place = f"{tuple(line['shape'])!s:20} {line['groups'] or 'inst':>5} {line['dtype']:9}"
    if "error" in line:
        for name in ("keras", "ours"):
            row = " ".join(f"{n} {e:.1e}" for n, e in line[name].items())
            print(f"{place} error {line['error']:6} {name:6} {row}", flush=True)
        return
    extra = f"  torch {line['torch']:.2f}" if "torch" in line else ""
    print(
        f"{place} {line['mode']:13} keras {line['keras']:7.2f}  ours {line['ours']:6.2f}  "
        f"{line['keras'] / line['ours']:5.2f}x{extra}",
        flush=True,
    )


def table():
    """Print the results and what they come to."""
    lines = json.loads(RESULTS.read_text())["lines"]
    place = {name: i for i, name in enumerate(MODES)}
    lines.sort(key=lambda a: (a["dtype"], place.get(a.get("mode"), 9), "error" in a))
    large, least, by_lot = {}, {}, {}
    for line in lines:
        show(line)
        if "error" in line:
            continue
        if line.get("drawn"):
            by_lot.setdefault((line["dtype"], line["mode"], line["cores"]), []).append(line)
            continue
        ratio, kind = line["keras"] / line["ours"], (line["dtype"], line["mode"])
        least.setdefault(kind, []).append(ratio)
        if line["groups"] and line["shape"][1] >= 28:
            large.setdefault(kind, []).append(ratio)
    print("\nGroupNorm, 28 x 28 and larger: geometric mean and least; least of all shapes")
    for (dtype, mode), found in large.items():
        mean = statistics.geometric_mean(found)
        print(
            f"  {dtype:9} {mode:13} {mean:.2f}x  {min(found):.2f}x   {min(least[dtype, mode]):.2f}x"
        )
    print("\nThe table drawn by lot: geometric mean and least of all shapes")
    for (dtype, mode, cores), rows in by_lot.items():
        for peer in ("keras", "torch"):
            ratios = [row[peer] / row["ours"] for row in rows if peer in row]
            if ratios:
                mean = statistics.geometric_mean(ratios)
                place = f"{dtype:9} {mode:13} {cores} cores  {len(ratios):2} shapes"
                print(f"  {place}  {mean:.2f}x {peer}  least {min(ratios):.2f}x")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dtypes", nargs="+", default=list(POLICIES), choices=POLICIES)
    parser.add_argument("--modes", nargs="+", default=["plain", "jit"], choices=MODES)
    parser.add_argument("--shapes", nargs="+", type=int, default=range(len(SHAPES)))
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--drawn", type=int, default=0, metavar="ROWS", help=f"up to {DRAWN_ROWS}")
    parser.add_argument("--errors", action="store_true")
    parser.add_argument("--table", action="store_true")
    args = parser.parse_args()
    if args.table:
        table()
        return
    for shape, groups in drawn(args.drawn) or [SHAPES[i] for i in args.shapes]:
        if args.errors:
            lines = [errors(shape, groups, mode) for mode in ("plain", "jit")]
        else:
            kinds = ((dtype, mode) for dtype in args.dtypes for mode in args.modes)
            lines = (speed(shape, groups, *kind, args.rounds) for kind in kinds)
        for line in lines:
            show(line)
            keep(line)


if __name__ == "__main__":
    main()
