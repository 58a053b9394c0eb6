"""Models that train in a way of their own get trials too, through their own step."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from doctor_zoo.own_steps import OwnStep, variational

from kcnn.callbacks import examine

RNG = np.random.default_rng(4)
Y = RNG.integers(0, 3, 240)
X = (RNG.normal(size=(240, 6)) + 2.5 * np.eye(6)[Y]).astype("float32")


def own(rate, width=16):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6,))
    hidden = keras.layers.Dense(width, "relu")(inputs)
    model = OwnStep(inputs, keras.layers.Dense(3, "softmax")(hidden))
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    return model


def test_a_rate_far_too_low_is_confirmed_through_the_models_own_step():
    model, steps = own(1e-6), []
    plain = OwnStep.train_step

    def counted(self, data):
        steps.append(type(self))
        return plain(self, data)

    OwnStep.train_step = counted
    try:
        found = examine(model, X, Y, epochs=20)
    finally:
        OwnStep.train_step = plain
    first = found.findings[0]
    assert first.cause == "lr_too_low"
    assert first.evidence["confirmed_by_trial"]
    assert len(steps) >= 2  # traced for the run, and again for the trials' optimizer


def test_the_model_keeps_its_optimizer_step_and_weights():
    model = own(1e-6)
    model.fit(X, Y, verbose=0)
    held = model.optimizer, model.train_function, [w.copy() for w in model.get_weights()]
    examine(model, X, Y, epochs=3)
    assert model.optimizer is held[0]
    assert model.train_function is held[1]
    for a, b in zip(model.get_weights(), held[2], strict=True):
        np.testing.assert_array_equal(a, b)


def test_layers_can_be_changed_where_the_class_can_be_built_anew():
    found = examine(own(1e-2, width=1), X, Y, epochs=12)
    assert found.causes == ["insufficient_capacity"]


def test_a_loss_of_its_own_is_what_tells_where_compile_was_given_none():
    keras.utils.set_random_seed(0)
    model = variational()
    model.compile(optimizer=keras.optimizers.Adam(1e-7))
    x = (RNG.random((160, 12, 12, 1)) < 0.1).astype("float32")
    found = examine(model, x, epochs=6, batch_size=16)
    assert found.causes == ["lr_too_low"]
    assert found.unseen == ("the outputs: the model has no call(inputs)",)


class Forgets(OwnStep):
    """Computes a loss and applies nothing."""

    def train_step(self, data):
        x, y = data
        self.mean_loss.update_state(self.compute_loss(x, y, self(x, training=True)))
        return {"loss": self.mean_loss.result()}


def test_a_step_that_changes_no_weight_is_proven():
    inputs = keras.Input((6,))
    model = Forgets(inputs, keras.layers.Dense(3, "softmax")(inputs))
    model.compile("adam", "sparse_categorical_crossentropy")
    found = examine(model, X, Y, epochs=4)
    assert found.causes == ["frozen_layers"]
    assert "no trainable weight is changed" in found.findings[0].seen


class LastOnly(OwnStep):
    """Applies the gradients of its last layer alone."""

    def train_step(self, data):
        x, y = data
        last = self.trainable_variables[-2:]
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True))
        self.optimizer.apply_gradients(zip(tape.gradient(loss, last), last, strict=True))
        self.mean_loss.update_state(loss)
        return {"loss": self.mean_loss.result()}


def test_weights_that_only_the_standard_step_moves_are_frozen():
    keras.utils.set_random_seed(0)
    y = (X[:, 0] > 1) ^ (X[:, 1] > 1)
    hidden = inputs = keras.Input((6,))
    for _ in range(3):
        hidden = keras.layers.Dense(6, "relu")(hidden)
    model = LastOnly(inputs, keras.layers.Dense(2, "softmax")(hidden))
    model.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy")
    found = examine(model, X, y.astype("int64"), epochs=30)
    assert found.causes == ["frozen_layers"]
    assert "leaves 6 trainable weights" in found.findings[0].seen


class Climbs(OwnStep):
    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True))
        gradients = [-g for g in tape.gradient(loss, self.trainable_variables)]
        self.optimizer.apply(gradients, self.trainable_variables)
        self.mean_loss.update_state(loss)
        return {"loss": self.mean_loss.result()}


def test_gradients_of_the_wrong_sign_lose_against_the_standard_step():
    inputs = keras.Input((6,))
    model = Climbs(inputs, keras.layers.Dense(3, "softmax")(inputs))
    model.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy")
    found = examine(model, X, Y, epochs=6)
    assert found.causes[0] == "lr_too_high"
    assert "sign" in found.findings[0].advice


@pytest.mark.parametrize("given", [True, False])
def test_validation_rows_of_a_generator_are_said_to_be_unseen(given):
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3, "softmax")])
    model.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy")
    batches = ((X[:32], Y[:32]) for _ in range(100))
    held = {"validation_data": batches, "validation_steps": 2} if given else {}
    found = examine(model, X, Y, epochs=6, **held)
    assert found.complete != given
    assert found.unseen == (("the validation rows: a generator cannot be read twice",) * given)
