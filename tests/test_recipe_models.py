"""Any builder of a model: what the recipe makes of it, and what it refuses."""

import keras
import numpy as np
import pytest

from kcnn.callbacks import Snapshot
from kcnn.models import create_model
from kcnn.recipe.model_cache import ModelCache, as_builder
from kcnn.recipe.problem import Problem
from kcnn.recipe.settings import RecipeError
from kcnn.recipe.space import TRAINING

PROBLEM = Problem(classes=3, input_shape=(4,))


class CountedDense(keras.layers.Dense):
    """Counts how often Python runs through it in training, that is, how often it is traced."""

    traced = 0

    def call(self, x, training=None):
        if training:
            CountedDense.traced += 1
        return super().call(x)


def tiny(hp):
    inputs = keras.Input((4,))
    x = keras.layers.Dense(int(3 * hp.get("width", 1)))(inputs)
    return keras.Model(inputs, CountedDense(3)(x))


def compiled(optimizer, loss="sparse_categorical_crossentropy", metrics=()):
    def build(hp):
        inputs = keras.Input((4,))
        model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(inputs))
        model.compile(optimizer(hp), loss=loss, metrics=list(metrics))
        return model

    return build


def data(batch_size=8):
    import tensorflow as tf

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(24, 4)).astype("float32"), rng.integers(0, 3, 24)
    return tf.data.Dataset.from_tensor_slices((x, y)).repeat().batch(batch_size).take(3)


def hp(lr=0.1, decay=0.0, **more):
    return {"learning_rate": lr, "weight_decay": decay, "batch_size": 8, **more}


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "rmsprop", "lion"])
def test_a_new_rate_or_decay_does_not_trace_again(optimizer):
    models = ModelCache(tiny, PROBLEM, optimizer=optimizer)
    CountedDense.traced = 0
    models.fresh(hp()).fit(data(), verbose=0)
    first = CountedDense.traced
    assert first > 0
    for lr, decay in ((0.01, 1e-4), (1e-5, 0.0), (1.0, 1e-2)):
        models.fresh(hp(lr, decay)).fit(data(), verbose=0)
    assert CountedDense.traced == first


@pytest.mark.parametrize(
    "build",
    [
        tiny,
        compiled(lambda hp: keras.optimizers.Adam(hp["learning_rate"])),
        compiled(lambda hp: keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.1, 9))),
    ],
    ids=["uncompiled", "compiled", "on a schedule"],
)
def test_every_training_starts_from_the_same_weights_at_its_own_rate(build):
    models = ModelCache(build, PROBLEM)
    start = models.fresh(hp()).get_weights()

    def trained(lr, decay):
        model = models.fresh(hp(lr, decay))
        for weight, expected in zip(model.get_weights(), start, strict=True):
            np.testing.assert_array_equal(weight, expected)
        assert float(model.optimizer.learning_rate) == pytest.approx(lr)
        model.fit(data(), verbose=0)
        return model.get_weights()

    first = trained(0.1, 1e-2)
    trained(1.0, 0.0)
    for a, b in zip(first, trained(0.1, 1e-2), strict=True):
        np.testing.assert_array_equal(a, b)


def test_released_models_come_back_the_same():
    models = ModelCache(tiny, PROBLEM, seed=3)
    first = models.fresh(hp(width=1)).get_weights()
    for width in (2, 3, 4):
        models.fresh(hp(width=width))
    assert len(models._entries) == 2
    for a, b in zip(models.fresh(hp(width=1)).get_weights(), first, strict=True):
        np.testing.assert_array_equal(a, b)


def test_weight_decay_shrinks_kernels_by_rate_times_decay_and_spares_biases():
    def build(hp):
        inputs = keras.Input((4,))
        return keras.Model(inputs, keras.layers.Dense(3)(inputs))

    model = ModelCache(build, PROBLEM).fresh(hp(0.5, 0.2))
    kernel, _ = model.get_weights()
    model.layers[-1].bias.assign(np.full(3, 2.0))
    # With zero inputs the kernel's gradient is zero: only the decay moves it.
    model.fit(np.zeros((8, 4), "float32"), np.arange(8) % 3, batch_size=8, verbose=0)
    np.testing.assert_allclose(model.get_weights()[0], kernel * (1 - 0.5 * 0.2), rtol=1e-6)
    assert not model.optimizer._use_weight_decay(model.layers[-1].bias)


