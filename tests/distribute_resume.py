"""A training that kills or stops one of its workers, for the tests of resuming."""

import json
import os
import signal
import sys
from pathlib import Path

import keras
import numpy as np

from kcnn import distribute

strategy = distribute.strategy()
OUT, EPOCHS = Path(sys.argv[1]), 4
ME = distribute.cluster().index


class Die(keras.callbacks.Callback):
    """Kill this worker at each of the steps that the file `kills` lists, once each."""

    def __init__(self):
        super().__init__()
        self.kills = OUT / "kills"

    def on_train_begin(self, logs=None):
        self.step = self.model._initial_epoch * 4

    def on_train_batch_end(self, batch, logs=None):
        self.step += 1
        left = json.loads(self.kills.read_text()) if self.kills.exists() else []
        if left and left[0] == [ME, self.step]:
            self.kills.write_text(json.dumps(left[1:]))
            os.kill(os.getpid(), signal.SIGKILL)


rng = np.random.default_rng(0)
x, y = rng.normal(size=(64, 5)).astype("float32"), rng.integers(0, 3, 64)
keras.utils.set_random_seed(2)
with strategy.scope():
    model = keras.Sequential(
        [keras.Input((5,)), keras.layers.Dense(8, "relu"), keras.layers.Dropout(0.3)]
    )
    model.add(keras.layers.Dense(3))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss)
history = distribute.fit(
    model, x, y, batch_size=16, epochs=EPOCHS, shuffle=False, verbose=0,
    callbacks=[distribute.Checkpoint(OUT / "checkpoints"), Die()],
)  # fmt: skip
if ME == 0:
    print("RESULT" + json.dumps([np.asarray(w).ravel().tolist() for w in model.get_weights()]))
