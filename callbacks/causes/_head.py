"""Causes at the end of the network: its last layer and the loss."""

import functools

from ._cause import Cause

head = functools.partial(Cause, "head")

CAUSES = (
    head(
        "wrong_output_activation",
        "The last activation cannot express the target.",
        "Accuracy stays at chance although the loss may fall: softmax over one unit always answers "
        "1. A regression levels off at a wrong value where relu or sigmoid cuts off its targets.",
        "Softmax makes the outputs of a row sum to 1, sigmoid keeps each in 0..1, relu above 0. "
        "Keras computes a cross-entropy from the scores behind the activation, so the loss alone "
        "does not show it.",
        "Look at model.predict(x[:8]): all ones, all zeros, or values that cannot reach y.",
        'layers.Dense(1, activation="sigmoid")        # two classes\n'
        'layers.Dense(classes, activation="softmax")  # exclusive classes\n'
        "layers.Dense(1)                              # a number",
    ),
    head(
        "wrong_output_units",
        "The number of outputs does not fit the classes or targets.",
        "An error about shapes or labels out of range, or classes that are never predicted.",
        "A sparse cross-entropy reads output number y: labels 0..9 need ten outputs. A regression "
        "of k columns needs k.",
        "Compare model.output_shape[-1] with len(np.unique(y)), or with y.shape[1].",
        'layers.Dense(len(class_names), activation="softmax")',
    ),
    head(
        "wrong_loss",
        "The loss is for another kind of task.",
        "The loss falls and the accuracy does not, or the loss is far from log(classes) at the "
        "start.",
        "A squared error on class numbers treats class 9 as farther from 1 than from 8; a "
        "cross-entropy on measurements has no meaning at all.",
        "Check the loss before training: log(classes) for a classifier, the variance of y for a "
        "squared error.",
        'model.compile("adam", loss="sparse_categorical_crossentropy")  # class numbers\n'
        'model.compile("adam", loss="mse")                              # measurements',
    ),
    head(
        "loss_activation_mismatch",
        "Scores go into a loss that wants probabilities, or probabilities are squashed twice.",
        "A first loss other than log(classes), NaN after some steps, or a loss that falls slowly "
        "and stops far from 0.",
        "Cross-entropies of Keras take probabilities unless from_logits=True. Twice through a "
        "softmax, ten classes can never be told apart by more than a factor of e.",
        "Compare the first loss with log(classes); look for values outside 0..1 in predict.",
        "loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True)  # last layer linear",
        "keras.io, probabilistic losses",
    ),
)
