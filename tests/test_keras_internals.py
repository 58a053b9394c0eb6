"""Each private part of Keras and TensorFlow that the instruments use, and what stands in for it."""

import ast
import contextlib
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from kcnn.callbacks import keras_internals as internals

CALLBACKS = Path(__file__).parents[1] / "callbacks"
STEPS = {"train_function", "test_function", "predict_function", "make_train_function"}
PRIVATE_MODULES = ("keras.src", "tensorflow.python")
MINE = {"self", "cls", "other"}
PYTHONS = {"_getframe", "_replace"}  # of sys, of named tuples


def net(**compiled):
    inputs = keras.Input((4,))
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)], name="inner")
    out = keras.layers.Dense(2, name="last")(keras.layers.Dropout(0.5)(inner(inputs)))
    model = keras.Model(inputs, out)
    model.compile(**({"optimizer": "adam", "loss": "mse"} | compiled))
    return model


def fitted(**compiled):
    model = net(**compiled)
    model.fit(np.ones((8, 4)), np.ones((8, 2)), verbose=0)
    return model


class Bare:
    """An object of a Keras without the attribute in question."""

    layers = ()
    learning_rate = 0.5


def test_values_of_variables_and_tensors_come_as_arrays():
    variable = keras.Variable(np.arange(3.0))
    assert internals.array_of(variable).tolist() == [0, 1, 2]
    assert internals.array_of(keras.ops.ones(2)).tolist() == [1, 1]


def test_a_strategy_is_entered_where_there_is_one():
    strategy = tf.distribute.MirroredStrategy(["/cpu:0"])
    with strategy.scope():
        model = net()
    with internals.strategy_scope(model):
        assert tf.distribute.get_strategy() is strategy
    assert isinstance(internals.strategy_scope(Bare()), contextlib.nullcontext)


def test_all_layers_are_found_and_without_keras_the_nested_ones_too():
    model = net()
    names = [layer.name for layer in internals.layers_of(model)]
    assert {"inner", "last", model.name} <= set(names)

    class Plain:
        def __init__(self, *layers):
            self.layers = layers

    leaf, model = Plain(), None
    model = Plain(Plain(leaf))
    assert internals.layers_of(model)[-1] is leaf


def test_the_source_of_the_rate_can_be_read_and_replaced():
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    optimizer = keras.optimizers.SGD(schedule)
    assert internals.rate_source(optimizer) is schedule
    held = keras.Variable(0.25)
    optimizer.build([keras.Variable(1.0)])
    count = len(optimizer.variables)
    internals.set_rate_source(optimizer, held)
    assert float(optimizer.learning_rate) == 0.25
    assert len(optimizer.variables) == count + 1
    internals.set_rate_source(optimizer, schedule)
    internals.untrack_variable(optimizer, held)
    assert len(optimizer.variables) == count
    assert internals.rate_source(Bare()) == 0.5
    internals.untrack_variable(Bare(), held)  # stays listed, and says nothing


def test_loss_weights_are_read_as_given():
    assert internals.loss_weights_of(net(loss_weights=[0.5])) == [0.5]
    assert internals.loss_weights_of(net()) is None
    assert internals.loss_weights_of(Bare()) is None


def test_layers_that_draw_random_numbers():
    assert internals.draws_random_numbers(keras.layers.Dropout(0.5))
    assert not internals.draws_random_numbers(keras.layers.Dense(1))
    assert not internals.draws_random_numbers(Bare())


def test_step_functions_are_held_put_back_and_made_anew():
    model = net()
    assert internals.step_function(model) is None
    before = internals.step_functions(model)
    model.fit(np.ones((8, 4)), np.ones((8, 2)), verbose=0)
    made, after = internals.step_function(model), internals.step_functions(model)
    assert made is not None
    assert {"train_function", "history"} <= set(after)
    assert internals.fresh_step_function(model) is not made
    internals.put_step_functions(model, after)
    assert internals.step_function(model) is made
    internals.put_step_functions(model, before)
    assert internals.step_functions(model) == before
    internals.set_step_function(model, made)
    assert internals.step_function(model) is made
    assert {internals.TRAIN, internals.TEST} <= STEPS


def test_the_functional_model_behind_a_model():
    model = net()
    assert internals.functional_of(model) is model
    stack = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    assert internals.functional_of(stack).outputs[0].shape == (None, 2)
    assert internals.functional_of(keras.Sequential([keras.layers.Dense(2)])) is None
    assert internals.functional_of(type("Own", (keras.Model,), {})()) is None


def test_calls_in_graphs_are_counted_and_forgotten():
    model = net()
    last = model.get_layer("last")
    with internals.graph_links(model):
        last(keras.Input((3,)))
        assert len(internals.calls_of(last)) == 2
    assert len(internals.calls_of(last)) == 1
    assert internals.calls_of(Bare()) == []


def test_graphs_are_walked_forwards_and_backwards():
    model = net()
    inner, last = model.get_layer("inner"), model.get_layer("last")
    assert last in internals.operations_of(model)
    assert internals.operations_of(Bare()) == []
    (dropout,) = internals.followers_of(inner)
    assert internals.followers_of(dropout) == [last]
    assert internals.followers_of(Bare()) == []
    made, taken, place = internals.origin_of(model.outputs[0])
    assert (made, place) == (last, 0)
    assert internals.origin_of(taken[0])[0] is dropout
    assert internals.origin_of(np.ones(2)) is None


