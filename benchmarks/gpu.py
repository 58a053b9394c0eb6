"""Norm layers, a ResNet-50's step, mixed precision and memory on a GPU, against Keras and PyTorch.

    KERAS_BACKEND=jax python benchmarks/gpu.py      or tensorflow, or torch (with torchvision)
    python benchmarks/gpu.py --table                what benchmarks/results/gpu_*.json hold
    python benchmarks/gpu.py --tiny                 tries the script itself, on any machine

One process times all, each step compiled, taking turns; medians of `ROUNDS` turns. A step is
`train_on_batch` of Keras, or forward, loss, backward and SGD of PyTorch's own modules on the torch
backend. Peak memory is the device's own count, each network in a process of its own. The suite of
layers on that device is `KERAS_BACKEND=... python -m pytest tests/test_layers*`, which this runs
first, and whose verdict is kept. The result is named after the device.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import kcnn

HERE = Path(__file__).parent
RESULTS = HERE / "results"
ROUNDS = 20
WARM = 3  # steps before the clock runs: tracing, compilation, the allocator's growth
MAPS = [(64, 56, 56, 64), (64, 28, 28, 480), (64, 14, 14, 1024), (16, 112, 112, 96)]
NETWORK = {"batch": 64, "side": 224}
PRECISIONS = ("float32", "mixed_bfloat16")
NETWORKS = {
    "kcnn batch": lambda shape: kcnn.create_model("resnet50", classes=1000, input_shape=shape),
    "kcnn group": lambda shape: kcnn.create_model(
        "resnet50", classes=1000, input_shape=shape, norm="group"
    ),
    "keras batch": lambda shape: keras.applications.ResNet50(
        weights=None, input_shape=shape, classifier_activation=None
    ),
}


def norms(channels):
    """Layers over maps of so many channels, by name."""
    ours = kcnn.layers.norm("group", channels=channels)
    return {
        "group": ours,
        "group plain": kcnn.layers.GroupNorm(ours.groups, implementation="plain"),
        "keras group": keras.layers.GroupNormalization(ours.groups, epsilon=1e-5),
        "instance": kcnn.layers.InstanceNorm(),
    }


def keras_step(model, x, y, loss):
    """A step of `train_on_batch`, on images that lie on the device already."""
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), loss)
    x, y = keras.ops.convert_to_tensor(x), keras.ops.convert_to_tensor(y)
    return lambda: float(model.train_on_batch(x, y))


def torch_step(module, x, y, loss, precision):
    """A step of PyTorch's own modules, channels last in memory as it likes them."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    module = module.to(device, memory_format=torch.channels_last)
    x = torch.tensor(np.moveaxis(x, -1, 1)).to(device, memory_format=torch.channels_last)
    y = torch.tensor(y if y.ndim == 1 else np.moveaxis(y, -1, 1)).to(device)
    optimizer = torch.optim.SGD(module.parameters(), 0.01, momentum=0.9)

    def step():
        optimizer.zero_grad()
        with torch.autocast(device, torch.bfloat16, enabled=precision != "float32"):
            value = loss(module(x), y)
        value.backward()
        optimizer.step()
        return value.item()

    return step


def layer_steps(shape, precision):
    """The steps of each norm layer on one map, by name."""
    rng = np.random.default_rng(0)
    x, y = (rng.standard_normal(shape).astype("float32") for _ in range(2))
    steps = {}
    for name, layer in norms(shape[-1]).items():
        model = keras.Sequential([keras.Input(shape[1:]), layer])
        steps[name] = keras_step(model, x, y, "mean_squared_error")
    if keras.backend.backend() == "torch":
        from torch import nn

        own = nn.GroupNorm(norms(shape[-1])["group"].groups, shape[-1])
        steps["torch group"] = torch_step(own, x, y, nn.functional.mse_loss, precision)
    return steps


