"""A script under the doctor prints, writes and learns what it does alone, to the last digit."""

import contextlib
import io
import json
import os
import re
import runpy
import sys
import textwrap

import pytest

from kcnn.callbacks.doctor._script import examine_script

BEGIN = """
import warnings
import keras, numpy as np, tensorflow as tf
from keras import layers

keras.backend.clear_session()
keras.utils.set_random_seed(7)
rng = np.random.default_rng(0)
y = np.arange(120) % 3
x = (rng.normal(size=(120, 6)) + 2 * np.eye(6)[y]).astype("float32")

def net(**compiled):
    model = keras.Sequential([layers.Input((6,)), layers.Dense(8, "relu"), layers.Dropout(0.2),
                              layers.Dense(3, "softmax")])
    settings = {"optimizer": "adam", "loss": "sparse_categorical_crossentropy",
                "metrics": ["accuracy"]}
    model.compile(**(settings | compiled))
    return model

"""
END = """
print(np.random.normal(), float(keras.random.normal(())), float(tf.random.normal(())))
print(layers.Dense(1).name)
"""
SCRIPTS = {
    "several_fits": """
        model = net()
        for epochs in (2, 1):
            print(model.fit(x, y, epochs=epochs, verbose=2, batch_size=32).history)
        print(model.evaluate(x, y, verbose=0), model.optimizer.iterations.numpy())
    """,
    "load_model": """
        model = net()
        model.fit(x, y, epochs=1, verbose=0)
        model.save("model.keras")
        again = keras.models.load_model("model.keras")
        print(again.compiled, again.fit(x, y, epochs=2, verbose=0).history)
    """,
    "clone_model": """
        model = net()
        twin = keras.models.clone_model(model)
        print(twin.compiled)
        twin.compile("sgd", "sparse_categorical_crossentropy")
        print(twin.fit(x, y, epochs=2, verbose=0).history, model.get_weights()[0].sum())
    """,
    "cross_validation": """
        scores = []
        for fold in range(3):
            keras.backend.clear_session()
            held = np.arange(120) % 3 == fold
            model = net()
            seen = model.fit(x[~held], y[~held], validation_data=(x[held], y[held]), verbose=0)
            scores.append(model.evaluate(x[held], y[held], verbose=0)[1])
        print(scores, model.name)
    """,
    "callbacks": """
        class Counts(keras.callbacks.Callback):
            batches = epochs = 0
            def on_train_batch_end(self, batch, logs=None):
                self.batches += 1
            def on_epoch_end(self, epoch, logs=None):
                self.epochs += 1
                print("epoch", epoch, sorted(logs))
        counts = Counts()
        model = net()
        history = model.fit(x, y, epochs=9, verbose=0, validation_split=0.2, callbacks=[
            counts, keras.callbacks.EarlyStopping(patience=1, restore_best_weights=True),
            keras.callbacks.ModelCheckpoint("best_{epoch}.weights.h5", save_weights_only=True),
            keras.callbacks.CSVLogger("log.csv"),
            keras.callbacks.LearningRateScheduler(lambda e, r: r * 0.9),
            keras.callbacks.ReduceLROnPlateau(patience=1)])
        print(counts.batches, counts.epochs, history.history, history.epoch)
    """,
    "finite_generator": """
        drawn = []
        def batches():
            for i in range(0, 120, 30):
                drawn.append(i)
                yield x[i:i + 30] + np.random.normal(size=(30, 6)), y[i:i + 30]
        model = net()
        print(model.fit(batches(), epochs=1, verbose=0).history, drawn)
    """,
    "endless_generator": """
        mine = np.random.default_rng(1)  # TensorFlow reads ahead, how far is chance
        def batches():
            while True:
                rows = mine.permutation(120)[:30]
                yield x[rows], y[rows]
        print(net().fit(batches(), steps_per_epoch=4, epochs=3, verbose=0).history)
    """,
    "shuffled_dataset": """
        data = tf.data.Dataset.from_tensor_slices((x, y)).cache("rows").shuffle(120).batch(25)
        held = data.take(1)
        model = net()
        print(model.fit(data, epochs=2, validation_data=held, verbose=0).history)
        print(model.fit(data, epochs=1, verbose=0).history, next(iter(data))[1].numpy())
    """,
    "py_dataset": """
        class Batches(keras.utils.PyDataset):
            def __init__(self):
                super().__init__()
                self.order, self.given, self.epochs = np.arange(120), 0, 0
            def __len__(self):
                return 4
            def __getitem__(self, i):
                self.given += 1
                rows = self.order[30 * i:30 * i + 30]
                return x[rows] + np.random.normal(size=(30, 6)), y[rows]
            def on_epoch_end(self):
                self.epochs += 1
                np.random.shuffle(self.order)
        data = Batches()
        print(net().fit(data, epochs=2, verbose=0).history, data.given, data.epochs, data.order[:5])
    """,
    "own_train_step": """
        class Own(keras.Model):
            def train_step(self, data):
                x, y = data
                with tf.GradientTape() as tape:
                    loss = self.compute_loss(x, y, self(x, training=True))
                grads = tape.gradient(loss, self.trainable_variables)
                self.optimizer.apply_gradients(zip(grads, self.trainable_variables))
                return {"loss": loss}
        inputs = layers.Input((6,))
        model = Own(inputs, layers.Dense(3, "softmax")(inputs))
        model.compile("sgd", "sparse_categorical_crossentropy")
        print(model.fit(x, y, epochs=2, verbose=0).history)
    """,
    "no_call": """
        class Own(keras.Model):
            def __init__(self):
                super().__init__()
                self.net = net()
            def train_step(self, data):
                return self.net.train_step(data)
        model = Own()
        model.compile(loss=None, optimizer="adam")
        model.net.optimizer.build(model.net.trainable_variables)
        print([model.fit(x, y, epochs=3, verbose=0).history for _ in range(2)])
    """,
    "unbuilt_subclass": """
        class Own(keras.Model):
            def __init__(self):
                super().__init__()
                self.a, self.b = layers.Dense(8, "relu"), layers.Dense(3)
                self.drop = layers.Dropout(0.5)
            def call(self, x, training=False):
                return self.b(self.drop(self.a(x), training=training))
        model = Own()
        model.compile("rmsprop", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        print(model.fit(x, y, 20, 2, verbose=0).history, len(model.weights))
    """,
    "schedule_and_positions": """
        schedule = keras.optimizers.schedules.CosineDecay(0.01, 20)
        model = net(optimizer=keras.optimizers.SGD(schedule, momentum=0.9))
        print(model.fit(x, y, 16, 2, 0, None, 0.25).history)
        print(model.optimizer.learning_rate.numpy())
    """,
    "fit_that_fails": """
        model = net()
        try:
            model.fit(x[:, :4], y, verbose=0)
        except ValueError as error:
            print(type(error).__name__)
        model = net()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            class Warns(keras.callbacks.Callback):
                def on_train_end(self, logs=None):
                    warnings.warn("mine", UserWarning)
            model.fit(x, y, verbose=0, callbacks=Warns())
        print([str(w.message) for w in caught if "mine" in str(w.message)])
    """,
}


