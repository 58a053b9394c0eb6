"""Batches of a split: every image once, shuffled anew each epoch, the same for the same seed."""

import numpy as np
import pytest

from kcnn.data import DataError, Split


def numbered(images=50):
    x = np.zeros((images, 2, 2, 1), np.uint8)
    x[:] = np.arange(images, dtype=np.uint8)[:, None, None, None]
    return Split(x, np.arange(images, dtype=np.int64))


def labels(dataset):
    return np.concatenate([y.numpy() for _, y in dataset])


def test_every_image_comes_once_with_its_label_as_float32():
    dataset = numbered().batches(16)
    assert [len(y) for _, y in dataset] == [16, 16, 16, 2]
    assert int(dataset.cardinality()) == 4
    for x, y in dataset:
        assert (x.dtype.name, y.dtype.name) == ("float32", "int64")
        np.testing.assert_array_equal(x.numpy()[:, 0, 0, 0], y.numpy())
    assert dataset.element_spec[0].shape.as_list() == [None, 2, 2, 1]


def test_each_epoch_is_a_new_permutation_that_the_seed_repeats():
    def two_epochs(seed):
        dataset = numbered().batches(16, shuffle=True, seed=seed)
        return labels(dataset), labels(dataset)

    one, two = two_epochs(3)
    assert sorted(one) == sorted(two) == list(range(50))
    assert not np.array_equal(one, two)
    np.testing.assert_array_equal(two_epochs(3), (one, two))
    assert not np.array_equal(two_epochs(4)[0], one)


def test_shuffling_reaches_the_whole_split():
    """The mean displacement of a full permutation of n is about n/3."""
    order = labels(numbered(200).batches(10, shuffle=True))
    assert np.abs(order - np.arange(200)).mean() > 45


def test_repeat_goes_on_with_full_batches_and_new_orders():
    dataset = numbered().batches(20, shuffle=True, repeat=True).take(5)
    assert [len(y) for _, y in dataset] == [20] * 5
    drawn = labels(dataset)
    assert sorted(drawn[:50]) == sorted(drawn[50:]) == list(range(50))


def test_any_callable_augments_whole_batches():
    dataset = numbered().batches(16, augment=lambda images: images + 0.5)
    x, y = next(iter(dataset))
    np.testing.assert_array_equal(x.numpy()[:, 0, 0, 0], y.numpy() + 0.5)


def test_a_keras_layer_augments_in_training_mode():
    import keras

    flip = keras.layers.RandomFlip("horizontal", seed=1)
    x = np.tile(np.array([0, 200], np.uint8)[None, None, :, None], (64, 2, 1, 1))
    seen = next(iter(Split(x, np.zeros(64, np.int64)).batches(64, augment=flip)))[0].numpy()
    assert 10 < (seen[:, 0, 0, 0] == 200).sum() < 54


def test_another_batch_size_does_not_trace_the_model_again():
    import keras

    traces = []

    class Probe(keras.layers.Layer):
        def call(self, x):
            traces.append(1)
            return x

    model = keras.Sequential([keras.Input((2, 2, 1)), Probe(), keras.layers.Flatten()])
    model.add(keras.layers.Dense(50, activation="softmax"))
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(numbered().batches(16), verbose=0, shuffle=False)
    before = len(traces)
    model.fit(numbered().batches(7), verbose=0, shuffle=False)
    model.fit(numbered().batches(50), verbose=0, shuffle=False)
    assert len(traces) == before


def test_too_few_images_for_a_training_batch_are_refused():
    with pytest.raises(DataError, match="50 training images are fewer than one batch of 64"):
        numbered().batches(64, shuffle=True)
    assert [len(y) for _, y in numbered().batches(64)] == [50]
    with pytest.raises(DataError, match="empty"):
        numbered(0).batches(4)
    with pytest.raises(DataError, match="batch_size=0"):
        numbered().batches(0)


def test_drop_remainder_gives_whole_batches_of_other_images_each_epoch():
    split = Split(np.arange(23, dtype="uint8").reshape(23, 1, 1, 1), np.arange(23))
    data = split.batches(5, shuffle=True, seed=1, drop_remainder=True)
    assert data.element_spec[0].shape[0] is None
    epochs = [[y.numpy() for _, y in data] for _ in range(2)]
    for epoch in epochs:
        assert [len(y) for y in epoch] == [5, 5, 5, 5]
        assert len(set(np.concatenate(epoch))) == 20
    left_out = [set(range(23)) - set(np.concatenate(epoch)) for epoch in epochs]
    assert left_out[0] != left_out[1]
