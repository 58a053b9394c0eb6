"""`examine`: names what is wrong, keeps quiet where nothing is, leaves no trace."""

import functools
import random

import keras
import numpy as np
import pytest
import tensorflow as tf

from kcnn.callbacks import Diagnosis, Snapshot, examine
from kcnn.callbacks.doctor.program.residual import branch_ends

RNG = np.random.default_rng(2)
Y = RNG.integers(0, 3, 300)
X = (RNG.normal(size=(300, 6)) + 2.5 * np.eye(6)[Y]).astype("float32")


def net(optimizer="adam", activation="softmax", loss="sparse_categorical_crossentropy"):
    model = keras.Sequential(
        [
            keras.layers.Input((6,)),
            keras.layers.Dense(16, "relu"),
            keras.layers.Dropout(0.1),
            keras.layers.Dense(3, activation),
        ]
    )
    model.compile(optimizer, loss, metrics=["accuracy"])
    return model


FIT = {"epochs": 12, "batch_size": 16, "validation_split": 0.2}


def test_a_healthy_program_is_healthy():
    diagnosis = examine(net(keras.optimizers.Adam(0.005)), X, Y, **FIT)
    assert diagnosis.healthy, str(diagnosis)
    assert diagnosis.causes == []


@pytest.mark.parametrize("bent", [False, True])
def test_a_linear_stack_is_named_only_where_it_does_harm(bent):
    x = RNG.uniform(-1, 1, (400, 2)).astype("float32")
    y = x[:, 0] ** 2 * 2 if bent else x @ np.array([1.0, -2.0], "float32")
    model = keras.Sequential(
        [keras.layers.Input((2,)), keras.layers.Dense(16), keras.layers.Dense(1)]
    )
    model.compile(keras.optimizers.Adam(0.01), "mse")
    diagnosis = examine(model, x, y, epochs=15, batch_size=16)
    assert diagnosis.causes == (["missing_hidden_activation"] if bent else []), str(diagnosis)


def test_a_loss_of_the_users_own_does_not_stand_in_the_way_of_copies():
    def distance(true, said):  # no absolute value: it falls for ever
        return keras.ops.mean(true - said)

    x = RNG.normal(size=(400, 3)).astype("float32")
    model = keras.Sequential(
        [keras.layers.Input((3,)), keras.layers.Dense(16, "relu"), keras.layers.Dense(1)]
    )
    model.compile(keras.optimizers.Adam(0.01), distance)
    diagnosis = examine(model, x, x[:, 0] - x[:, 1], epochs=8, batch_size=16)
    assert diagnosis.causes == ["wrong_loss"], str(diagnosis)
    assert model.compiled


def test_a_loss_for_a_quantile_is_no_wrong_loss():
    def ninth_tenth(true, said):
        d = keras.ops.reshape(true, (-1,)) - keras.ops.reshape(said, (-1,))
        return keras.ops.mean(keras.ops.maximum(0.9 * d, -0.1 * d))

    x = RNG.normal(size=(500, 3)).astype("float32")
    y = x[:, 0] + RNG.gumbel(size=500)
    model = keras.Sequential(
        [keras.layers.Input((3,)), keras.layers.Dense(16, "relu"), keras.layers.Dense(1)]
    )
    model.compile(keras.optimizers.Adam(0.01), ninth_tenth)
    diagnosis = examine(model, x, y.astype("float32"), epochs=20, batch_size=16)
    assert diagnosis.healthy, str(diagnosis)


def test_targets_far_away_are_no_excuse_for_a_rate_of_nearly_zero():
    x = RNG.normal(size=(400, 3)).astype("float32")
    model = keras.Sequential(
        [keras.layers.Input((3,)), keras.layers.Dense(16, "relu"), keras.layers.Dense(1)]
    )
    model.compile(keras.optimizers.SGD(1e-8), "mse")
    diagnosis = examine(model, x, 100 * x[:, 0] + 500, epochs=12, batch_size=16)
    assert diagnosis.causes[:1] == ["lr_too_low"], str(diagnosis)


@pytest.mark.parametrize(
    ("rate", "cause"), [(1e-6, "lr_too_low"), (30.0, "lr_too_high"), (-0.01, "lr_too_high")]
)
def test_a_rate_that_is_far_off_is_named_first(rate, cause):
    diagnosis = examine(net(keras.optimizers.Adam(rate)), X, Y, **FIT)
    assert diagnosis.causes[:1] == [cause], str(diagnosis)
    assert diagnosis.findings[0].advice


def test_validation_inputs_whose_mean_was_left_in_outrank_overfitting():
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(3)
    y = rng.integers(0, 3, 1000)
    x = (2 * rng.normal(size=(3, 20))[y] + 6 * rng.normal(size=(1000, 20))).astype("float32")
    x /= x.std(0)
    layers = [keras.Input((20,)), *(keras.layers.Dense(96, "relu") for _ in range(2))]
    model = keras.Sequential([*layers, keras.layers.Dense(3, "softmax")])
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    held = x[700:] + 2, y[700:]
    found = examine(model, x[:700], y[:700], validation_data=held, epochs=12, batch_size=32)
    assert found.causes == ["preprocessing_mismatch"]
    assert "once their inputs" in found.findings[0].seen


