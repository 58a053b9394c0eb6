"""The live callback, and `kcnn doctor SCRIPT`."""

import dataclasses
import json
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
from click.testing import CliRunner

from kcnn.callbacks import Doctor
from kcnn.callbacks.doctor import _registry, registered

RNG = np.random.default_rng(3)
Y = RNG.integers(0, 3, 200)
X = (RNG.normal(size=(200, 6)) + 2.5 * np.eye(6)[Y]).astype("float32")


def net(optimizer="adam", **kwargs):
    model = keras.Sequential(
        [
            keras.layers.Input((6,)),
            keras.layers.Dense(16, "relu", **kwargs),
            keras.layers.Dense(3, "softmax"),
        ]
    )
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def test_a_healthy_run_is_silent():
    heard = []
    net().fit(X, Y, epochs=3, verbose=0, callbacks=[Doctor(X, Y, sink=heard.append)])
    assert heard == []


def test_nan_ends_the_run_with_the_best_weights_kept():
    class Spoil(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                first = self.model.layers[0].kernel
                first.assign(np.full(first.shape, np.nan, "float32"))

    doctor = Doctor(stop=True, sink=None)
    model = net()
    history = model.fit(X, Y, epochs=6, verbose=0, callbacks=[Spoil(), doctor])
    assert len(history.history["loss"]) == 3
    assert doctor.diagnosis.causes == ["lr_too_high"]
    assert np.isfinite(model.layers[0].kernel.numpy()).all()


def test_a_check_that_breaks_beside_a_fit_is_no_health(monkeypatch):
    balance = next(one for one in registered() if one.id == "class_balance")
    broken = dataclasses.replace(balance, function=lambda context, **numbers: 1 / 0)
    monkeypatch.setitem(_registry._CHECKS, balance.id, broken)
    doctor = Doctor(X, Y, sink=None)
    net().fit(X, Y, verbose=0, callbacks=[doctor])
    assert "ZeroDivisionError" in doctor.diagnosis.unseen[0]
    assert not doctor.diagnosis.healthy


def test_a_dead_network_ends_the_run():
    model = net(bias_initializer=keras.initializers.Constant(-99.0))
    doctor = Doctor(X, Y, stop=True, sink=None)
    history = model.fit(X, Y, epochs=5, verbose=0, callbacks=[doctor])
    assert len(history.history["loss"]) == 1
    assert "dying_relu" in doctor.diagnosis.causes


def test_static_facts_are_said_before_the_first_step():
    heard = []
    doctor = Doctor(X, Y / 255.0, sink=heard.append)
    net().fit(X, Y / 255.0, epochs=1, verbose=0, callbacks=[doctor])
    assert heard[0].cause == "label_encoding"


def test_every_must_be_positive():
    with pytest.raises(ValueError, match="every"):
        Doctor(every=0)


SCRIPT = """
import sys
import numpy as np
import keras

rng = np.random.default_rng(0)
x = rng.normal(size=(200, 4)).astype("float32")
y = (x.sum(1) > 0).astype(int)
model = keras.Sequential([
    keras.layers.Input((4,)),
    keras.layers.Dense(8, activation="relu"),
    keras.layers.Dense(1, activation={activation!r}),
])
model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy")
history = model.fit(x, y, epochs=15, verbose=0)
print("epochs", len(history.history["loss"]), sys.argv[1:])
"""


@pytest.mark.parametrize(("activation", "code"), [("softmax", 1), ("sigmoid", 0)])
def test_a_script_is_run_unchanged_and_examined(tmp_path, activation, code):
    from kcnn_cli import main

    fit, compile_ = keras.Model.fit, keras.Model.compile
    script = tmp_path / "user.py"
    script.write_text(textwrap.dedent(SCRIPT.format(activation=activation)))
    answer, page = tmp_path / "a.json", tmp_path / "a.html"
    call = ["doctor", "--json", str(answer), "--html", str(page), str(script), "--lr", "3"]
    result = CliRunner().invoke(main, call)
    assert result.exit_code == code, result.output
    assert "epochs 15 ['--lr', '3']" in result.output
    found = json.loads(answer.read_text())["fits"]
    assert [visit["line"] for visit in found] == [15]
    if code:
        finding = found[0]["findings"][0]
        assert finding["cause"] == "wrong_output_activation"
        assert finding["place"].endswith("user.py:12")
        assert "wrong_output_activation" in page.read_text()
    assert (keras.Model.fit, keras.Model.compile) == (fit, compile_)


def test_fast_ends_a_failing_fit_and_errors_keep_their_exit_code(tmp_path):
    from kcnn_cli import main

    script = tmp_path / "user.py"
    script.write_text(textwrap.dedent(SCRIPT.format(activation="softmax")))
    result = CliRunner().invoke(main, ["doctor", "--fast", str(script)])
    assert "epochs 1 []" in result.output
    script.write_text("raise SystemExit(7)")
    assert CliRunner().invoke(main, ["doctor", str(script)]).exit_code == 7
    assert CliRunner().invoke(main, ["doctor", str(tmp_path / "none.py")]).exit_code == 2


def test_a_crash_is_told(tmp_path):
    from kcnn_cli import main

    script, answer = tmp_path / "user.py", tmp_path / "a.json"
    text = textwrap.dedent(SCRIPT.format(activation="sigmoid"))
    script.write_text(text.replace("fit(x, y,", "fit(x[:, :3], y,"))
    result = CliRunner().invoke(main, ["doctor", "--json", str(answer), str(script)])
    assert result.exit_code == 1
    assert "fit raises" in json.loads(answer.read_text())["fits"][0]["findings"][0]["seen"]
    assert result.stderr.count("fit raises") == 1
    assert "kcnn doctor: root cause" not in result.stderr


# Python drops an interrupt that comes while it collects garbage: another follows.
INTERRUPTED = """
import signal

def interrupt(*_):
    signal.setitimer(signal.ITIMER_REAL, 10)
    raise KeyboardInterrupt

signal.signal(signal.SIGALRM, interrupt)
"""


def test_an_interrupt_is_told(tmp_path):
    """In a process of its own: an interrupt while TensorFlow traces leaves it in graph mode."""
    script, answer = tmp_path / "user.py", tmp_path / "a.json"
    text = textwrap.dedent(SCRIPT.format(activation="sigmoid")).replace("epochs=15", "epochs=9000")
    text = text.replace("history =", "signal.setitimer(signal.ITIMER_REAL, 2)\nhistory =")
    script.write_text(INTERRUPTED + text)
    command = "import sys; from kcnn_cli import main; main(sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", command, "doctor", "--json", str(answer), str(script)],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 130, done.stderr
    found = json.loads(answer.read_text())
    assert found["exit_code"] == 130
    assert any("interrupted" in f["seen"] for f in found["fits"][0]["findings"])