def test_a_decay_that_the_builder_reads_is_its_own_affair():
    build = compiled(lambda hp: keras.optimizers.AdamW(0.1, weight_decay=hp["weight_decay"]))
    models = ModelCache(build, PROBLEM)
    assert models.fresh(hp(decay=0.3)).optimizer.weight_decay == 0.3
    assert models.fresh(hp(decay=0.1)).optimizer.weight_decay == 0.1


@pytest.mark.parametrize("probabilities", [False, True])
def test_the_loss_fits_what_the_model_gives(probabilities):
    def build(hp):
        inputs = keras.Input((4,))
        activation = "softmax" if probabilities else None
        return keras.Model(inputs, keras.layers.Dense(3, activation=activation)(inputs))

    assert ModelCache(build, PROBLEM).fresh(hp()).loss.from_logits != probabilities
    many = Problem(classes=3, input_shape=(4,), multi_label=True)
    assert isinstance(ModelCache(build, many).fresh(hp()).loss, keras.losses.BinaryCrossentropy)
    soft = Problem(classes=3, input_shape=(4,), soft=True)
    loss = ModelCache(build, soft).fresh(hp()).loss
    assert isinstance(loss, keras.losses.CategoricalCrossentropy)


def test_a_given_model_is_lent_out_from_its_present_weights():
    model = tiny({"width": 1})
    model.compile("sgd", "sparse_categorical_crossentropy")
    given = model.get_weights()
    models = ModelCache(as_builder(model), PROBLEM)
    models.fresh(hp()).fit(data(), verbose=0)
    for a, b in zip(models.fresh(hp()).get_weights(), given, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_subclassed_model_is_built_on_the_data():
    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(3)

        def call(self, x):
            return self.dense(x)

    assert ModelCache(lambda hp: Net(), PROBLEM).fresh(hp()).built


def raises(hp):
    raise TypeError("no such thing\nsecond line")


def dense(inputs, units):
    images = keras.Input(inputs)
    return keras.Model(images, keras.layers.Dense(units)(images))


BAD_BUILDERS = {
    "raises": (raises, r"build \(.*test_recipe_models.*\) raised TypeError: no such thing$"),
    "something else": (lambda hp: 3, r"has to return a keras\.Model; it returned a int"),
    "other classes": (lambda hp: dense((4,), 7), r"output \(None, 7\); the data have 3 classes"),
    "other inputs": (lambda hp: dense((5,), 3), r"inputs of shape \(5,\); the data have \(4,\)"),
    "a wrong name": (lambda hp: hp["widht"], "raised KeyError"),
}


@pytest.mark.parametrize("case", BAD_BUILDERS)
def test_bad_builders_are_named_in_a_line(case):
    build, said = BAD_BUILDERS[case]
    with pytest.raises(RecipeError, match=said) as caught:
        ModelCache(build, PROBLEM).fresh(hp())
    assert "\n" not in str(caught.value)


def test_a_builder_that_ignores_the_space_is_named():
    models = ModelCache(tiny, PROBLEM)
    models.fresh(hp(width=1, depth=2))
    models.check_all_read(hp(width=1))
    with pytest.raises(RecipeError, match="build ignores 'depth'"):
        models.check_all_read(hp(width=1, depth=2))
    assert set(TRAINING) == set(hp())


def test_our_networks_have_all_their_weights_before_a_training():
    for options in ({}, {"drop_path": 0.1, "se_ratio": 0.25, "shortcut": "avgpool-conv"}):
        model = create_model("resnet8", classes=3, input_shape=(8, 8, 1), stem="cifar", **options)
        model.compile("sgd", "mse")
        weights = len(model.weights)
        Snapshot(model)  # refuses a model whose weights are not all there
        model(np.zeros((1, 8, 8, 1)))
        assert len(model.weights) == weights


def test_an_unknown_optimizer_names_the_nearest():
    with pytest.raises(RecipeError, match="Did you mean 'adadelta'"):
        ModelCache(tiny, PROBLEM, optimizer="adadelt").fresh(hp())
