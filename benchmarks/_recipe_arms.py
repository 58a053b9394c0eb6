"""One arm of benchmarks/recipe.py: trains for so many seconds, prints its test accuracy."""

import contextlib
import json
import os
import sys
import time
from pathlib import Path

import numpy as np

CLOCKS = {"wall": time.monotonic, "cpu": time.process_time}
VAL_SHARE = 0.1
SEARCH_SHARE = 0.6  # of the time, for KerasTuner's search


class Data:
    """The images as every arm has them; the last tenth of the training images is held out."""

    def __init__(self, file):
        self.file = file
        with np.load(file) as held:
            x, y = held["x"], held["y"].astype("int64")
            self.test = held["x_test"], held["y_test"].astype("int64")
        n = round(len(x) * (1 - VAL_SHARE))
        self.train, self.val = (x[:n], y[:n]), (x[n:], y[n:])


class Time:
    """So many seconds from now on."""

    def __init__(self, seconds, now):
        self.now, self.began = now, now()
        self.end = self.began + seconds

    @property
    def left(self):
        return max(0.0, self.end - self.now())


def accuracy(model, data):
    predicted = model.predict(data.test[0].astype("float32"), batch_size=256, verbose=0)
    return float((predicted.argmax(axis=1) == data.test[1]).mean())


def trained(model, data, time_left, *, batch_size=32, rate=None):
    """`fit` with Keras's defaults until the time has ended; the best epoch's weights stay."""
    import keras

    class Deadline(keras.callbacks.Callback):
        best, weights, epochs = -1.0, None, 0

        def on_train_batch_end(self, batch, logs=None):
            if not time_left.left:
                self.model.stop_training = True

        def on_epoch_end(self, epoch, logs=None):
            self.epochs = epoch + 1
            if logs["val_accuracy"] > self.best:
                self.best, self.weights = logs["val_accuracy"], self.model.get_weights()
            if not time_left.left:
                self.model.stop_training = True

    if not model.compiled:
        optimizer = keras.optimizers.Adam() if rate is None else keras.optimizers.Adam(rate)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer, loss, metrics=["accuracy"])
    deadline = Deadline()
    model.fit(
        *data.train,
        batch_size=batch_size,
        epochs=100_000,
        validation_data=data.val,
        verbose=0,
        callbacks=[deadline],
    )
    model.set_weights(deadline.weights)
    return deadline.epochs


def recipe(data, time_left, seed, folder, *options):
    """The command itself."""
    from kcnn.recipe.clock import Clock
    from kcnn_cli import main

    Clock.now = staticmethod(time_left.now)
    out = Path(folder) / f"run-{os.getpid()}"
    command = ["recipe", "--data", str(data.file), "--out", str(out), "--seed", str(seed)]
    command += ["--time", f"{time_left.left:.1f}s", *options]
    try:
        main.main(command, standalone_mode=False)
    except SystemExit as ended:
        if ended.code:
            raise
    record = json.loads((out / "result.json").read_text())
    keep = os.environ.get("KCNN_BENCHMARK_RUNS")
    if keep:
        import shutil

        shutil.copytree(out, Path(keep) / f"{out.name}", dirs_exist_ok=True)
    steps = record["steps"]
    run = steps[4]["result"]["runs"][steps[4]["result"]["best"]]
    scored = record["seconds"] - sum(step["seconds"] for step in steps)  # and exported
    trained_after = time_left.now() - time_left.began - scored
    note = f"{record['model']['source']}, {run['epochs']} epochs at the end, trained after "
    return record["test"]["accuracy"], note + f"{trained_after:.0f} s"


def network(name, data):
    """A network of kcnn as the recipe builds it: normalized inputs, 3x3 stem."""
    import keras

    import kcnn

    keras.utils.set_random_seed(0)
    x = data.train[0].astype("float32")
    layer = keras.layers.Normalization(mean=[x.mean()], variance=[x.var()])
    return kcnn.create_model(
        name, classes=10, input_shape=x.shape[1:], stem="cifar", norm="batch", preprocess=layer
    )