def run(kind, folder, watched):
    folder.mkdir()
    script = folder / "train.py"
    script.write_text(BEGIN + textwrap.dedent(SCRIPTS[kind]) + END)
    out = io.StringIO()
    before, place, sys.argv = sys.argv, os.getcwd(), [str(script)]
    os.chdir(folder)
    visits, code = [], 0
    try:
        with contextlib.redirect_stdout(out):
            if watched:
                visits, code = examine_script(script, budget_s=3.0)
            else:
                runpy.run_path(str(script), run_name="__main__")
    finally:
        os.chdir(place)
        sys.argv = before
    files = {path.name: path.stat().st_size for path in folder.iterdir() if path.is_file()}
    texts = {path.name: path.read_text() for path in folder.glob("*.csv")}
    said = re.sub(r"\d+m?s(/step)?", "", out.getvalue())  # times
    return said, files, texts, visits, code


@pytest.mark.parametrize("kind", SCRIPTS)
def test_a_script_does_what_it_does_alone(kind, tmp_path):
    alone = run(kind, tmp_path / "alone", watched=False)
    watched = run(kind, tmp_path / "watched", watched=True)
    assert watched[4] == 0
    assert watched[0] == alone[0]
    assert watched[1:3] == alone[1:3]
    assert len(watched[3]) >= 1
    json.dumps([visit.to_dict() for visit in watched[3]], allow_nan=False, default=str)
