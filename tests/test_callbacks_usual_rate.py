import keras
import pytest

import kcnn
from kcnn.callbacks.learning_rate._usual_rate import usual_rate
from kcnn.layers import norm

L = keras.layers


def model_of(*layers, optimizer=None):
    model = keras.Sequential([keras.Input((4, 4, 6)), *layers, L.Flatten(), L.Dense(3)])
    model.compile(optimizer or keras.optimizers.SGD(0.1, momentum=0.9), "mse")
    return model


def factor(*layers):
    return usual_rate(model_of(*layers), 64) / usual_rate(model_of(), 64)


def test_it_follows_the_optimizer():
    sgd, heavy = keras.optimizers.SGD(0.01, momentum=0.9), keras.optimizers.SGD(1.0, momentum=0.95)
    rate = usual_rate(model_of(optimizer=sgd))
    assert usual_rate(model_of(optimizer=heavy)) == pytest.approx(rate / 2)
    assert usual_rate(model_of(optimizer=keras.optimizers.SGD(0.1))) == pytest.approx(rate * 10)
    wrapped = keras.optimizers.LossScaleOptimizer(sgd)
    assert usual_rate(model_of(optimizer=wrapped)) == pytest.approx(rate)
    adam = usual_rate(model_of(optimizer=keras.optimizers.Adam(1.0)))
    assert 1e-3 <= adam <= 1e-2 <= rate <= 1e-1
    assert usual_rate(model_of(optimizer=keras.optimizers.AdamW(1.0))) == adam
    assert usual_rate(model_of(optimizer=keras.optimizers.RMSprop(1.0))) == adam
    assert usual_rate(model_of(optimizer=keras.optimizers.Lion(1e-3))) == adam / 2
    assert usual_rate(model_of(optimizer=keras.optimizers.Adagrad(1e-3))) is None


def test_it_grows_with_the_batch_between_the_square_root_and_the_linear_rule():
    model = model_of()
    assert usual_rate(model) == usual_rate(model, 64)
    assert 8 < usual_rate(model, 64 * 64) / usual_rate(model, 64) < 64
    assert usual_rate(model, 64) / usual_rate(model, 8) == pytest.approx(4)


@pytest.mark.parametrize(
    ("kind", "others"),
    [
        ("batch", [L.BatchNormalization()]),
        ("layer", [L.LayerNormalization(), L.GroupNormalization(1), norm("group", groups=1)]),
        ("instance", [L.GroupNormalization(-1), L.GroupNormalization(6), norm("group", groups=6)]),
        ("group", [L.GroupNormalization(2), norm("group", groups=2)]),
    ],
)
def test_a_normalization_counts_whoever_made_it(kind, others):
    ours = norm(kind, **({"groups": 3} if kind == "group" else {}))
    expected = factor(ours)
    assert all(factor(other) == expected for other in others)
    folded = norm(kind, activation="relu", **({"groups": 3} if kind == "group" else {}))
    assert factor(folded) == expected


def test_the_kinds_differ_and_mix():
    batch, layer = factor(norm("batch")), factor(norm("layer"))
    assert layer < factor(norm("group", groups=2)) < batch < factor(norm("instance"))
    assert factor(norm("batch"), norm("layer")) == pytest.approx((batch * layer) ** 0.5)
    assert factor(L.Activation("relu"), norm("none")) == 1
    without = norm("layer", center=False, scale=False)
    assert factor(without) == layer


def test_it_looks_into_nested_models():
    model = kcnn.create_model("resnet20", classes=3, input_shape=(8, 8, 6), width=0.25)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
    assert usual_rate(model, 64) == pytest.approx(usual_rate(model_of(norm("batch")), 64))
