"""Causes in the network itself."""

import functools

from ._cause import Cause

body = functools.partial(Cause, "body")

CAUSES = (
    body(
        "missing_hidden_activation",
        "A stack of linear layers, which is one linear layer.",
        "The network does no better than logistic or linear regression, however deep it is.",
        "The product of matrices is a matrix: without an activation between them, more layers add "
        "nothing that can be learned.",
        "Print layer.activation of every hidden layer; `linear` everywhere is the fault.",
        'layers.Dense(128, activation="relu")',
    ),
    body(
        "dying_relu",
        "Most relu units stay at zero for all samples.",
        "The loss stops falling early, often after one large step; predictions hardly depend on "
        "the input.",
        "A unit whose input is negative for every sample gets no gradient and never comes back. A "
        "learning rate too high or a large negative bias brings it there.",
        "Share of units that are zero for a whole batch: (activation.max(axis=0) <= 0).mean().",
        'layers.Dense(128, activation="relu", kernel_initializer="he_normal")  # and a lower rate',
        "Lu et al., Dying ReLU and Initialization, arXiv:1903.06733",
    ),
    body(
        "vanishing_gradient",
        "Saturating or fading layers: no gradient reaches the first ones.",
        "The last layers change and the first do not; a deep network trains worse than a shallow "
        "one.",
        "A sigmoid's slope is 1/4 at most: ten of them in a row leave less than a millionth.",
        "Compare gradient norms of the first and last kernel on one batch.",
        'layers.Conv2D(64, 3, activation="relu")  # for sigmoid; then normalization, '
        "residual blocks",
        "He et al., arXiv:1502.01852 and arXiv:1512.03385",
    ),
    body(
        "exploding_gradient",
        "Gradients or activations grow without bound with depth or time.",
        "The loss jumps or becomes NaN although the learning rate is ordinary; mostly very deep "
        "networks without normalization, and recurrent ones.",
        "Each layer multiplies the size of its input; a factor of 1.5 over 30 layers is 190,000.",
        "Print the size of activations layer by layer, and the global gradient norm.",
        "keras.optimizers.Adam(1e-3, clipnorm=1.0)  # or normalization layers",
        "Pascanu et al., arXiv:1211.5063",
    ),
    body(
        "insufficient_capacity",
        "Too narrow, or strided down to nothing.",
        "Training and validation loss level off together, high; a sample of 50 images cannot be "
        "learned by heart.",
        "A layer of two units lets two numbers through, whatever stands behind it; a map of 1x1 "
        "has no place left for what a further 3x3 convolution looks for.",
        "model.summary(): the narrowest layer, and the map size before the pooling.",
        'layers.Dense(128, activation="relu")  # for Dense(2)',
    ),
    body(
        "frozen_layers",
        "Layers that ought to learn are not trainable.",
        "The loss does not move, or only the head learns and levels off early.",
        "trainable=False holds for all layers inside; it counts from the next compile on. A "
        "train_step that forgets apply_gradients freezes everything.",
        "len(model.trainable_weights) against len(model.weights); compare weights before and "
        "after an epoch.",
        "backbone.trainable = True\nmodel.compile(...)  # anew, or nothing changes",
        "keras.io, transfer learning and fine-tuning",
    ),
    body(
        "bad_initialization",
        "Weights far too small, too large or all equal at the start.",
        "A first loss far from log(classes), or one that does not move for many epochs.",
        "Equal weights get equal gradients and stay equal. Too small ones let the signal fade, too "
        "large ones saturate whatever follows.",
        "Standard deviation of each kernel against sqrt(2 / inputs).",
        'layers.Dense(128, activation="relu", kernel_initializer="he_normal")',
        "He et al., arXiv:1502.01852",
    ),
    body(
        "bad_normalization",
        "A normalization layer that cannot work here.",
        "Fine in training and at chance in validation, or a loss that jumps from batch to batch.",
        "Statistics of one or two samples, or of a single value, are noise or zero. Right before "
        "the output, normalization takes away what is to be said.",
        "Count the values behind each mean: batch x height x width for BatchNorm, a group's "
        "share for GroupNorm.",
        "kcnn.layers.GroupNorm(groups=32)  # for BatchNorm with small batches",
        "Wu & He, arXiv:1803.08494",
    ),
)
