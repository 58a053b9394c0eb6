"""The same script alone, in several processes of one machine, or on a cluster.

    python examples/09_many_processes.py
    kcnn launch --processes 2 examples/09_many_processes.py
    srun python examples/09_many_processes.py

Only the three lines with `distribute` differ from a script for one device. A batch is shared by
all processes, so the loss of the first epoch is the same, up to rounding; later ones are shuffled
otherwise, by each number of processes in its own way.
"""

import argparse

import keras

import kcnn
from kcnn import distribute
from kcnn.callbacks import InitialLossCheck
from kcnn.data import channel_stats, load


def main(epochs: int = 4, checkpoints: str | None = None) -> float:
    """Train a small ResNet on the digits; return the test accuracy."""
    strategy = distribute.strategy()  # before anything else is done with TensorFlow
    keras.utils.set_random_seed(0)
    digits = load("digits")
    with strategy.scope():
        model = kcnn.create_model(
            "resnet20",
            classes=digits.classes,
            input_shape=digits.image_shape,
            norm="group",
            width=0.5,
            preprocess=digits.preprocessing.normalized(channel_stats(digits.train)).layer(),
        )
        model.compile(
            keras.optimizers.SGD(0.05, momentum=0.9),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
    told = distribute.fit(
        model,
        digits.train.batches(64, shuffle=True),
        epochs=epochs,
        validation_data=digits.val.batches(256),
        verbose=0,
        callbacks=[
            InitialLossCheck(digits.classes),
            *([distribute.Checkpoint(checkpoints)] if checkpoints else []),
        ],
    )
    for epoch, loss in zip(told.epoch, told.history["loss"], strict=True):
        print(f"epoch {epoch + 1} loss {loss:.4f}")
    _, accuracy = distribute.evaluate(model, digits.test.batches(256), verbose=0)
    print(f"test accuracy {accuracy:.1%}")
    return accuracy


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--checkpoints", help="folder to go on from, if a worker has died")
    main(**vars(parser.parse_args()))