def test_what_layers_and_compile_were_given():
    class Own(keras.layers.Layer):
        def __init__(self, units=2, **kwargs):
            super().__init__(**kwargs)
            self.units = units

    assert internals.arguments_of(Own(units=5))["units"] == 5
    assert internals.arguments_of(Bare()) is None
    dense = keras.layers.Dense(2)
    dense.build((None, 3))
    assert internals.stored_kernel_of(dense).shape == (3, 2)
    assert internals.stored_kernel_of(Bare()) is None
    model = net(metrics=["mae"], weighted_metrics=["mse"])
    assert internals.metrics_given_to(model) == ["mae", "mse"]
    assert internals.metrics_given_to(Bare()) == []


def test_global_names_and_seed_are_put_back(monkeypatch):
    held = internals.name_counters()
    first = keras.layers.Dense(1).name
    internals.put_global_names(held)
    assert keras.layers.Dense(1).name == first
    keras.random.normal(())
    assert internals.global_seed_state() is not None
    internals.put_global_names((None, False))
    assert internals.global_seed_state() is None
    monkeypatch.setattr("builtins.__import__", _without("keras.src.backend.common"))
    assert internals.global_seed_state() is None
    internals.put_global_names(internals.name_counters())


def test_the_eager_random_state_is_put_back(monkeypatch):
    tf.random.set_seed(1)
    state = internals.eager_random_state()
    first = float(tf.random.uniform(()))
    assert float(tf.random.uniform(())) != first
    internals.put_eager_random_state(state)
    # An operation's own counter goes on; the seeds that new ones get are the same.
    again = internals.eager_random_state()
    assert again == state
    monkeypatch.setattr("builtins.__import__", _without("tensorflow.python.eager"))
    assert internals.eager_random_state() is None
    internals.put_eager_random_state(None)


def dataset():
    x = np.arange(24, dtype="float32").reshape(12, 2)
    return tf.data.Dataset.from_tensor_slices((x, np.arange(12))).shuffle(12).batch(4)


def test_a_twin_gives_the_next_pass_and_takes_nothing():
    tf.random.set_seed(2)
    data = dataset().cache()
    twin = internals.dataset_twin(data)
    before = [y.numpy().tolist() for _, y in twin]
    assert before == [y.numpy().tolist() for _, y in data]
    assert internals.dataset_twin(Bare()) is None


def test_a_twin_without_random_maps_keeps_the_others():
    def doubled(x, y):
        return 2 * x, y

    def noisy(x, y):
        return x + tf.random.normal(tf.shape(x)), y

    def cut(x, y):
        return tf.image.random_crop(x, (1,)), y

    plain = tf.data.Dataset.from_tensor_slices((np.ones((6, 2), "float32"), np.arange(6)))
    with_noise = (
        plain.map(doubled)
        .map(noisy)
        .map(lambda x, y: tf.cond(y > 2, lambda: noisy(x, y), lambda: (x, y)))
    )
    twin = internals.dataset_twin(with_noise.batch(6), random_maps=False)
    ((x, y),) = twin
    assert x.numpy().tolist() == [[2.0, 2.0]] * 6
    assert y.numpy().tolist() == list(range(6))
    assert (
        internals.dataset_twin(plain.map(doubled), random_maps=False) is None
    )  # none to leave out
    assert internals.dataset_twin(plain.map(cut), random_maps=False) is None  # another shape


def test_the_arrays_behind_a_data_set_are_known():
    assert internals.dataset_sources(dataset()) == [(12, 12 * (2 * 4 + 8))]
    assert internals.dataset_sources(Bare()) is None


def test_a_data_set_is_built_over_some_of_its_rows():
    thin = internals.thinned_dataset(dataset().map(lambda x, y: (x / 2, y)), 5)
    rows = np.concatenate([x.numpy() for x, _ in thin])
    assert rows.shape == (5, 2)
    assert internals.thinned_dataset(dataset().unbatch(), 5) is None
    assert internals.thinned_dataset(Bare(), 5) is None


def _without(module):
    real = __import__

    def imported(name, *args, **kwargs):
        if name.startswith(module):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    return imported


def private_uses(path):
    """Private attributes of other objects, and private modules, that a file speaks of."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute):
            own = isinstance(node.value, ast.Name) and node.value.id in MINE
            own = own or (isinstance(node.value, ast.Call) and _named(node.value) == "super")
            if _private(node.attr) and not own and node.attr not in PYTHONS:
                yield node.lineno, node.attr
            if node.attr in STEPS:
                yield node.lineno, node.attr
        elif isinstance(node, ast.Call) and _named(node) in ("getattr", "setattr", "hasattr"):
            name = node.args[1] if len(node.args) > 1 else None
            own = isinstance(node.args[0], ast.Name) and node.args[0].id in MINE
            if isinstance(name, ast.Constant) and _private(name.value) and not own:
                yield node.lineno, name.value
            if isinstance(name, ast.Constant) and name.value in STEPS:
                yield node.lineno, name.value
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [a.name for a in node.names] + [getattr(node, "module", None) or ""]
            for name in names:
                if name.startswith(PRIVATE_MODULES):
                    yield node.lineno, name


def _named(call):
    return call.func.id if isinstance(call.func, ast.Name) else None


def _private(name):
    return name.startswith("_") and not name.startswith("__")


OTHERS = ("keras_internals",)
ELSEWHERE = {path for path in CALLBACKS.rglob("*.py") if not set(OTHERS) & set(path.parts)}


@pytest.mark.parametrize("path", sorted(ELSEWHERE), ids=lambda p: str(p.relative_to(CALLBACKS)))
def test_no_other_file_of_the_instruments_uses_private_parts(path):
    assert list(private_uses(path)) == []


def test_private_parts_are_seen_by_the_test_itself(tmp_path):
    file = tmp_path / "uses.py"
    file.write_text("import keras.src.x\na._b\ngetattr(m, '_c', 0)\nm.train_function\nself._d\n")
    assert [line for line, _ in private_uses(file)] == [1, 2, 3, 4]
