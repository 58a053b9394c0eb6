"""Causes in the data and the labels."""

import functools

from ._cause import Cause

data = functools.partial(Cause, "data")
labels = functools.partial(Cause, "labels")

CAUSES = (
    data(
        "unnormalized_inputs",
        "Raw 0..255 pixels, or columns of very different size.",
        "A first loss of tens or hundreds, dead relu units, a learning rate that must be tiny.",
        "The gradient of a weight is as large as its input: one rate cannot fit 0.001 and 1,000.",
        "x.mean() and x.std() for each channel or column.",
        "keras.layers.Rescaling(1 / 255)  # or kcnn.data.Preprocessing with mean and std",
        "LeCun et al., Efficient BackProp (1998)",
    ),
    data(
        "unnormalized_targets",
        "Regression targets of a size the network cannot reach.",
        "A huge loss that falls slowly; predictions far below the targets.",
        "The last bias must climb to the mean of y in steps of the learning rate.",
        "y.mean() and y.std().",
        "y = (y - y_train.mean()) / y_train.std()  # undo it after predict",
    ),
    data(
        "nan_inputs",
        "NaN or infinity among inputs, targets or weights.",
        "The loss is NaN from some step on; behind a relu it may stay finite while nothing is "
        "learned.",
        "One NaN spreads to every weight in a single step.",
        "np.isfinite(x).all(), np.isfinite(y).all().",
        "keep = np.isfinite(x).reshape(len(x), -1).all(axis=1)\nx, y = x[keep], y[keep]",
    ),
    data(
        "preprocessing_mismatch",
        "Training and validation inputs are prepared differently.",
        "Training accuracy high, validation at chance from the first epoch on.",
        "A network trained on 0..1 sees 0..255 as something it has never met.",
        "Mean, standard deviation and channel order of both.",
        "x_val = prepare(x_val)  # the very same function and statistics as for x",
    ),
    data(
        "augmentation_breaks_label",
        "A random transform changes the class.",
        "Training without augmentation does better, on validation data too.",
        "A mirrored b is a d; a 6 turned by 180 degrees is a 9.",
        "Look at a sheet of augmented images with their labels.",
        'kcnn.augment.augmentation("crop", image_shape)  # no flips',
    ),
    data(
        "class_imbalance",
        "The majority class explains the score.",
        "An accuracy equal to the share of the largest class; others are never predicted.",
        "Always answering the largest class is the easiest thing to learn.",
        "np.bincount(y) / len(y); accuracy for each class.",
        "model.fit(x, y, class_weight={0: 1.0, 1: 9.0})",
    ),
    data(
        "data_leak",
        "Validation samples stand in the training data.",
        "Validation as good as training, far better than on new data.",
        "The network is asked what it has learned by heart.",
        "Compare hashes of the files, or rows, of both parts.",
        'kcnn.data.load(folder, group=r"(patient\\d+)")  # a group stays in one part',
    ),
    labels(
        "label_encoding",
        "Labels scaled, shifted, out of range or in the wrong form.",
        "An error about label values, or a loss that falls to 0 with accuracy at chance.",
        "Class numbers must be 0..classes-1 for a sparse cross-entropy, rows of zeros and a one "
        "for the other.",
        "np.unique(y)[:10] and y.shape.",
        "names, y = np.unique(labels, return_inverse=True)",
    ),
    labels(
        "label_misalignment",
        "Labels do not belong to their rows.",
        "The training loss stays at log(classes); with a large network it falls by learning by "
        "heart and validation stays at chance.",
        "x and y were shuffled, sorted or filtered apart.",
        "Look at 20 images with their labels.",
        "order = rng.permutation(len(x))\nx, y = x[order], y[order]  # the same order for both",
        "Zhang et al., arXiv:1611.03530",
    ),
)
