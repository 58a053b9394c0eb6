import keras
import numpy as np
import pytest

from kcnn.callbacks import Snapshot


def tiny_model(optimizer="adam", dropout=0.5, **compiled):
    model = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(8, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(dropout),
            keras.layers.Dense(3),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"], **compiled)
    return model


def data(n=64):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, 6)).astype("float32"), rng.integers(0, 3, n)


def state(model):
    """Every number that training changes, as bytes, read without Snapshot's help."""
    variables = model.variables + model.optimizer.variables + model.metrics_variables
    return {v.path: v.numpy().tobytes() for v in variables}


def test_restore_brings_back_every_bit():
    model = tiny_model()
    x, y = data()
    model.fit(x, y, verbose=0)
    before = state(model)
    snapshot = Snapshot(model)
    model.fit(x, y, epochs=2, verbose=0)
    model.optimizer.learning_rate = 3.0
    changed = set(snapshot.same()) - {"torch.random"}
    assert changed == {path for path, value in state(model).items() if before[path] != value}
    assert len(changed) > 15
    model.stop_training = True
    snapshot.restore()
    assert state(model) == before
    assert model.stop_training is False


def test_a_restored_model_trains_the_same_again():
    model = tiny_model()
    x, y = data()
    model.fit(x, y, verbose=0, shuffle=False)
    snapshot = Snapshot(model)
    first = model.fit(x, y, epochs=2, verbose=0, shuffle=False).history["loss"]
    snapshot.restore()
    assert model.fit(x, y, epochs=2, verbose=0, shuffle=False).history["loss"] == first


def test_an_optimizer_that_never_stepped_goes_back_to_its_beginning():
    model, twin = tiny_model(dropout=0.0), tiny_model(dropout=0.0)
    twin.set_weights(model.get_weights())
    x, y = data()
    snapshot = Snapshot(model)
    model.fit(x, y, verbose=0)
    snapshot.restore()
    assert model.optimizer.iterations.numpy() == 0
    losses = [m.fit(x, y, verbose=0, shuffle=False).history["loss"] for m in (model, twin)]
    assert losses[0] == losses[1]


def test_a_schedule_comes_back_as_the_same_object():
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 100)
    model = tiny_model(keras.optimizers.SGD(schedule))
    snapshot = Snapshot(model)
    model.optimizer.learning_rate = keras.optimizers.schedules.ExponentialDecay(1.0, 1, 0.5)
    snapshot.restore()
    assert model.optimizer._learning_rate is schedule


def test_it_asks_for_a_compiled_built_model():
    model = keras.Sequential([keras.layers.Dense(1)])
    with pytest.raises(ValueError, match="not compiled"):
        Snapshot(model)
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="no weights yet"):
        Snapshot(model)
    with pytest.raises(ValueError, match="received str"):
        Snapshot("model")