def adam(data, time_left, seed, folder):
    import keras

    model = network("resnet20", data)
    keras.utils.set_random_seed(seed)
    epochs = trained(model, data, time_left)
    return accuracy(model, data), f"ResNet-20, {epochs} epochs"


def cnn(data, time_left, seed, folder):
    import keras

    keras.utils.set_random_seed(seed)
    layers = [
        keras.Input((28, 28, 1)),
        keras.layers.Rescaling(1 / 255),
        keras.layers.Conv2D(32, 3, activation="relu"),
        keras.layers.MaxPooling2D(),
        keras.layers.Conv2D(64, 3, activation="relu"),
        keras.layers.MaxPooling2D(),
        keras.layers.Flatten(),
        keras.layers.Dropout(0.5),
        keras.layers.Dense(10),
    ]
    model = keras.Sequential(layers)
    epochs = trained(model, data, time_left)
    return accuracy(model, data), f"two convolutions, {epochs} epochs"


def mobilenet(data, time_left, seed, folder):
    import keras

    keras.utils.set_random_seed(seed)
    body = keras.applications.MobileNetV2(
        weights=None, classes=10, input_shape=(32, 32, 3), classifier_activation=None
    )
    for layer in body.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.99  # Keras's default: with its 0.999 it says one class for all
    images = keras.Input((28, 28, 1))
    x = keras.layers.Rescaling(1 / 127.5, offset=-1)(keras.layers.ZeroPadding2D(2)(images))
    model = keras.Model(images, body(keras.layers.Concatenate()([x, x, x])))
    epochs = trained(model, data, time_left)
    return accuracy(model, data), f"MobileNetV2, {epochs} epochs"


def tuned(kind, data, time_left, seed, folder):
    """KerasTuner over the network of its guide, until its share of the time has ended."""
    import keras
    import keras_tuner

    search = Time(SEARCH_SHARE * time_left.left, time_left.now)

    def build(hp):
        layers = [keras.Input((28, 28, 1)), keras.layers.Rescaling(1 / 255)]
        for i in range(hp.Int("blocks", 1, 3)):
            filters = hp.Choice(f"filters_{i}", [32, 64, 128])
            layers += [keras.layers.Conv2D(filters, 3, padding="same", activation="relu")]
            layers += [keras.layers.MaxPooling2D()]
        layers += [keras.layers.Flatten()]
        layers += [keras.layers.Dense(hp.Int("units", 32, 256, step=32), activation="relu")]
        layers += [keras.layers.Dropout(hp.Float("dropout", 0.0, 0.5, step=0.1))]
        model = keras.Sequential([*layers, keras.layers.Dense(10)])
        rate = hp.Float("lr", 1e-4, 1e-2, sampling="log")
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
        return model

    class Ended(keras_tuner.errors.FatalError):  # others it counts as failed trials
        pass

    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if not search.left:
                raise Ended

    common = {"objective": "val_accuracy", "seed": seed, "directory": folder, "project_name": kind}
    if kind == "random":
        tuner = keras_tuner.RandomSearch(build, max_trials=1000, **common)
    else:
        tuner = keras_tuner.Hyperband(build, max_epochs=9, hyperband_iterations=100, **common)
    tuner.oracle.max_retries_per_trial = 0
    options = {"batch_size": 32, "validation_data": data.val, "verbose": 0}
    with contextlib.suppress(Ended):
        tuner.search(*data.train, epochs=3, callbacks=[Stop()], **options)
    ended = [t for t in tuner.oracle.trials.values() if t.score is not None]
    best = max(ended, key=lambda trial: trial.score) if ended else None
    hp = best.hyperparameters if best else keras_tuner.HyperParameters()
    keras.utils.set_random_seed(seed)
    model = build(hp)
    epochs = trained(model, data, time_left)
    return accuracy(model, data), f"{len(ended)} trials, then {epochs} epochs"


