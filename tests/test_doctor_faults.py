"""Faults of real programs in small: several inputs or outputs, layers and steps of one's own."""

import types

import keras
import numpy as np
import pytest
import tensorflow as tf
from doctor_tools import found
from doctor_zoo.own_steps import OwnStep

from kcnn.callbacks import examine
from kcnn.callbacks.data import Rows
from kcnn.callbacks.doctor import likely, possible, registered
from kcnn.callbacks.doctor.interventions import Intervention
from kcnn.callbacks.doctor.program.loss import read_loss
from kcnn.callbacks.doctor.program.neighbours import agreement
from kcnn.callbacks.doctor.program.task import read_task
from kcnn.callbacks.doctor.trials.gain import Gain
from kcnn.callbacks.doctor.trials.measure import Outcome
from kcnn.callbacks.doctor.trials.report import Trial, _only_early
from kcnn.callbacks.doctor.trials.series import _Series

RNG = np.random.default_rng(8)
SPARSE = "sparse_categorical_crossentropy"


def pairs(n):
    """Two noisy prototypes of three, and whether they are of one kind."""
    kinds = RNG.integers(0, 3, (n, 2))
    kinds[::2, 1] = kinds[::2, 0]
    sides = 2 * np.eye(3)[kinds] + 0.4 * RNG.normal(size=(n, 2, 3))
    left, right = sides.astype("float32").swapaxes(0, 1)
    return [left, right], (kinds[:, 0] == kinds[:, 1]).astype("float32")


def comparing(rate):
    left, right = keras.Input((3,)), keras.Input((3,))
    tower = keras.layers.Dense(8, "relu")
    h = keras.layers.Concatenate()([tower(left), tower(right)])
    h = keras.layers.Dense(16, "relu")(h)
    model = keras.Model([left, right], keras.layers.Dense(1, "sigmoid")(h))
    model.compile(keras.optimizers.Adam(rate), "binary_crossentropy", metrics=["accuracy"])
    return model


def test_neighbours_among_pairs_tell_whether_they_belong_to_their_labels():
    (left, right), same = pairs(600)
    task = read_task(same, loss=read_loss("binary_crossentropy"), units=1, scores=True)
    apart = RNG.permutation(left)
    assert agreement(Rows([left, right], same), task)[0] > 8
    assert abs(agreement(Rows([apart, right], same), task)[0]) < 4
    ids = RNG.integers(0, 99, (600, 5))
    assert agreement(Rows([ids, right], same), task) is None  # ids have no distances


def test_pairs_with_one_side_shuffled_are_misaligned():
    keras.utils.set_random_seed(1)
    ([left, right], same), held = pairs(600), pairs(400)
    left = RNG.permutation(left)
    fit = {"epochs": 6, "validation_data": held}
    assert examine(comparing(0.01), [left, right], same, **fit).causes == ["label_misalignment"]


class Linear(keras.layers.Layer):
    def __init__(self, units, start):
        super().__init__()
        self.units, self.start = units, start

    def build(self, shape):
        self.w = self.add_weight(shape=(shape[-1], self.units), initializer=self.start)
        self.b = self.add_weight(shape=(self.units,), initializer="zeros")

    def call(self, x):
        return keras.ops.matmul(x, self.w) + self.b


@pytest.mark.parametrize(
    ("start", "causes"), [("zeros", ["bad_initialization"]), ("he_normal", [])]
)
def test_layers_of_ones_own_whose_units_never_part(start, causes):
    keras.utils.set_random_seed(0)
    y = RNG.integers(0, 3, 400)
    x = (RNG.normal(size=(400, 6)) + 3 * np.eye(6)[y]).astype("float32")
    model = keras.Sequential([
        keras.Input((6,)), Linear(16, start), keras.layers.ReLU(), Linear(16, start),
        keras.layers.ReLU(), Linear(3, start), keras.layers.Softmax(),
    ])  # fmt: skip
    model.compile(keras.optimizers.Adam(0.01), SPARSE, metrics=["accuracy"])
    assert examine(model, x, y, epochs=8).causes == causes


def two_heads(price):
    keras.utils.set_random_seed(2)
    y = RNG.integers(0, 3, 600)
    x = (RNG.normal(size=(600, 8)) + 2 * np.eye(8)[y]).astype("float32")
    inputs = keras.Input((8,))
    h = keras.layers.Dense(32, "relu")(inputs)
    outputs = {
        "kind": keras.layers.Dense(3, "softmax", name="kind")(h),
        "price": keras.layers.Dense(1, name="price")(h),
    }
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.Adam(0.01), {"kind": SPARSE, "price": "mse"})
    return model, x, {"kind": y, "price": price(x).astype("float32")}


