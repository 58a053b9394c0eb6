"""Causes in the optimizer and in how the training is run."""

import functools

from ._cause import Cause

optimizer = functools.partial(Cause, "optimizer")
protocol = functools.partial(Cause, "protocol")

CAUSES = (
    optimizer(
        "lr_too_high",
        "The step is too big, or has the wrong sign.",
        "The loss jumps, grows, becomes NaN, or sits at log(classes) from the first steps on.",
        "Beyond 2 / (largest curvature) a gradient step leads up, not down; relu units die on the "
        "way.",
        "Train 100 steps at a tenth of the rate from the same weights.",
        "keras.optimizers.SGD(0.01, momentum=0.9)  # kcnn.callbacks.find_lr(model, x, y)",
        "Smith, arXiv:1506.01186",
    ),
    optimizer(
        "lr_too_low",
        "The step is too small.",
        "The loss falls as a straight, slow line.",
        "A rate a hundred times too small needs a hundred times the epochs.",
        "Train 100 steps at ten times the rate from the same weights.",
        "keras.optimizers.Adam(1e-3)  # kcnn.callbacks.find_lr(model, x, y)",
        "Smith, arXiv:1506.01186",
    ),
    optimizer(
        "bad_batch_size",
        "One sample at a time, statistics over too few, or batches too big for the steps taken.",
        "A very noisy loss, or a handful of steps an epoch and hardly any progress.",
        "What is learned follows from the number of steps; batches as large as the data leave one "
        "step an epoch.",
        "Steps an epoch: len(x) / batch_size. Some hundreds or more are usual.",
        "model.fit(x, y, batch_size=32)",
    ),
    protocol(
        "too_few_epochs",
        "Still improving when stopped.",
        "Both losses fall to the very last epoch.",
        "Nothing is wrong; the training was ended early.",
        "Call fit once more: training goes on from where it stopped.",
        "model.fit(x, y, epochs=50)",
    ),
    protocol(
        "missing_shuffle",
        "Data ordered by class, also before `validation_split`.",
        "The loss saws up and down within an epoch; validation accuracy at 0 with a split.",
        "Each batch teaches one class and unteaches the last one. `validation_split` takes the "
        "last rows: with sorted data, other classes than training sees.",
        "Print y[:20] and y[-20:].",
        "order = np.random.default_rng(0).permutation(len(x))\nx, y = x[order], y[order]",
        "keras.io, Model.fit: validation_split",
    ),
    protocol(
        "wrong_metric",
        "The metric does not measure the task.",
        "An accuracy of 0 beside a loss that falls well.",
        "Accuracy asks whether numbers are exactly equal, which measurements never are.",
        "Compute by hand what you would call a right answer.",
        'metrics=["mae"]  # for a regression, in place of accuracy',
    ),
    protocol(
        "overfitting",
        "Good on training data, getting worse on validation data.",
        "The training loss falls on while the validation loss turns up.",
        "The network learns its samples by heart once there is nothing general left to learn.",
        "kcnn.callbacks.read_curves(history) tells since which epoch.",
        "callbacks=[OverfitDetector(restore_best_weights=True, patience=10)]  # and more data, "
        "augmentation, weight decay",
    ),
    protocol(
        "excessive_regularization",
        "Dropout, penalty or noise so strong that nothing is learned.",
        "Training loss high and level, validation loss no worse; it falls at once without them.",
        "Dropout of 0.9 passes a tenth of the signal; a large penalty outweighs the loss itself.",
        "Train a few epochs with dropout 0 and without penalties.",
        "layers.Dropout(0.2)  # for 0.9",
        "Srivastava et al., JMLR 15 (2014)",
    ),
)
