"""What the doctor says of checks that break, of ordinary rates, and of many classes."""

import dataclasses
import itertools
import re
import subprocess
import sys
import textwrap
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

from kcnn.callbacks import Diagnosis, Doctor, OverfitDetector, examine, read_curves
from kcnn.callbacks.data import draw
from kcnn.callbacks.doctor import _reading, _registry, registered
from kcnn.callbacks.doctor._deadline import Deadline
from kcnn.callbacks.doctor.program.loss import read_loss
from kcnn.callbacks.doctor.program.task import read_task
from kcnn_cli._findings_page import proof

RNG = np.random.default_rng(3)
Y = RNG.integers(0, 3, 240)
X = (RNG.normal(size=(240, 6)) + 2.5 * np.eye(6)[Y]).astype("float32")


def net(optimizer="adam", units=3, activation="softmax", loss="sparse_categorical_crossentropy"):
    layers = [keras.Input((6,)), keras.layers.Dense(16, "relu")]
    model = keras.Sequential([*layers, keras.layers.Dense(units, activation)])
    model.compile(optimizer, loss, metrics=["accuracy"])
    return model


def broken(*args, **kwargs):
    raise TypeError("unsupported operand")


def test_a_check_that_breaks_is_told_and_the_others_go_on(monkeypatch):
    balance = next(one for one in registered() if one.id == "class_balance")
    balance = dataclasses.replace(balance, function=broken)
    monkeypatch.setitem(_registry._CHECKS, balance.id, balance)
    y = (Y > 0).astype("float32")
    found = examine(net(units=1, loss="binary_crossentropy"), X, y, epochs=2)
    assert "wrong_output_activation" in found.causes
    assert not found.complete
    assert "TypeError: unsupported operand" in found.unseen[0]
    assert Diagnosis.from_dict(found.to_dict()) == found


def test_what_is_not_judged_of_a_loss_and_a_metric_of_ones_own_is_said():
    def own(y, p):
        return keras.ops.mean(keras.ops.abs(y - p) ** 1.5, -1)

    def picky(y, p):
        if isinstance(y, np.ndarray):
            raise TypeError("tensors only")
        return keras.ops.mean(p)

    model = net(units=1, activation=None, loss=own)
    model.compile("adam", own, metrics=[picky])
    context = _reading.read_context(model, draw(X, X[:, :1], {}))
    assert list(context.hypotheses("data")) == []
    assert [note.split(":")[0] for note in context.case.notes] == [
        "whether the loss own fits the last layer and the targets was not judged",
        "the metric picky was not judged",
    ]
    known = _reading.read_context(net(), draw(X, Y, {}))
    assert list(known.hypotheses("data")) == known.case.notes == []


def test_blindness_never_reads_healthy(monkeypatch):
    healthy = examine(net(keras.optimizers.Adam(0.01)), X, Y, epochs=12)
    assert healthy.healthy
    assert healthy.complete
    monkeypatch.setattr(_reading, "read_task", broken)
    blind = examine(net(keras.optimizers.Adam(0.01)), X, Y, epochs=12)
    assert not blind.healthy
    assert str(blind).startswith("unknown")


@pytest.mark.parametrize(
    "optimizer",
    [
        keras.optimizers.SGD(0.05, momentum=0.9),
        keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
        keras.optimizers.Adam(1e-4),
        keras.optimizers.AdamW(1e-5),
    ],
    ids=lambda o: f"{o.name}_{float(o.learning_rate):g}",
)
def test_ordinary_rates_alarm_nobody_while_the_loss_falls(optimizer):
    heard = []
    net(optimizer).fit(X, Y, epochs=4, verbose=0, callbacks=[Doctor(X, Y, sink=heard.append)])
    assert heard == []


def test_a_rate_is_spoken_of_once_the_loss_does_not_fall():
    heard = []
    model = net(keras.optimizers.SGD(30.0, momentum=0.9))
    model.fit(X, Y, epochs=6, verbose=0, callbacks=[Doctor(X, Y, sink=heard.append)])
    assert "lr_too_high" in [finding.cause for finding in heard]


@pytest.mark.parametrize("ids", [np.arange(1, 101), np.sort(RNG.choice(1000, 100, replace=False))])
def test_class_numbers_with_gaps_are_the_answers_they_name(ids):
    y = np.repeat(ids, 5)
    task = read_task(y, loss=read_loss("sparse_categorical_crossentropy"), units=1000, scores=True)
    assert (task.kind, task.classes) == ("multiclass", 100)
    np.testing.assert_array_equal(task.classes_of(y), y)


