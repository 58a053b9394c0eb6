"""Every registered network: what it costs, and how near its outputs are to its reference's.

    python benchmarks/networks.py [PATTERN]     measures those and prints the table
    python benchmarks/networks.py --table       prints what networks.json holds

Parameters and multiply-adds are counted for the published size and number of classes. The
difference is the largest one of seven logits of two random images, relative to the largest logit,
with random weights copied from the reference by `load_weights`. Both compute in float64 (the
logits here are float32), for deep random networks blow up what is rounded. The reference is
keras.applications' network, or timm's or torchvision's by the interpreter that KCNN_PEERS names
(this one if it is not set). The CIFAR and plain networks have no other reference than the count
that follows from the paper (tests/test_models_published.py).
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import kcnn

RESULTS = pathlib.Path(__file__).with_suffix(".json")
CLASSES = 7
BARE = {"include_preprocessing": False}
# What keras.applications' ResNets do otherwise than torchvision's.
AS_KERAS = {"use_bias": True, "norm_kwargs": {"epsilon": 1.001e-5}}
V1 = {**AS_KERAS, "stride_on": "1x1"}
# name: (library, name there, its options, our options); side of the images if not 64.
REFERENCES = {
    **{f"resnet{n}": ("keras", f"ResNet{n}", {}, V1) for n in (50, 101, 152)},
    **{f"resnet{n}v2": ("keras", f"ResNet{n}V2", {}, AS_KERAS) for n in (50, 101, 152)},
    **{f"vgg{n}": ("keras", f"VGG{n}", {}, {}) for n in (16, 19)},
    **{f"vgg{n}": ("torchvision", f"vgg{n}", {}, {}) for n in (11, 13)},
    "alexnet": ("torchvision", "alexnet", {}, {}),
    **{f"resnet{n}": ("torchvision", f"resnet{n}", {}, {}) for n in (18, 34)},
    **{n: ("torchvision", n, {}, {}) for n in ("resnext50_32x4d", "resnext101_32x8d")},
    **{f"seresnet{n}": ("timm", f"seresnet{n}", {}, {}) for n in (50, 101, 152)},
    "seresnext50_32x4d": ("timm", "seresnext50_32x4d", {}, {}),
    "mobilenet_v2": ("keras", "MobileNetV2", {}, {}),
    "mobilenet_v3_large": ("keras", "MobileNetV3Large", BARE, {}),
    "mobilenet_v3_small": ("keras", "MobileNetV3Small", BARE, {}),
    **{f"efficientnet_b{i}": ("keras", f"EfficientNetB{i}", {}, {}) for i in range(8)},
    "efficientnet_v2_s": ("keras", "EfficientNetV2S", BARE, {}),
    **{f"efficientnet_lite{i}": ("timm", f"tf_efficientnet_lite{i}", {}, {}) for i in range(5)},
    "convnext_tiny": ("keras", "ConvNeXtTiny", BARE, {}),
    "convnext_small": ("keras", "ConvNeXtSmall", BARE, {}),
    "convnext_base": ("keras", "ConvNeXtBase", BARE, {}),
}
SIDES = {"alexnet": 224, "vgg": 224}


def randomize(model):
    """Biases, norms, scales and moving statistics drawn anew; all of them float32 numbers."""
    rng = np.random.default_rng(0)
    for w in model.weights:
        value = np.asarray(w)
        if w.name in ("bias", "beta", "moving_mean"):
            value = rng.normal(0, 0.1, w.shape)
        elif w.name in ("gamma", "moving_variance") or w.name.startswith("variable"):
            value = rng.uniform(0.5, 1.5, w.shape)
        w.assign(value.astype("float32"))


def of_keras(name, options, side):
    """keras.applications' model as the source of weights, images and its logits of them."""
    # VGG's dense layers and its number of classes go together there.
    fixed = {} if name.startswith("VGG") else {"classes": CLASSES}
    theirs = getattr(keras.applications, name)(
        weights=None, input_shape=(side, side, 3), classifier_activation=None, **fixed, **options
    )
    randomize(theirs)
    x = np.random.default_rng(1).normal(size=(2, side, side, 3))
    # Its first EfficientNets divide the image by 255 themselves.
    scale = 255 if name.startswith("EfficientNetB") else 1
    return theirs, x, theirs.predict(scale * x, verbose=0)


def of_torch(library, name, side):
    """The same of a torch network, from a process of its own."""
    python = os.environ.get("KCNN_PEERS", sys.executable)
    script = pathlib.Path(__file__).with_name("_torch_outputs.py")
    with tempfile.TemporaryDirectory() as folder:
        file = f"{folder}/weights.npz"
        command = [python, str(script), library, name, file, str(side)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{library}'s {name} did not run by {python} (KCNN_PEERS):\n{done.stderr}")
        with np.load(file) as arrays:
            tensors = {key: arrays[key] for key in arrays.files}
    return tensors, tensors.pop("x"), tensors.pop("y")


def difference(name):
    """(reference in words, largest relative difference), or (None, None) without one."""
    if name not in REFERENCES:
        return None, None
    keras.config.set_dtype_policy("float64")
    library, theirs, their_options, options = REFERENCES[name]
    side = next((s for prefix, s in SIDES.items() if name.startswith(prefix)), 64)
    if library == "keras":
        source, x, expected = of_keras(theirs, their_options, side)
    else:
        source, x, expected = of_torch(library, theirs, side)
    ours = kcnn.create_model(name, expected.shape[1], input_shape=x.shape[1:], **options)
    kcnn.models.load_weights(ours, source, skip="normalization*")
    worst = np.abs(ours.predict(x, verbose=0) - expected).max() / np.abs(expected).max()
    keras.config.set_dtype_policy("float32")
    keras.utils.clear_session()
    return f"{library} {theirs}", float(f"{worst:.1e}")


def measure(pattern):
    """Measure the networks that match, each kept as soon as it is done."""
    for name in kcnn.list_models(pattern):
        info = kcnn.models.model_info(name)
        reference, worst = difference(name)
        known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        known[name] = {
            "parameters": info.parameters,
            "multiply_adds": info.multiply_adds,
            "input": list(info.input),
            "reference": reference,
            "difference": worst,
            "source": info.source,
        }
        RESULTS.write_text(json.dumps(known, indent=1) + "\n")


def table():
    """Print the results."""
    known = json.loads(RESULTS.read_text())
    print(f"{'network':20} {'parameters':>12} {'M mult-adds':>12}  {'difference':>10}  reference")
    for name in kcnn.list_models():
        if (row := known.get(name)) is None:
            continue
        worst = "" if row["difference"] is None else f"{row['difference']:.1e}"
        reference = row["reference"] or f"counted: {row['source']}"
        print(
            f"{name:20} {row['parameters']:12,} {row['multiply_adds'] / 1e6:12,.0f}"
            f"  {worst:>10}  {reference}"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pattern", nargs="?", default="*")
    parser.add_argument("--table", action="store_true")
    args = parser.parse_args()
    if not args.table:
        measure(args.pattern)
    table()


if __name__ == "__main__":
    main()
