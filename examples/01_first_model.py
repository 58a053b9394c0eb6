"""A first network: a plain `model.fit` with kcnn's parts and instruments.

Reads scikit-learn's handwritten digits, puts the channel statistics inside the model, and lets
three instruments watch the training. Takes about half a minute on two cores.
"""

import argparse

import keras

import kcnn
from kcnn.callbacks import InitialLossCheck, OverfitDetector, SmallSampleCheck
from kcnn.data import channel_stats, load


def main(epochs: int = 8) -> float:
    """Train ResNet-20 with GroupNorm on the digits; return the test accuracy."""
    keras.utils.set_random_seed(0)
    digits = load("digits")
    model = kcnn.create_model(
        "resnet20",
        classes=digits.classes,
        input_shape=digits.image_shape,
        norm="group",
        preprocess=digits.preprocessing.normalized(channel_stats(digits.train)).layer(),
    )
    model.compile(
        keras.optimizers.SGD(0.05, momentum=0.9, weight_decay=1e-4),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(
        digits.train.batches(64, shuffle=True),
        epochs=epochs,
        validation_data=digits.val.batches(256),
        verbose=2,
        callbacks=[
            InitialLossCheck(digits.classes),
            SmallSampleCheck(digits.train.x[:32], digits.train.y[:32]),
            OverfitDetector(restore_best_weights=True),
        ],
    )
    _, accuracy = model.evaluate(digits.test.batches(256), verbose=0)
    print(f"test accuracy {accuracy:.1%}")
    return accuracy


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=8)
    main(**vars(parser.parse_args()))