def random(*args):
    return tuned("random", *args)


def hyperband(*args):
    return tuned("hyperband", *args)


def guide(data, time_left, seed, folder):
    """Keras's guide of transfer learning: a frozen backbone with a new head, then all of it."""
    import keras

    import kcnn
    from kcnn.models import model_info

    (card,) = model_info("efficientnet_lite0").pretrained
    body = kcnn.create_model(
        "efficientnet_lite0", include_top=False, input_shape=(224, 224, 3), pretrained=card.name
    )
    body.trainable = False
    keras.utils.set_random_seed(seed)
    images = keras.Input((28, 28, 1))
    x = keras.layers.Resizing(224, 224)(keras.layers.Concatenate()([images, images, images]))
    x = keras.layers.RandomRotation(0.1)(keras.layers.RandomFlip("horizontal")(x))
    x = keras.layers.GlobalAveragePooling2D()(body(x, training=False))
    model = keras.Model(images, keras.layers.Dense(10)(keras.layers.Dropout(0.2)(x)))
    frozen = trained(model, data, Time(time_left.left / 2, time_left.now))
    body.trainable = True
    again = keras.Model(model.input, model.output)
    tuned_epochs = trained(again, data, time_left, rate=1e-5)
    return accuracy(again, data), f"{frozen} epochs frozen, {tuned_epochs} epochs of all"


def onecycle(data, time_left, seed, folder):
    """ResNet-20 in PyTorch: AdamW's one cycle as fastai has it, its length by the time."""
    import torch
    from _torch_resnet import resnet

    torch.manual_seed(seed)
    torch.set_num_threads(1)
    x, y = (torch.as_tensor(a) for a in data.train)
    mean, deviation = x.float().mean(), x.float().std()

    def images(values):
        values = torch.as_tensor(values).float().permute(0, 3, 1, 2)
        return ((values - mean) / deviation).expand(-1, 3, -1, -1)

    net = resnet("resnet20", torch.nn.BatchNorm2d)
    loss = torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.01)
    size, order = 64, torch.randperm(len(x))

    def step(rows):
        optimizer.zero_grad()
        loss(net(images(x[rows])), y[rows]).backward()
        optimizer.step()

    began = time_left.now()
    start = {k: v.clone() for k, v in net.state_dict().items()}
    for i in range(12):
        if i == 2:
            began = time_left.now()
        step(order[i * size : (i + 1) * size])
    pace = (time_left.now() - began) / 10
    net.load_state_dict(start)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.01)
    epochs = max(1, round(0.97 * time_left.left / pace / (len(x) // size)))
    total = epochs * (len(x) // size)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=total, pct_start=0.25)
    for _ in range(epochs):
        order = torch.randperm(len(x))
        for i in range(len(x) // size):
            step(order[i * size : (i + 1) * size])
            cycle.step()
    net.eval()
    with torch.no_grad():
        parts = [net(images(part)).argmax(1) for part in np.array_split(data.test[0], 40)]
    hits = torch.cat(parts).numpy() == data.test[1]
    return float(hits.mean()), f"ResNet-20 in PyTorch, {epochs} epochs"


def recipe_resnet20(*args):
    return recipe(*args, "--model", "resnet20")


def few(*args):
    return recipe(*args, "--pretrained", "efficientnet-lite0")


def main():
    arm, file, seconds, clock, seed, folder = sys.argv[1:]
    if arm == "onecycle":
        import torch  # noqa: F401
    else:
        import keras  # noqa: F401
    now = CLOCKS[clock]
    data = Data(file)
    ways = {**globals(), "scratch": recipe_resnet20}
    if arm == "recipe" and len(data.train[0]) < 1000:
        ways["recipe"] = few
    began = now()
    found, note = ways[arm](data, Time(float(seconds), now), int(seed), folder)
    print(json.dumps({"accuracy": found, "seconds": round(now() - began, 1), "note": note}))


if __name__ == "__main__":
    main()