def residual(blocks, optimizer, init="he_normal"):
    keras.utils.set_random_seed(0)
    dense = functools.partial(keras.layers.Dense, kernel_initializer=init)
    inputs = keras.Input((6,))
    hidden = dense(32, "relu")(inputs)
    for at in range(blocks):
        skip = dense(32)(hidden) if at == 2 else hidden
        branch = dense(32, name=f"end_{at}")(dense(32, "relu")(hidden))
        hidden = keras.layers.ReLU()(
            skip + branch if at % 2 else keras.layers.Add()([skip, branch])
        )
    model = keras.Model(inputs, dense(3, "softmax")(hidden))
    model.compile(optimizer, "sparse_categorical_crossentropy")
    return model


def test_residual_sums_that_grow_are_named_before_the_rate():
    assert [end.name for end in branch_ends(residual(4, "sgd"))] == [f"end_{k}" for k in range(4)]
    assert branch_ends(net()) == []
    fit = {"epochs": 6, "batch_size": 16, "validation_split": 0.2}
    grows = residual(8, keras.optimizers.SGD(0.05, momentum=0.9))
    assert examine(grows, X, Y, **fit).causes[0] == "exploding_gradient"
    tame = residual(8, keras.optimizers.SGD(5.0, momentum=0.9), "glorot_uniform")
    assert "exploding_gradient" not in examine(tame, X, Y, **fit).causes


def test_a_shuffled_target_is_named_misaligned():
    diagnosis = examine(net(), X, RNG.permutation(Y), **FIT)
    assert diagnosis.causes[:1] == ["label_misalignment"], str(diagnosis)


def test_raw_columns_are_named_and_confirmed_by_a_trial():
    wild = X * np.array([1, 1000, 1, 1, 5000, 1], "float32") + 300
    diagnosis = examine(net("sgd"), wild, Y, **FIT)
    assert diagnosis.causes[:1] == ["unnormalized_inputs"], str(diagnosis)
    assert diagnosis.findings[0].evidence["confirmed_by_trial"]


@pytest.mark.parametrize("built", [True, False])
def test_nothing_is_changed(built):
    keras.utils.set_random_seed(5)
    model = net(keras.optimizers.SGD(0.05, momentum=0.9))
    if built:
        model.fit(X, Y, epochs=1, verbose=0)
    before = Snapshot(model) if built else None
    functions = model.train_function, model.test_function, model.predict_function
    weights = [v.numpy() for v in model.variables]
    name = keras.layers.Dense(2).name
    keras.layers.Dense(2)
    states = random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002
    follow = tf.random.get_global_generator().state.numpy()
    examine(model, X, Y, **FIT)
    assert all(np.array_equal(a, v.numpy()) for a, v in zip(weights, model.variables, strict=True))
    if before is not None:
        assert before.same() == []
    assert random.getstate() == states[0]
    assert np.array_equal(np.random.get_state()[1], states[1])  # noqa: NPY002
    assert np.array_equal(tf.random.get_global_generator().state.numpy(), follow)
    assert (model.train_function, model.test_function, model.predict_function) == functions
    number = int(keras.layers.Dense(2).name.rsplit("_", 1)[-1])
    assert number == int(name.rsplit("_", 1)[-1] if "_" in name else 0) + 2


def test_training_goes_on_as_if_nothing_had_been_examined():
    curves = []
    for look in (False, True):
        keras.utils.set_random_seed(8)
        model = net()
        if look:
            examine(model, X, Y, epochs=2, batch_size=32)
        curves.append(model.fit(X, Y, epochs=3, batch_size=32, verbose=0).history["loss"])
    assert curves[0] == curves[1]


def test_data_sets_and_generators_are_examined_on_what_is_drawn():
    data = tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(300, seed=1).batch(16)
    assert examine(net(keras.optimizers.Adam(1e-6)), data, epochs=8).causes == ["lr_too_low"]

    def batches():
        while True:
            for at in range(0, 288, 16):
                yield X[at : at + 16], Y[at : at + 16]

    found = examine(net(keras.optimizers.Adam(1e-6)), batches(), steps_per_epoch=18, epochs=8)
    assert found.causes[:1] == ["lr_too_low"], str(found)
    assert found.numbers["steps"] == 18 * 8


def test_an_error_of_fit_is_explained_and_raised_again():
    model = net()
    weights = [v.numpy() for v in model.variables]
    with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever TensorFlow raises
        examine(model, X, Y + 1, **FIT)
    assert caught.value.diagnosis.causes == ["label_encoding"]
    assert all(np.array_equal(a, v.numpy()) for a, v in zip(weights, model.variables, strict=True))


def test_an_interrupt_restores_and_reports():
    class Interrupt(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise KeyboardInterrupt

    model = net(activation="relu")
    weights = [v.numpy() for v in model.variables]
    with pytest.raises(KeyboardInterrupt) as caught:
        examine(model, X, Y, callbacks=[Interrupt()], **FIT)
    assert caught.value.diagnosis.causes == ["wrong_output_activation"]
    assert all(np.array_equal(a, v.numpy()) for a, v in zip(weights, model.variables, strict=True))


def test_bad_input_is_refused_with_a_reason():
    with pytest.raises(ValueError, match="not compiled"):
        examine(keras.Sequential([keras.layers.Input((6,)), keras.layers.Dense(3)]), X, Y)
    with pytest.raises(ValueError, match="same number of rows"):
        examine(net(), X, Y[:-1])
    with pytest.raises(ValueError, match="no samples"):
        examine(net(), X[:0], Y[:0])


def test_a_diagnosis_survives_json():
    diagnosis = examine(net(activation="relu"), X, Y, epochs=1)
    again = Diagnosis.from_dict(diagnosis.to_dict())
    assert again.causes == diagnosis.causes == ["wrong_output_activation"]
    assert "wrong_output_activation" in str(again)