def test_targets_of_one_output_that_drown_the_other():
    model, x, y = two_heads(lambda x: 60_000 * (x[:, 6] + 3))
    diagnosis = examine(model, x, y, epochs=12)
    assert diagnosis.causes == ["unnormalized_targets"]
    assert diagnosis.findings[0].seen.startswith("output price: targets of mean")


class SquashesAgain(OwnStep):
    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            scores = self(x, training=True)
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(tf.cast(y, "int32"), scores)
            )
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        self.mean_loss.update_state(loss)
        return {"loss": self.mean_loss.result()}


def test_a_step_of_ones_own_that_squashes_what_is_squashed():
    keras.utils.set_random_seed(3)
    y = RNG.integers(0, 10, 600)
    x = (RNG.normal(size=(600, 12)) + 2 * np.eye(12)[y]).astype("float32")
    inputs = keras.Input((12,))
    hidden = keras.layers.Dense(32, "relu")(inputs)
    model = SquashesAgain(inputs, keras.layers.Dense(10, "softmax")(hidden))
    model.compile(keras.optimizers.SGD(0.1), SPARSE)
    assert examine(model, x, y, epochs=12).causes == ["loss_activation_mismatch"]


def rated(units, rate, *body):
    model = keras.Sequential([keras.Input((6,)), *body, keras.layers.Dense(units, "softmax")])
    model.compile(keras.optimizers.SGD(rate, momentum=0.9), SPARSE)
    return model


@pytest.mark.parametrize(
    ("norm", "rate", "odd"), [(True, 0.1, False), (False, 0.1, True), (True, 1.0, True)]
)
def test_a_rate_that_normalization_stands_is_usual(norm, rate, odd):
    body = [keras.layers.Dense(16, "relu"), *([keras.layers.BatchNormalization()] if norm else [])]
    x, y = RNG.normal(size=(96, 6)).astype("float32"), RNG.integers(0, 3, 96)
    causes = {h.cause for h in found(rated(3, rate, *body), x, y)}
    assert ("lr_too_high" in causes) == odd


def trial(make, cause, cure, score, *, passed, gain=0.2):
    one = make("", "", "", cause=cause, cure=cure, stage="end")
    return Trial(one, Outcome(score, score, steps=100), Gain(gain, 2.0), passed=passed)


@pytest.mark.parametrize(("lowered", "first"), [(0.9, "lr_too_high"), (0.6, "too_few_epochs")])
def test_an_odd_rate_is_weighed_against_longer_training_over_as_many_steps(lowered, first):
    asked = []

    def run(cure, steps):
        asked.append(steps)
        return Outcome(lowered, lowered)

    rows = types.SimpleNamespace(held_out=False)
    runner = types.SimpleNamespace(run=run, steps=120, length=120, data=rows, time_left=True)
    series = _Series(types.SimpleNamespace(trials=runner, final=None), Outcome(0.1, 0.1))
    longer = trial(possible, "too_few_epochs", Intervention(longer=True), 0.6, passed=True)
    rate = trial(likely, "lr_too_high", Intervention(rate=0.01), 0.1, passed=False)
    series.trials = [longer, rate]
    series.rival_rate()
    assert asked == [220]
    assert [t.hypothesis.cause for t in series.trials if t.passed] == [first]


@pytest.mark.parametrize(
    ("steps", "learned", "losses", "early"),
    [(150, 0.6, [2.0, 1.5, 1.2], True), (600, 0.6, [2.0, 1.5, 1.2], False),
     (150, 0.1, [2.0, 1.5, 1.2], False), (150, 0.6, [2.0, 3.0, 4.0], False)],
)  # fmt: skip
def test_a_usual_rate_that_learns_slowly_in_a_short_run_is_no_failure(
    steps, learned, losses, early
):
    context = types.SimpleNamespace(
        trials=types.SimpleNamespace(steps=steps), final=Outcome(learned, learned),
        run=types.SimpleNamespace(history={"loss": losses}),
    )  # fmt: skip
    lower = trial(possible, "lr_too_high", Intervention(rate=0.1), 0.8, passed=True)
    assert _only_early(context, lower) == early


def overfits(train, val, curve):
    (check,) = [one for one in registered("run") if one.id == "overfitting"]
    context = types.SimpleNamespace(
        final=Outcome(train, val), task=None,
        history={"loss": list(np.geomspace(0.7, 1e-3, len(curve))), "val_loss": curve},
    )  # fmt: skip
    return [one.certainty.name for one in check.hypotheses(context, {})]


def test_what_is_learned_by_heart_overfits_though_its_loss_rises_little():
    curve = [0.7, 0.62, 0.6, *np.linspace(0.602, 0.68, 20)]
    assert overfits(1.0, 0.3, curve) == ["PROVEN"]
    assert overfits(1.0, 0.7, curve) == []