def test_class_weights_of_a_hundred_classes_reach_the_trials():
    y = np.tile(np.arange(1, 101), 6)
    x = np.eye(101, dtype="float32")[y] + 0.05 * RNG.normal(size=(600, 101)).astype("float32")
    model = keras.Sequential([keras.Input((101,)), keras.layers.Dense(101, "softmax")])
    model.compile(
        keras.optimizers.Adam(0.03), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    weight = {int(k): 1.0 + 0.01 * k for k in range(101)}
    found = examine(model, x, y, epochs=12, class_weight=weight)
    assert found.complete, found.unseen
    assert found.causes == []


def test_validation_every_second_epoch_chooses_by_validation_alone():
    class Script(keras.callbacks.Callback):
        """Gives the next callback the losses of a run that overfits from epoch 8 on."""

        def on_epoch_end(self, epoch, logs=None):
            logs["loss"] = 1.0 / (epoch + 1)
            if "val_loss" in logs:
                logs["val_loss"] = 0.5 + 0.04 * (epoch - 7) ** 2

    detector = OverfitDetector(sink=None)
    net().fit(
        X, Y, epochs=30, verbose=0, validation_data=(X, Y), validation_freq=2,
        callbacks=[Script(), detector],
    )  # fmt: skip
    assert (detector.best_epoch, detector.onset_epoch) == (8, 8)
    assert len(detector.history["val_loss"]) == 15


def test_a_log_likelihood_that_falls_below_zero_is_no_overfitting():
    steps = np.linspace(0, 1, 30)
    noise = 0.02 * np.sin(9 * np.arange(30))
    fit = 1.0 - 6 * steps**0.5 + noise
    reading = read_curves({"loss": fit, "val_loss": fit + 0.3 + noise[::-1]})
    assert reading.verdict in ("healthy", "underfitting")
    turned = np.where(steps < 0.3, fit, fit[9] + 8 * (steps - 0.3))
    assert read_curves({"loss": fit, "val_loss": turned}).verdict == "overfitting"


def test_an_own_train_step_whose_loss_stays_is_no_healthy_run():
    class Forgets(keras.Model):
        """Computes gradients and forgets to apply them."""

        def train_step(self, data):
            x, y = data
            loss = self.compute_loss(x, y, self(x, training=True))
            self._loss_tracker.update_state(loss)
            return {"loss": self._loss_tracker.result()}

    inputs = keras.Input((6,))
    model = Forgets(inputs, keras.layers.Dense(3, "softmax")(inputs))
    model.compile("sgd", "sparse_categorical_crossentropy")
    assert not examine(model, X, Y, epochs=4).healthy


def test_advice_is_the_very_change_that_was_tried():
    model = net(keras.optimizers.SGD(1e-5))
    found = examine(model, X, Y, epochs=6)
    first = found.findings[0]
    assert first.cause == "lr_too_low"
    rate = float(re.search(r"learning_rate=([\d.e-]+)", first.advice).group(1))
    assert f"learning rate {rate:.2g}" in first.evidence["tried"]
    assert f"{first.evidence['trial_steps']} steps" in proof(first)
    others = [f for f in found.findings[1:] if f.cause in ("lr_too_low", "lr_too_high")]
    assert others == []


def test_fast_does_not_train_what_the_set_up_proves_wrong():
    def never():
        raise AssertionError("the callback of a training")

    class Never(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            never()

    y = (Y > 0).astype("float32")
    model = net(units=1, loss="binary_crossentropy")
    found = examine(model, X, y, epochs=2, fast=True, callbacks=[Never()])
    assert found.causes[0] == "wrong_output_activation"


def test_a_stream_is_examined_in_part_and_the_part_is_named(monkeypatch):
    monkeypatch.setattr("kcnn.callbacks.data._sampler.MOST_BYTES", 3000)
    data = tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(240, seed=1).batch(20)
    case = draw(data, None, {"epochs": 2})
    assert case.train.n < 240
    assert case.steps == 2 * 12
    assert not case.moving  # other rows of a shuffled stream are no transformed ones
    assert f"examined on {case.train.n} of 240 rows" in case.notes[0]
    endless = ((X[:20], Y[:20]) for _ in itertools.count())
    assert draw(endless, None, {"steps_per_epoch": 10**9}).train.n < 240


SCRIPT = """
import keras, numpy as np

class Batches(keras.utils.PyDataset):
    def __init__(self, x, y):
        super().__init__()
        self.x, self.y, self.order, self.given = x, y, np.arange(len(x)), 0

    def __len__(self):
        return len(self.x) // 40

    def __getitem__(self, i):
        self.given += 1
        rows = self.order[40 * i : 40 * i + 40]
        return self.x[rows], self.y[rows]

    def on_epoch_end(self):
        np.random.shuffle(self.order)

keras.utils.set_random_seed(1)
y = np.arange(240) % 3
x = (np.random.normal(size=(240, 6)) + 2.5 * np.eye(6)[y]).astype("float32")
layers = [keras.Input((6,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(3, "softmax")]
model = keras.Sequential(layers)
model.compile(keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy", metrics=["accuracy"])
data = Batches(x, y)
print(model.fit(data, epochs=16, verbose=0).history)
print(data.given, data.order[:12])
model.save("model.keras")
again = keras.models.load_model("model.keras")
print(again.compiled, again.optimizer.name)
print(again.fit(x, y, epochs=6, batch_size=32, verbose=0).history)
print(np.random.normal(), float(keras.random.normal(())))
"""


def test_a_watched_script_does_what_it_does_alone(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(textwrap.dedent(SCRIPT))
    commands = (
        [sys.executable, "train.py"],
        [sys.executable, "-c", "import kcnn_cli; kcnn_cli.main()", "doctor", "train.py"],
    )
    alone, watched = (
        subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        for command in commands
    )
    assert alone.returncode == 0, alone.stderr
    assert watched.returncode == 0, watched.stderr
    assert "True adam" in alone.stdout
    assert watched.stdout == alone.stdout


def test_a_machine_that_does_other_work_does_not_end_an_examination():
    long_ago = time.perf_counter() - 40
    assert Deadline(30, begin=long_ago).over
    assert not Deadline(30, 30, begin=long_ago).over
    assert Deadline(30, 30, begin=long_ago, cpu_begin=time.process_time() - 31).over
    assert Deadline(10, 30, begin=long_ago).over
    assert not Deadline(50, cpu_begin=time.process_time() - 31).over


def test_a_budget_cuts_the_run_and_what_is_left_out_is_told():
    found = examine(net(keras.optimizers.Adam(1e-6)), X, Y, epochs=50, budget_s=0.01)
    assert found.numbers["steps"] < 50 * 8
    assert any("time was up" in why for why in found.unseen), found.unseen
    assert any("cut by the budget" in f.seen for f in found.findings)
    assert not found.complete
