import keras
import numpy as np
import pytest

from kcnn.callbacks import OverfitDetector


def few_rows(n=40):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n + 400, 20)).astype("float32")
    y = (x[:, 0] + 1.5 * rng.normal(size=n + 400) > 0).astype("int64")
    return (x[:n], y[:n]), (x[n:], y[n:])


def wide_model():
    model = keras.Sequential(
        [
            keras.Input((20,)),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(2),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.003), loss, metrics=["accuracy"])
    return model


@pytest.fixture(scope="module")
def overfitted():
    """A model whose validation loss only rises from here, compiled once for many tests."""
    keras.utils.set_random_seed(0)
    model = wide_model()
    fit(model, epochs=25)
    return model, weights(model)


@pytest.fixture
def trained(overfitted):
    model, start = overfitted
    model.set_weights(start)
    return model


def weights(model):
    return [w.copy() for w in model.get_weights()]


class Record(keras.callbacks.Callback):
    """Weights after each epoch; raises `error` at the given place."""

    def __init__(self, error=None, where=None, epoch=None):
        super().__init__()
        self.error, self.where, self.epoch = error, where, epoch
        self.weights, self.val_loss = [], []

    def on_epoch_end(self, epoch, logs=None):
        self.weights.append(weights(self.model))
        self.val_loss.append(logs["val_loss"])
        self._fail("epoch_end", epoch)

    def on_epoch_begin(self, epoch, logs=None):
        self.now = epoch

    def on_train_batch_begin(self, batch, logs=None):
        self._fail("batch_begin", self.now)

    def on_train_batch_end(self, batch, logs=None):
        self._fail("batch_end", self.now)

    def on_test_batch_end(self, batch, logs=None):
        self._fail("test_batch_end", self.now)

    def on_train_end(self, logs=None):
        self._fail("train_end", self.now)

    def _fail(self, where, epoch):
        if self.error is not None and (where, epoch) == (self.where, self.epoch):
            raise self.error


def fit(model, *callbacks, epochs=60):
    train, val = few_rows()
    return model.fit(
        *train, epochs=epochs, validation_data=val, verbose=0, callbacks=list(callbacks)
    )


def same(first, second):
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_it_tells_once_stops_and_restores_the_best_weights():
    model, record, heard = wide_model(), Record(), []
    detector = OverfitDetector(restore_best_weights=True, patience=15, sink=heard.append)
    fit(model, record, detector, epochs=100)
    assert [f.check for f in heard].count("overfitting") == 1
    assert detector.stopped_epoch == len(record.val_loss) < 100
    best = int(np.argmin(record.val_loss))
    assert detector.best_epoch == best + 1
    assert abs(detector.onset_epoch - (best + 1)) <= 5
    assert same(model.get_weights(), record.weights[best])


def test_without_patience_it_only_tells():
    model, record, heard = wide_model(), Record(), []
    fit(model, record, OverfitDetector(sink=heard.append), epochs=50)
    assert len(record.val_loss) == 50
    assert any(f.check == "overfitting" for f in heard)
    assert same(model.get_weights(), record.weights[-1])


def test_an_alarm_that_does_not_last_is_taken_back():
    heard = []
    detector = OverfitDetector(sink=heard.append)
    epochs = np.arange(40)
    val_loss = np.concatenate([1.0 + 0.02 * np.abs(epochs[:20] - 6), np.linspace(1.2, 0.5, 20)])
    detector.on_train_begin()
    for epoch, value in enumerate(val_loss):
        detector.on_epoch_end(epoch, {"loss": 2.0 * 0.93**epoch, "val_loss": float(value)})
    detector.on_train_end()
    told = [f for f in heard if f.check == "overfitting"]
    assert [f.severity for f in told] == ["warning", "note"]
    assert "did not last" in told[1].seen
    assert detector.onset_epoch is None


@pytest.mark.parametrize(
    ("where", "error", "first"),
    [
        ("epoch_end", RuntimeError("full disk"), True),
        ("epoch_end", KeyboardInterrupt(), False),
        ("batch_begin", RuntimeError(), False),
        ("batch_end", KeyboardInterrupt(), True),
        ("test_batch_end", RuntimeError(), True),
        ("train_end", RuntimeError(), True),
        ("train_end", RuntimeError(), False),
    ],
)
def test_the_best_weights_come_back_when_another_callback_raises(trained, where, error, first):
    model = trained
    record = Record(error, where, 3)
    detector = OverfitDetector(restore_best_weights=True, sink=None)
    callbacks = (record, detector) if first else (detector, record)
    with pytest.raises(type(error)):
        fit(model, *callbacks, epochs=4)
    assert detector.best_epoch == 1 + int(np.argmin(record.val_loss[:3])) < 3
    assert same(model.get_weights(), record.weights[detector.best_epoch - 1])


def test_the_best_weights_come_back_when_the_step_is_interrupted():
    model, record = wide_model(), Record()
    calls = []
    step = model.train_step

    def interrupted(*data):
        calls.append(1)
        if len(calls) == 2 * 4:  # 2 batches an epoch
            raise KeyboardInterrupt
        return step(*data)

    model.train_step = interrupted
    model.compile("adam", model.loss, run_eagerly=True)
    detector = OverfitDetector(restore_best_weights=True, sink=None)
    with pytest.raises(KeyboardInterrupt):
        fit(model, record, detector, epochs=5)
    assert len(record.weights) == 3
    assert same(model.get_weights(), record.weights[detector.best_epoch - 1])


def test_nothing_stays_behind_after_a_failed_fit():
    model = wide_model()
    detector = OverfitDetector(restore_best_weights=True, sink=None)
    fit(model, epochs=1)
    function = model.train_function
    with pytest.raises(RuntimeError):
        fit(model, detector, Record(RuntimeError(), "epoch_end", 5), epochs=6)
    assert model.train_function is function
    before = weights(model)
    fit(model, epochs=1)  # without the detector: trains on, restores nothing
    assert not same(model.get_weights(), before)
    with pytest.raises(RuntimeError):
        fit(model, Record(RuntimeError(), "epoch_end", 1), epochs=2)
    assert not same(model.get_weights(), before)


def test_without_validation_the_training_loss_decides():
    model = wide_model()
    train, _ = few_rows()
    detector = OverfitDetector(restore_best_weights=True, sink=None)
    model.fit(*train, epochs=5, verbose=0, callbacks=[detector])
    assert detector.reading.onset_epoch is None
    assert detector.best_epoch == 5


def test_patience_below_one_is_refused():
    with pytest.raises(ValueError, match="patience"):
        OverfitDetector(patience=0)
