"""Whatever is drawn for model, optimizer, instrument and accident: nothing has changed after."""

import random

import keras
import numpy as np
import pytest

from kcnn.callbacks import (
    InitialLossCheck,
    LRFinder,
    LRSweep,
    SmallSampleCheck,
    find_lr,
)

L, optimizers = keras.layers, keras.optimizers


class Accident(Exception):
    pass


def drawn_model(rng):
    """A random little CNN or MLP with random layers that have state."""
    image = rng.random() < 0.5
    shape = (6, 6, 2) if image else (10,)
    kind = rng.choice(["functional", "sequential", "subclassed"])
    layers = []
    if image:
        layers += [L.RandomFlip()] if rng.random() < 0.4 else []
        layers += [L.Conv2D(4, 3, kernel_regularizer="l2" if rng.random() < 0.3 else None)]
    else:
        layers += [L.Dense(8)]
    layers += rng.choice([[], [L.BatchNormalization()], [L.LayerNormalization()]])
    layers += [L.Activation(rng.choice(["relu", "tanh"]))]
    layers += rng.choice([[], [L.Dropout(0.3)], [L.GaussianNoise(0.1)], [L.SpatialDropout2D(0.2)]])
    layers = [x for x in layers if image or not isinstance(x, L.SpatialDropout2D)]
    layers += [L.Flatten(), L.Dense(3)]
    if kind == "sequential":
        model = keras.Sequential([keras.Input(shape), *layers])
    elif kind == "functional":
        inputs = h = keras.Input(shape)
        for layer in layers:
            h = layer(h)
        model = keras.Model(inputs, h)
    else:
        model = Stack(layers)
        model(np.zeros((1, *shape), "float32"))
    return model, shape


class Stack(keras.Model):
    def __init__(self, layers):
        super().__init__()
        self.stack = layers

    def call(self, x, training=None):
        for layer in self.stack:
            x = layer(x, training=training) if layer._call_has_training_arg else layer(x)
        return x


def drawn_optimizer(rng):
    make = rng.choice(
        [
            lambda rate, **k: optimizers.SGD(rate, **k),
            lambda rate, **k: optimizers.SGD(rate, momentum=0.9, nesterov=True, **k),
            lambda rate, **k: optimizers.Adam(rate, **k),
            lambda rate, **k: optimizers.AdamW(rate, weight_decay=0.01, **k),
            lambda rate, **k: optimizers.RMSprop(rate, centered=True, **k),
            lambda rate, **k: optimizers.Nadam(rate, **k),
            lambda rate, **k: optimizers.Lion(rate, **k),
            lambda rate, **k: optimizers.Adagrad(rate, **k),
        ]
    )
    rate = rng.choice(
        [
            0.01,
            0.01,
            optimizers.schedules.CosineDecay(0.02, 50),
            optimizers.schedules.ExponentialDecay(0.1, 5, 0.9),
        ]
    )
    options = rng.choice(
        [{}, {}, {"clipnorm": 1.0}, {"use_ema": True}, {"gradient_accumulation_steps": 3}]
    )
    if keras.config.backend() == "jax":
        # Keras 3.15 alone: a second `fit` with it fails, "Attempt to donate the same buffer twice"
        # (at the end of the first, weights and averages become one array).
        options.pop("use_ema", None)
    optimizer = make(rate, **options)
    if rng.random() < 0.2:
        optimizer.weight_decay = keras.Variable(0.02, trainable=False)
    return optimizer


def state(model):
    """Everything, read without the package's help."""
    optimizer = model.optimizer
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    seen = {}
    for variable in model.variables + optimizer.variables + model.metrics_variables:
        assert id(variable) not in seen
        seen[id(variable)] = (
            variable.path,
            np.asarray(keras.ops.convert_to_numpy(variable)).tobytes(),
        )
    decay = inner.weight_decay
    return {
        "values": list(seen.values()),
        "schedule": id(inner._learning_rate),
        "weight_decay": (id(decay), float(0 if decay is None else decay)),
        "functions": (id(model.train_function), model.stop_training),
        "random": (random.getstate(), str(np.random.get_state())),  # noqa: NPY002
        "torch": torch_state(),
        "history": id(getattr(model, "history", None)),
    }


def torch_state():
    if keras.config.backend() != "torch":
        return None
    import torch

    return torch.get_rng_state().numpy().tobytes()


