"""NaN that a relu hides from the loss is named by every instrument that starts a training."""

import keras
import numpy as np
import pytest

from kcnn.callbacks import InitialLossCheck, LRFinder, LRSweep, SmallSampleCheck, find_lr
from kcnn.callbacks.data._feed import feed_of
from kcnn.callbacks.sanity._nonfinite import first_nonfinite, nonfinite_finding

RNG = np.random.default_rng(0)
Y = RNG.integers(0, 3, 64)
X = (RNG.normal(size=(64, 6, 6, 1)) + Y[:, None, None, None]).astype("float32")
NAN = np.full_like(X, np.nan)


def network():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(3),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-3), loss)
    return model


def in_fit(callback, x):
    network().fit(x, Y, batch_size=16, epochs=2, verbose=0, callbacks=[callback])
    return callback


def ranged(x):
    result = in_fit(LRFinder(iterations=40, sink=None), x).result
    return result.suggestion, result.findings


def found(x):
    result = find_lr(network(), x, Y, batch_size=16, iterations=60, sink=None)
    return result.suggestion, result.findings


def swept(x):
    result = LRSweep(iterations=10).run(network(), x, Y, batch_size=16)
    return result.suggestion, result.findings


def small(x):
    check = SmallSampleCheck(x, Y, iterations=20, sink=None)
    return None, (check.run(network()).finding,)


def initial(x):
    return None, (InitialLossCheck(sink=None).run(network(), x, Y, batch_size=16),)


def initial_in_fit(x):
    return None, (in_fit(InitialLossCheck(sink=None), x).finding,)


INSTRUMENTS = [ranged, found, swept, small, initial, initial_in_fit]


@pytest.mark.parametrize("instrument", INSTRUMENTS)
def test_nan_pixels_are_named_and_no_rate_is_invented(instrument):
    suggestion, findings = instrument(NAN)
    assert suggestion is None
    assert (findings[0].severity, findings[0].cause) == ("failure", "nan_inputs")


@pytest.mark.parametrize("instrument", INSTRUMENTS)
def test_sound_pixels_are_not_blamed(instrument):
    assert all(finding.cause != "nan_inputs" for finding in instrument(X)[1])


@pytest.mark.parametrize("instrument", [found, swept])
def test_one_bad_pixel_is_found_where_it_stops_the_learning(instrument):
    x = X.copy()
    x[:, 2, 2] = np.where(np.arange(64)[:, None] % 8 == 5, np.inf, x[:, 2, 2])
    suggestion, findings = instrument(x)
    assert suggestion is None
    assert findings[0].cause == "nan_inputs"
    assert "batch 1" in findings[0].seen


def test_a_loss_blown_up_by_large_inputs_is_no_nan():
    """The weights overflow by themselves: a matter of scale, told by the loss."""
    assert all(f.cause != "nan_inputs" for f in ranged(np.float32(1e4) * X)[1])


def test_places_and_counts():
    values = np.array([[1.0, np.nan], [np.inf, 0.0]])
    assert first_nonfinite([("x", np.ones(3)), ("y", {"a": values})]) == ("y", 2, 4)
    assert first_nonfinite([("x", np.arange(3)), ("w", None)]) is None
    assert first_nonfinite([("x", np.array(["nan"]))]) is None


def test_weights_targets_and_later_batches_are_looked_at():
    model = network()
    target = np.where(np.arange(64) == 50, np.nan, 1.0)
    finding = nonfinite_finding(model, feed_of(iter([(X, target)]), batches=1), 1)
    assert finding.seen.startswith("1 of 64 values in y of batch 1")
    feed = feed_of(iter([(X, Y), (NAN, Y)]), batches=2)
    assert nonfinite_finding(model, feed, 1) is None
    assert nonfinite_finding(model, feed, 2).where == "x of batch 2"
    model.layers[0].bias.assign(np.full(4, np.nan))
    assert "bias" in nonfinite_finding(model, feed_of(X, Y), 1).where


def test_a_nan_batch_in_the_middle_of_a_range_test_is_no_rate_too_large():
    x = X.copy()
    x[40:] = np.nan
    suggestion, findings = ranged(x)
    assert suggestion is None
    assert findings[0].cause == "nan_inputs"


def test_a_loss_that_shows_the_nan_early_in_a_range_test_gives_no_rate():
    """Without a relu every bad batch makes the loss NaN, at the lowest rates already."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((6, 6, 1)), keras.layers.Flatten(), keras.layers.Dense(1)]
    )
    model.compile("sgd", "mse")
    y = np.where(np.arange(64) == 63, np.nan, Y).astype("float32")
    finder = LRFinder(sink=None)
    model.fit(X, y, batch_size=8, verbose=0, shuffle=False, callbacks=[finder])
    assert finder.suggestion is None
    finding = finder.result.findings[0]
    assert finding.cause == "nan_inputs"
    assert "too small to be the cause" in finding.seen
