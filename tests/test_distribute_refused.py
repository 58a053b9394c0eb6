"""What can't train together is said on every worker, within seconds, and nothing hangs."""

import json
import time

import pytest
from distribute_tools import begin, ended, free_ports

TRAIN = """
import keras, numpy as np
from kcnn import distribute
strategy = distribute.strategy(patience=20)
me = distribute.cluster().index
seed, options, given = 0, {}, {"batch_size": 8}
CHANGE
x = np.random.default_rng(seed).normal(size=(32, 4)).astype("float32")
with strategy.scope():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", **options)
distribute.fit(model, x, x[:, :1], verbose=0, **given)
"""
CASES = {
    "data": ("seed = me", "worker 1 (127.0.0.1:PORT) has another x than worker 0"),
    "arguments": ("given['epochs'] = 1 + me", "has another arguments than worker 0"),
    "batch": ("given['batch_size'] = 7", "batch_size=7 does not divide among 2 replicas; take 6"),
    "jit": ("options['jit_compile'] = True", "compile it with jit_compile=False"),
    "backup": (
        "given['callbacks'] = [keras.callbacks.BackupAndRestore('x')]",
        "use kcnn.distribute.Checkpoint",
    ),
}
SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in CASES if name != "data"]


@pytest.mark.parametrize("name", ["data", *SLOW])
def test_both_workers_say_what_is_wrong(name, tmp_path):
    change, said = CASES[name]
    script = tmp_path / "script.py"
    script.write_text(TRAIN.replace("CHANGE", change))
    ports = free_ports(2)
    began = time.monotonic()
    for code, _, errors in ended([begin(script, i, ports) for i in range(2)]):
        assert code == 1
        assert said.replace("PORT", str(ports[1])) in errors
    assert time.monotonic() - began < 120  # a hang would be cut off by the tools, later


def test_another_script_is_said_before_anything_is_trained(tmp_path):
    scripts = [tmp_path / "a.py", tmp_path / "b.py"]
    for number, script in enumerate(scripts):
        script.write_text(f"from kcnn import distribute\ndistribute.strategy()\nprint({number})\n")
    ports = free_ports(2)
    found = ended([begin(scripts[i], i, ports) for i in range(2)])
    for code, out, errors in found:
        assert (code, out) == (1, "")
        assert "has another script than worker 0" in errors


def test_more_processes_than_tf_config_names_are_refused(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("from kcnn import distribute\ndistribute.strategy()\n")
    told = json.dumps({"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}})
    ((code, _, errors),) = ended([begin(script, 0, [1], TF_CONFIG=told, KCNN_PROCESSES="2")])
    assert code == 1
    assert "TF_CONFIG names 1 workers, but this is worker 0 of 2 processes" in errors