class Fails(keras.callbacks.Callback):
    """Raises at a drawn hook and count."""

    def __init__(self, hook, count, error):
        super().__init__()
        self.left, self.error = count, error
        setattr(self, hook, self._now)

    def _now(self, *_, **__):
        self.left -= 1
        if self.left < 0:
            raise self.error


def run(instrument, model, x, y, rng, fail):
    """Run an instrument, with an accident in it if `fail` is an exception."""

    def step(*_):
        calls.append(1)
        if fail is not None and len(calls) > at:
            raise fail

    calls, at = [], rng.randrange(12)
    if instrument == "LRFinder":
        others = rng.sample(
            [
                keras.callbacks.ReduceLROnPlateau(monitor="loss", patience=1),
                keras.callbacks.EarlyStopping(
                    monitor="loss", patience=1, restore_best_weights=True
                ),
                keras.callbacks.TerminateOnNaN(),
                keras.callbacks.LambdaCallback(on_epoch_end=lambda *_, **__: model.get_weights()),
            ],
            2,
        )
        if not isinstance(model.optimizer._learning_rate, keras.Variable):
            others = [c for c in others if not isinstance(c, keras.callbacks.ReduceLROnPlateau)]
        if fail is not None:
            hook = rng.choice(
                ["on_train_batch_begin", "on_train_batch_end", "on_epoch_end", "on_train_end"]
            )
            others.append(Fails(hook, rng.randrange(2) if "batch" in hook else 0, fail))
        finder = LRFinder(1e-6, 1.0, iterations=12, sink=None)
        callbacks = [*others, finder]
        rng.shuffle(callbacks)
        model.fit(x, y, batch_size=8, epochs=rng.choice([1, 4]), verbose=0, callbacks=callbacks)
        if np.isfinite(x).all():
            assert len(finder.result.losses) >= 3
    elif instrument == "LRSweep":
        LRSweep((0.1, 0.001), iterations=10).run(model, x, y, batch_size=8, on_iteration=step)
    elif instrument == "find_lr":
        find_lr(model, x, y, batch_size=8, iterations=60, on_iteration=step, sink=None)
    elif instrument == "SmallSampleCheck":
        check = SmallSampleCheck(x, y, images=10, iterations=8, rates=[0.01, 0.1], sink=None)
        check.run(model, on_iteration=step)
    else:
        InitialLossCheck(batches=3, sink=None).run(model, x, y, batch_size=8)


INSTRUMENTS = ["LRFinder", "LRFinder", "LRSweep", "find_lr", "SmallSampleCheck", "InitialLossCheck"]
ENDS = ["well", "well", "nan", Accident("drawn"), KeyboardInterrupt()]


def check(seed):
    rng = random.Random(seed)
    keras.utils.set_random_seed(seed)
    policy = rng.choice(["float32", "float32", "mixed_float16", "mixed_bfloat16"])
    keras.config.set_dtype_policy(policy)
    model, shape = drawn_model(rng)
    compiled = rng.choice([{}, {}, {"run_eagerly": True}, {"steps_per_execution": 3}])
    if keras.config.backend() == "torch":
        compiled.pop("steps_per_execution", None)
    model.compile(
        drawn_optimizer(rng),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"] if rng.random() < 0.5 else None,
        **compiled,
    )
    data = np.random.default_rng(seed)
    x = data.normal(size=(40, *shape)).astype("float32")
    y = data.integers(0, 3, 40)
    model.fit(x, y, batch_size=8, verbose=0)
    model.stop_training = rng.random() < 0.3
    end, instrument = rng.choice(ENDS), rng.choice(INSTRUMENTS)
    told = f"{instrument}, {end!r}, {policy}, {compiled}, {model.optimizer.get_config()}"
    if end == "nan":
        x[:] = np.nan
    before = state(model)
    try:
        run(instrument, model, x, y, rng, end if isinstance(end, BaseException) else None)
    except (Accident, KeyboardInterrupt):
        assert isinstance(end, BaseException), told
    after = state(model)
    if instrument == "LRFinder":  # the fit it runs in is the user's: its history stays
        before.pop("history"), after.pop("history")
    for part, value in before.items():
        assert after[part] == value, f"{part} changed: {told}"
    model.fit(np.nan_to_num(x), y, batch_size=8, verbose=0)  # and training goes on as ever
    assert state(model)["values"] != before["values"]


@pytest.mark.parametrize("seed", range(10))
def test_no_trace(seed):
    check(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10, 110))
def test_no_trace_many(seed):
    check(seed)
