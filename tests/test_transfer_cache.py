"""Features computed once: the same as in every epoch, of every kind of data, in bounded memory."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kcnn import transfer
from kcnn.data import load

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def backbone(data_format="channels_last", maps=6):
    """Two convolutions with BatchNorm between: maps of 2 x 2 pixels."""
    first = data_format == "channels_first"
    inputs = keras.Input((3, 8, 8) if first else (8, 8, 3))
    x = keras.layers.Conv2D(4, 3, 2, padding="same", data_format=data_format)(inputs)
    x = keras.layers.BatchNormalization(axis=1 if first else -1)(x)
    x = keras.layers.Conv2D(maps, 3, 2, padding="same", data_format=data_format)(x)
    return keras.Model(inputs, keras.layers.Activation("relu")(x), name="small")


def data(n=20, classes=3):
    rng = np.random.default_rng(0)
    return rng.uniform(0, 1, (n, 8, 8, 3)).astype("float32"), np.arange(n) % classes


def probe(**options):
    model = transfer.linear_probe(backbone(), 3, **options)
    model.compile(keras.optimizers.Adam(1e-2), LOSS, metrics=["accuracy"])
    return model


def numpy_features(model, x):
    maps = np.asarray(model.get_layer("backbone")(x))
    return maps.reshape(len(maps), -1, maps.shape[-1]).astype("float64").mean(1)


@pytest.mark.parametrize("pooling", ["avg", "max"])
def test_maps_with_the_channels_first_are_pooled_over_space(pooling):
    """The same kernels either way round give the same logits; 6 maps, not 2 rows."""
    x, _ = data()
    last = transfer.linear_probe(backbone(), 3, pooling=pooling)
    first = transfer.linear_probe(backbone("channels_first"), 3, pooling=pooling)
    first.set_weights(last.get_weights())
    assert first.get_layer("logits").kernel.shape == (6, 3)
    # TensorFlow convolves channels first on a CPU only when XLA compiles it.
    compiled = tf.function(first, jit_compile=True)
    np.testing.assert_allclose(compiled(x.transpose(0, 3, 1, 2)), last(x), atol=1e-5)


def test_the_axes_are_found_behind_layers_without_a_format_and_in_models_inside():
    inner = backbone("channels_first")
    inputs = keras.Input((3, 8, 8))
    outer = keras.Model(inputs, keras.layers.Activation("tanh")(inner(inputs)))
    model = transfer.linear_probe(outer, 3)
    assert model.get_layer("pool").data_format == "channels_first"


def test_permuted_axes_are_asked_for():
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Permute((3, 1, 2))(keras.layers.Conv2D(5, 3)(inputs))
    model = keras.Model(inputs, x)
    with pytest.raises(ValueError, match=r"permutes the axes.*say data_format="):
        transfer.linear_probe(model, 3)
    probe = transfer.linear_probe(model, 3, data_format="channels_first")
    assert probe.get_layer("logits").kernel.shape == (5, 3)


def test_cached_features_are_what_the_head_sees():
    model = probe(dropout=0.5)
    x, y = data()
    cached = transfer.cache_features(model, x, y, batch_size=7)
    assert cached.x.shape == (1, 20, 6)
    np.testing.assert_allclose(cached.x[0], numpy_features(model, x), atol=1e-5)
    np.testing.assert_array_equal(cached.y[0], y)
    head = transfer.head_of(model)
    np.testing.assert_allclose(head(cached.x[0]), model(x, training=False), atol=1e-5)


def test_a_network_is_traced_once_for_all_its_features():
    traces = []

    class Traced(keras.layers.Layer):
        def call(self, x):
            traces.append(x.shape)
            return x

    images = keras.Input((8, 8, 3))
    model = transfer.linear_probe(keras.Model(images, Traced()(images)), 3)
    x, y = np.zeros((4, 8, 8, 3), "float32"), np.zeros(4)
    transfer.cache_features(model, x, y)
    before = len(traces)
    transfer.cache_features(model, x, y)
    assert len(traces) == before


def test_training_on_cached_features_takes_the_steps_of_fit():
    """With the same order of the images, the head ends at the same weights."""
    x, y = data()
    model, other = probe(), probe()
    other.set_weights(model.get_weights())
    start = np.asarray(model.get_layer("logits").kernel)
    cached = transfer.cache_features(model, x, y)
    history = transfer.fit_head(
        model, cached, epochs=3, batch_size=8, validation=cached, seed=5, verbose=0
    )
    assert set(history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    images = transfer.CachedFeatures(x[None], y[None]).batches(8, shuffle=True, seed=5)
    other.fit(images, epochs=3, shuffle=False, verbose=0)
    end = np.asarray(model.get_layer("logits").kernel)
    np.testing.assert_allclose(other.get_layer("logits").kernel, end, atol=1e-5)
    assert np.ptp(end - start) > 0.01


@pytest.mark.parametrize("kind", ["split", "tf.data", "PyDataset", "list"])
def test_every_kind_of_data_gives_the_same_features(kind):
    digits = load("digits").val.subset(np.arange(30))
    x, y = digits.images(np.arange(30)), digits.labels
    inputs = keras.Input((8, 8, 1))
    small = keras.Model(inputs, keras.layers.Conv2D(4, 3)(inputs))
    model = transfer.linear_probe(small, 10)
    expected = transfer.cache_features(model, x, y)
    sources = {
        "split": digits,
        "tf.data": digits.batches(7),
        "PyDataset": transfer.CachedFeatures(x[None].astype("float32"), y[None]).batches(7),
        "list": [(x[:13], y[:13]), (x[13:], y[13:])],
    }
    cached = transfer.cache_features(model, sources[kind], views=2)
    assert cached.views == 2
    for view in range(2):
        np.testing.assert_allclose(cached.x[view], expected.x[0], rtol=1e-5, atol=1e-4)
        np.testing.assert_array_equal(cached.y[view], y)


@pytest.mark.parametrize("kind", ["arrays", "split"])
def test_each_view_is_augmented_anew(kind):
    digits = load("digits").val.subset(np.arange(30))
    inputs = keras.Input((8, 8, 1))
    small = keras.Model(inputs, keras.layers.Conv2D(4, 3)(inputs))
    model = transfer.linear_probe(small, 10, pooling="max")
    source = (digits,) if kind == "split" else (digits.images(np.arange(30)), digits.labels)
    noise = keras.layers.GaussianNoise(1.0)
    plain = transfer.cache_features(model, *source)
    cached = transfer.cache_features(model, *source, augment=noise, views=3)
    for a, b in ((0, 1), (1, 2), (0, 2)):
        assert np.abs(cached.x[a] - cached.x[b]).min(-1).max() > 0
    far = np.abs(cached.x - plain.x).max()
    assert 0 < far < 6 * 9  # six deviations under each of nine weights below one


def test_epochs_go_through_the_views_in_turn():
    x = np.arange(12.0).reshape(3, 4, 1)
    cached = transfer.CachedFeatures(x, np.zeros((3, 4)))
    batches = cached.batches(3, shuffle=True, seed=1)
    seen = []
    for _ in range(4):
        seen.append(sorted(float(v) for i in range(len(batches)) for v in batches[i][0][:, 0]))
        batches.on_epoch_end()
    assert seen == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], [0, 1, 2, 3]]


def test_features_beyond_the_memory_asked_for_lie_in_a_file(tmp_path):
    model = probe()
    x, y = data()
    kept = transfer.cache_features(model, x, y, views=2, batch_size=6)
    filed = transfer.cache_features(
        model, x, y, views=2, batch_size=6, max_bytes=200, folder=tmp_path
    )
    assert not isinstance(kept.x, np.memmap)
    assert isinstance(filed.x, np.memmap)
    np.testing.assert_array_equal(filed.x, kept.x)
    np.testing.assert_array_equal(filed.y, kept.y)
    first = next(iter([filed.batches(6)[0]]))
    assert type(first[0]) is np.ndarray
    transfer.fit_head(model, filed, epochs=1, verbose=0)


def test_wrong_data_is_answered_with_what_to_do():
    model = probe()
    x, y = data()
    endless = load("digits").val.batches(4, repeat=True)
    lengths = iter([[(x, y)], [(x[:3], y[:3])]])

    class Shrinking:
        def __iter__(self):
            return iter(next(lengths))

    for call, says in (
        (lambda: transfer.cache_features(model, x), "the labels are missing"),
        (lambda: transfer.cache_features(model, endless), "repeats for ever"),
        (lambda: transfer.cache_features(model, [], views=1), "Received: 0 in pass 1"),
        (lambda: transfer.cache_features(model, Shrinking(), views=2), "3 in pass 2 after 20"),
        (lambda: transfer.cache_features(model, x, y, views=0), "views must be at least 1"),
        (lambda: transfer.cache_features(backbone(), x, y), "not made by linear_probe"),
        (lambda: transfer.cache_features(model, [(x, y)], augment=abs), "augment is for arrays"),
        (
            lambda: transfer.fit_head(transfer.linear_probe(backbone(), 3), None, epochs=1),
            "compile small_probe first",
        ),
    ):
        with pytest.raises(ValueError, match=says):
            call()


def test_fine_tune_takes_a_split_and_augmented_views():
    digits = load("digits")
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    small = keras.Model(inputs, keras.layers.Conv2D(8, 3, activation="relu")(x))
    model = transfer.linear_probe(small, 10)
    model.compile(keras.optimizers.Adam(1e-2), LOSS, metrics=["accuracy"])
    found = transfer.fine_tune(
        model,
        digits.train.subset(np.arange(200)),
        head_epochs=4,
        epochs=2,
        views=2,
        validation_data=digits.val.subset(np.arange(50)),
        verbose=0,
    )
    assert len(found.head["val_accuracy"]) == 4
    assert len(found.whole["val_loss"]) == 2
    assert found.whole["loss"][-1] < found.head["loss"][0]