def validated(train, val):
    model = keras.Sequential([keras.Input(train.shape[1:]), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    y, held = train[:, :1], val[:, :1]
    return {
        h.certainty.name for h in found(model, train, y, validation_data=(val, held))
        if h.cause == "preprocessing_mismatch"
    }  # fmt: skip


def test_a_series_that_wanders_was_not_prepared_otherwise():
    walk = np.cumsum(RNG.normal(size=(4000, 3)), axis=0)
    walk[3000:] += np.linspace(0, 300, 1000)[:, None]  # it goes where it has never been
    walk = ((walk - walk[:3000].mean(0)) / walk[:3000].std(0)).astype("float32")
    assert validated(walk[:3000], walk[3000:]) <= {"POSSIBLE"}
    assert validated(walk[:3000], 20 * walk[3000:] + 50) == {"PROVEN"}


def test_a_validation_loss_that_wanders_does_not_overfit_for_sure():
    fall = np.geomspace(2, 1, 40)
    walks = [np.maximum(fall + np.cumsum(0.2 * RNG.normal(size=40)), 0.1) for _ in range(60)]
    said = [overfits(1.0, 0.6, list(curve)) for curve in walks]
    assert sum(one == ["LIKELY"] for one in said) > 5
    assert sum(one == ["PROVEN"] for one in said) <= 3  # one in twenty
    climbing = np.concatenate([fall[:15], np.linspace(fall[14], 2.5, 25)])
    noisy = [list(climbing + 0.08 * RNG.normal(size=40)) for _ in range(40)]
    assert sum(overfits(1.0, 0.6, curve) == ["PROVEN"] for curve in noisy) >= 32


def test_a_validation_loss_that_climbs_ever_more_slowly_is_no_walk():
    climb = 1.6 + 0.35 * np.log(np.arange(1, 61))
    noisy = [list(climb + 0.03 * RNG.normal(size=60)) for _ in range(20)]
    assert sum(overfits(1.0, 0.1, curve) == ["PROVEN"] for curve in noisy) >= 18


@pytest.mark.parametrize(("copies", "leaks"), [(3, True), (1, False)])
def test_pictures_copied_before_the_split_leak(copies, leaks):
    pictures = RNG.normal(size=(120, 6, 6, 1)).astype("float32")
    x = pictures[RNG.permutation(120 * copies) % 120]
    y = RNG.integers(0, 3, len(x))
    model = keras.Sequential([
        keras.Input((6, 6, 1)), keras.layers.Flatten(), keras.layers.Dense(3, "softmax"),
    ])  # fmt: skip
    model.compile("adam", SPARSE)
    causes = {h.cause for h in found(model, x, y, validation_split=0.25)}
    assert ("data_leak" in causes) == leaks


def test_colours_in_reverse_order_on_one_side_are_no_other_numbering_of_the_classes():
    keras.utils.set_random_seed(2)
    colour = RNG.integers(0, 3, 600)
    x = RNG.random((600, 6, 6, 3)).astype("float32")
    x[np.arange(600), ..., colour] += 0.5
    model = keras.Sequential([
        keras.Input((6, 6, 3)), keras.layers.Conv2D(8, 3, activation="relu"),
        keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3, "softmax"),
    ])  # fmt: skip
    model.compile(keras.optimizers.Adam(0.02), SPARSE, metrics=["accuracy"])
    val = x[400:, ..., ::-1], colour[400:]
    said = examine(model, x[:400], colour[:400], epochs=6, validation_data=val)
    assert said.causes == ["preprocessing_mismatch"]
    assert "colours in reverse order" in said.findings[0].seen


@pytest.mark.parametrize("sides", [True, False])
def test_a_map_that_flips_what_the_label_says_is_found_by_training_without_it(sides):
    keras.utils.set_random_seed(3)
    side = RNG.integers(0, 2, 480)
    x = 0.3 * RNG.random((480, 4, 8, 1)).astype("float32")
    x[side == 0, :, :4] += 0.3
    x[side == 1, :, 4:] += 0.3

    def change(picture, label):
        if sides:
            return tf.image.random_flip_left_right(picture), label
        return tf.image.random_flip_up_down(picture), label

    data = tf.data.Dataset.from_tensor_slices((x[:400], side[:400])).shuffle(400).map(change)
    model = keras.Sequential([
        keras.Input((4, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(16, "relu"),
        keras.layers.Dense(2, "softmax"),
    ])  # fmt: skip
    model.compile(keras.optimizers.Adam(0.01), SPARSE, metrics=["accuracy"])
    said = examine(model, data.batch(32), epochs=5, validation_data=(x[400:], side[400:]))
    assert said.causes == (["augmentation_breaks_label"] if sides else [])
