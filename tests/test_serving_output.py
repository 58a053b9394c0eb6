"""What a model's outputs mean: logits or probabilities, one label or several."""

import keras
import numpy as np
import pytest
from _serving import exported, images, probabilities, small_cnn, softmax

from kcnn.preprocessing import Preprocessing
from kcnn.serving._output import read_output


@pytest.mark.parametrize("activation", [None, "linear", "softmax", "log_softmax"])
def test_probabilities_have_exactly_one_softmax(activation):
    model = small_cnn(activation)
    raw = np.float64(model(np.float32(images()), training=False))
    expected = raw if activation == "softmax" else softmax(raw)
    np.testing.assert_allclose(probabilities(model), expected, atol=1e-6)


@pytest.mark.parametrize("activation", [None, "sigmoid"])
def test_one_unit_serves_as_two_classes_the_second_one_positive(activation):
    model = small_cnn(activation, units=1)
    positive = np.float64(model(np.float32(images()), training=False))
    if activation is None:
        positive = 1 / (1 + np.exp(-positive))
    served = probabilities(model, class_names=["no", "yes"])
    np.testing.assert_allclose(served[:, 1:], positive, atol=1e-6)
    np.testing.assert_allclose(np.sum(served, axis=1), 1.0, atol=1e-6)


def wrapped(*tail):
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), *tail])


@pytest.mark.parametrize(
    ("model", "probabilities"),
    [
        (lambda: wrapped(), False),
        (lambda: wrapped(keras.layers.Softmax()), True),
        (lambda: wrapped(keras.layers.Activation("softmax")), True),
        (lambda: wrapped(keras.layers.Softmax(), keras.layers.Activation("linear")), True),
        (lambda: wrapped(keras.layers.Softmax(), keras.layers.Reshape((3,))), True),
        (lambda: wrapped(keras.layers.Softmax(), keras.layers.Dense(3)), False),
        (lambda: keras.Sequential([keras.Input((4,)), wrapped(keras.layers.Softmax())]), True),
        (lambda: keras.Sequential([keras.Input((4,)), wrapped()]), False),
    ],
)
def test_the_last_activation_tells_logits_from_probabilities(model, probabilities):
    assert read_output(model(), 3).from_logits is not probabilities


def test_an_unclear_output_asks_and_the_argument_answers():
    model = small_cnn("relu")
    with pytest.raises(ValueError, match=r"'relu'.*from_logits=True"):
        probabilities(model)
    expected = softmax(model(np.float32(images()), training=False))
    np.testing.assert_allclose(probabilities(model, from_logits=True), expected, atol=1e-6)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(3)

    def call(self, x):
        return self.dense(keras.ops.mean(x, axis=(1, 2)))


def test_a_subclassed_model_needs_a_shape_and_its_loss_tells_the_output(tmp_path):
    model = Subclassed()
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    with pytest.raises(ValueError, match="not built"):
        exported(model, tmp_path)
    logits = model(np.float32(images()))
    with pytest.raises(ValueError, match="preprocessing="):
        exported(model, tmp_path)
    with pytest.raises(ValueError, match="3 classes apart, but 2 class names"):
        exported(model, tmp_path, preprocessing=Preprocessing(None), class_names=["a", "b"])
    served = exported(model, tmp_path, preprocessing=Preprocessing(None))
    np.testing.assert_allclose(served(images())["probabilities"], softmax(logits), atol=1e-6)


@pytest.mark.parametrize("way", ["activation", "loss", "argument"])
def test_several_labels_each_have_a_probability_of_their_own(way):
    model = small_cnn("sigmoid" if way == "activation" else None)
    if way == "loss":
        model.compile("sgd", keras.losses.BinaryCrossentropy(from_logits=True))
    options = {"multi_label": True} if way == "argument" else {}
    expected = np.float64(model(np.float32(images()), training=False))
    expected = expected if way == "activation" else 1 / (1 + np.exp(-expected))
    np.testing.assert_allclose(probabilities(model, **options), expected, atol=1e-6)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_probabilities_are_float32_under_mixed_precision(policy):
    keras.config.set_dtype_policy(policy)
    answer = probabilities(small_cnn())
    assert answer.dtype == np.float32
    np.testing.assert_allclose(np.sum(answer, axis=1), 1.0, atol=1e-6)