def network_steps(batch, side, precision, only=None):
    """The steps of each network, by name."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, side, side, 3)).astype("float32")
    y = rng.integers(0, 1000, batch)
    steps = {}
    for name, build in NETWORKS.items():
        if only in (None, name):
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            steps[name] = keras_step(build((side, side, 3)), x, y, loss)
    if keras.backend.backend() == "torch" and only in (None, "torch batch"):
        from torch import nn
        from torchvision.models import resnet50

        steps["torch batch"] = torch_step(resnet50(), x, y, nn.functional.cross_entropy, precision)
    return steps


def take_turns(steps, rounds):
    """Median milliseconds of each step."""
    times = {name: [] for name in steps}
    for step in steps.values():
        for _ in range(WARM):
            step()
    for _ in range(rounds):
        for name, step in steps.items():
            began = time.perf_counter()
            step()
            times[name].append(time.perf_counter() - began)
    return {name: round(1e3 * statistics.median(t), 3) for name, t in times.items()}


def device():
    """The device's name, and a function that reads its peak memory in bytes (None: not counted)."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
        if not gpus:
            return "cpu", lambda: None
        name = tf.config.experimental.get_device_details(gpus[0]).get("device_name", "gpu")
        return name, lambda: tf.config.experimental.get_memory_info("GPU:0")["peak"]
    if backend == "jax":
        import jax

        first = jax.devices()[0]
        return first.device_kind, lambda: (first.memory_stats() or {}).get("peak_bytes_in_use")
    import torch

    if not torch.cuda.is_available():
        return "cpu", lambda: None
    return torch.cuda.get_device_name(), torch.cuda.max_memory_allocated


def peak(name, precision, network):
    """Peak bytes of a few steps of one network, in a process of its own."""
    words = [sys.executable, __file__, "--one", name, "--precision", precision]
    words += ["--batch", str(network["batch"]), "--side", str(network["side"])]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def suite():
    """What pytest says of the layers on this backend and device, in its last line."""
    files = sorted(str(file) for file in (HERE.parent / "tests").glob("test_layers*.py"))
    command = [sys.executable, "-m", "pytest", "-q", "-m", "not slow", *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=HERE.parent)
    return done.stdout.strip().splitlines()[-1]


def measure(maps, network, rounds, with_suite):
    found = {"device": device()[0], "backend": keras.backend.backend(), "keras": keras.__version__}
    if with_suite:
        found["suite of layers"] = suite()
    found |= {"layers": {}, "networks": {}, "peak bytes": {}}
    for precision in PRECISIONS:
        keras.mixed_precision.set_dtype_policy(precision)
        found["layers"][precision] = {
            str(shape): take_turns(layer_steps(shape, precision), rounds) for shape in maps
        }
        steps = network_steps(**network, precision=precision)
        found["networks"][precision] = take_turns(steps, rounds)
        found["peak bytes"][precision] = {name: peak(name, precision, network) for name in steps}
    return found


def table(found):
    """The result as text: milliseconds, and how many times as fast as Keras's own."""
    print(f"{found['device']}, {found['backend']}, Keras {found['keras']}")
    print(f"suite of layers: {found.get('suite of layers', 'not run')}")
    for precision in PRECISIONS:
        rows = {f"norm of {shape}": ms for shape, ms in found["layers"][precision].items()}
        rows["ResNet-50"] = found["networks"][precision]
        for what, ms in rows.items():
            base = ms["keras batch" if what == "ResNet-50" else "keras group"]
            told = ", ".join(f"{n} {v:.2f} ms ({base / v:.2f}x)" for n, v in ms.items())
            print(f"{precision} {what}: {told}")
        sizes = found["peak bytes"][precision].items()
        told = ", ".join(
            f"{n} {'not counted' if b is None else f'{b / 1e9:.2f} GB'}" for n, b in sizes
        )
        print(f"{precision} peak memory: {told}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiny", action="store_true", help="small maps, nothing is kept")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--no-suite", action="store_true")
    for name, kind in (("--one", str), ("--precision", str), ("--batch", int), ("--side", int)):
        parser.add_argument(name, type=kind, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        keras.mixed_precision.set_dtype_policy(args.precision)
        steps = network_steps(args.batch, args.side, args.precision, only=args.one)
        for _ in range(WARM):
            steps[args.one]()
        print(json.dumps(device()[1]()))
    elif args.table:
        for file in sorted(RESULTS.glob("gpu_*.json")):
            table(json.loads(file.read_text()))
    elif args.tiny:
        table(measure([(2, 4, 4, 12)], {"batch": 2, "side": 32}, 2, with_suite=False))
    else:
        found = measure(MAPS, NETWORK, ROUNDS, with_suite=not args.no_suite)
        name = re.sub(r"\W+", "-", f"{found['device']}_{found['backend']}".lower())
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"gpu_{name}.json").write_text(json.dumps(found, indent=1) + "\n")
        table(found)


if __name__ == "__main__":
    main()
