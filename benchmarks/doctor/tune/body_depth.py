"""Signals and gradients through the body: activations, vanishing, exploding, initialization."""

import keras
from keras import layers
from keras.layers import BatchNormalization, Conv2D, Dense, Flatten, Input
from keras.models import Sequential
from keras.utils import to_categorical

from benchmarks.doctor import _data as data
from benchmarks.doctor._registry import Case, program
from benchmarks.doctor._score import accuracy, r2


@program("missing_hidden_activation", also=("insufficient_capacity",), kind="mlp binary",
         score=accuracy, good=0.9)  # fmt: skip
def spirals_without_activations(faulty):
    """Four layers, and the decision boundary is a straight line."""
    (x, y), test = data.spirals()
    act = None if faulty else "relu"
    model = Sequential()
    model.add(Dense(64, input_dim=2, activation=act))
    model.add(Dense(64, activation=act))
    model.add(Dense(32, activation=act))
    model.add(Dense(1, activation="sigmoid"))
    adam = keras.optimizers.Adam(0.003)
    model.compile(loss="binary_crossentropy", optimizer=adam, metrics=["accuracy"])
    return Case(model, x, y, {"epochs": 30, "batch_size": 32, "validation_data": test}, test)


@program("missing_hidden_activation", also=("insufficient_capacity",), kind="cnn binary",
         score=accuracy, good=0.95, bad=0.93)  # fmt: skip
def odd_digits_linear_cnn(faulty):
    """Is the digit odd? More filters and layers change nothing."""
    (x, y), (xt, yt) = data.digits(image=True)
    act = "linear" if faulty else "relu"
    model = keras.Sequential([
        Conv2D(16, 3, padding="same", activation=act, input_shape=(8, 8, 1)),
        Conv2D(32, 3, strides=2, padding="same", activation=act),
        Flatten(),
        Dense(64, activation=act),
        Dense(1, activation="sigmoid"),
    ])  # fmt: skip
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 15, "batch_size": 32, "validation_split": 0.15}
    return Case(model, x / 16, y % 2, fit, (xt / 16, yt % 2))


@program("dying_relu", also=("bad_initialization",), kind="mlp multiclass", score=accuracy,
         good=0.9)  # fmt: skip
def digits_relu_born_dead(faulty):
    """I start the biases low "for sparsity"; the loss hardly leaves 2.30."""
    (x, y), (xt, yt) = data.digits()
    bias = keras.initializers.Constant(-6.0 if faulty else 0.0)
    model = Sequential()
    model.add(Dense(128, activation="relu", bias_initializer=bias, input_shape=(64,)))
    model.add(Dense(64, activation="relu", bias_initializer=bias))
    model.add(Dense(10, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 12, "batch_size": 32, "validation_split": 0.2}
    return Case(model, x / 16, y, fit, (xt / 16, yt))


@program("dying_relu", "lr_too_high", kind="cnn multiclass", score=accuracy, good=0.75,
         needs="fashion")  # fmt: skip
def fashion_relu_killed_by_first_steps(faulty):
    """After a few batches the loss is 2.3026 and stays there to the last digit."""
    (x, y), (xt, yt) = data.fashion(2000, small=True)
    x, xt = x[..., None] / 255.0, xt[..., None] / 255.0
    model = Sequential()
    model.add(Conv2D(16, (3, 3), activation="relu", input_shape=(14, 14, 1)))
    model.add(Conv2D(32, (3, 3), strides=2, activation="relu"))
    model.add(Flatten())
    model.add(Dense(64, activation="relu"))
    model.add(Dense(10, activation="softmax"))
    adam = keras.optimizers.Adam(learning_rate=0.2 if faulty else 0.002)
    model.compile(adam, "categorical_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 5, "batch_size": 32, "validation_data": (xt, to_categorical(yt))}
    return Case(model, x, to_categorical(y), fit, (xt, yt))


@program("dying_relu", also=("insufficient_capacity", "vanishing_gradient"),
         kind="mlp regression", score=r2, good=0.75)  # fmt: skip
def friedman_thresholded_relu(faulty):
    """A ThresholdedReLU with theta in pixels, my values are about one: a constant comes out."""
    (x, y), test = data.friedman()
    theta = 5.0 if faulty else 0.0
    model = Sequential()
    model.add(Dense(48, input_dim=10))
    model.add(layers.ReLU(threshold=theta))
    model.add(Dense(48))
    model.add(layers.ReLU(threshold=theta))
    model.add(Dense(1))
    model.compile(keras.optimizers.Adam(0.005), "mse", metrics=["mae"])
    return Case(model, x, y, {"epochs": 15, "batch_size": 32, "validation_data": test}, test)


@program("vanishing_gradient", also=("bad_initialization",), kind="mlp multiclass",
         score=accuracy, good=0.85)  # fmt: skip
def digits_eight_sigmoid_layers(faulty):
    """The more layers I add the worse it gets: accuracy 0.1 with eight."""
    (x, y), (xt, yt) = data.digits()
    model = Sequential()
    model.add(Dense(64, input_dim=64, activation="sigmoid" if faulty else "relu"))
    for _ in range(7):
        model.add(Dense(64, activation="sigmoid" if faulty else "relu"))
    model.add(Dense(10, activation="softmax"))
    model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    fit = {"epochs": 12, "batch_size": 32, "validation_split": 0.2}
    return Case(model, x / 16, to_categorical(y), fit, (xt / 16, yt))


@program("vanishing_gradient", also=("bad_initialization",), kind="cnn multiclass",
         score=accuracy, good=0.85)  # fmt: skip
def digits_deep_sigmoid_cnn(faulty):
    """Six convolutions with sigmoid; every image gets the same ten probabilities."""
    (x, y), (xt, yt) = data.digits(image=True)
    inputs = h = Input((8, 8, 1))
    for filters in (16, 16, 32, 32, 32, 32):
        h = Conv2D(filters, 3, padding="same", activation="sigmoid" if faulty else "relu")(h)
    h = Flatten()(layers.MaxPooling2D(2)(h))
    model = keras.Model(inputs, Dense(10, activation="softmax")(h))
    sgd = keras.optimizers.SGD(learning_rate=0.05, momentum=0.9)
    model.compile(sgd, "sparse_categorical_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 8, "batch_size": 32, "validation_split": 0.1}
    return Case(model, x / 16, y, fit, (xt / 16, yt))


@program("exploding_gradient", also=("lr_too_high", "bad_initialization"), kind="rnn regression",
         score=r2, good=0.7)  # fmt: skip
def waves_relu_rnn_explodes(faulty):
    """The loss of my recurrent network is 1e8, then nan."""
    (x, y), test = data.waves(steps=48)
    model = Sequential()
    if faulty:
        recurrent = keras.initializers.RandomNormal(stddev=0.4)
        rnn = layers.SimpleRNN(32, activation="relu", recurrent_initializer=recurrent)
    else:
        rnn = layers.SimpleRNN(32)
    model.add(Input((48, 1)))
    model.add(rnn)
    model.add(Dense(1))
    model.compile(loss="mse", optimizer=keras.optimizers.SGD(learning_rate=0.02, momentum=0.9))
    return Case(model, x, y, {"epochs": 15, "batch_size": 32, "validation_data": test}, test)


@program("exploding_gradient", also=("bad_initialization", "lr_too_high"), kind="cnn multiclass",
         score=accuracy, good=0.85)  # fmt: skip
def digits_residual_without_norm(faulty):
    """Twenty residual blocks; the first loss is a number with four digits."""
    (x, y), (xt, yt) = data.digits(image=True)
    inputs = Input((8, 8, 1))
    h = Conv2D(16, 3, strides=2, padding="same")(inputs)
    for _ in range(20):
        f = h if faulty else BatchNormalization(momentum=0.9)(h)
        f = Conv2D(16, 3, padding="same", kernel_initializer="he_normal")(layers.ReLU()(f))
        h = layers.Add()([h, f])
    h = h if faulty else BatchNormalization(momentum=0.9)(h)
    h = Flatten()(layers.ReLU()(h))
    model = keras.Model(inputs, Dense(10, activation="softmax")(h))
    sgd = keras.optimizers.SGD(0.03, momentum=0.9)
    model.compile(sgd, "sparse_categorical_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 6, "batch_size": 32, "validation_data": (xt / 16, yt)}
    return Case(model, x / 16, y, fit, (xt / 16, yt))


@program("bad_initialization", also=("vanishing_gradient",), kind="mlp multiclass",
         score=accuracy, good=0.9)  # fmt: skip
def digits_zero_weights(faulty):
    """All weights start at zero "to be neutral"; loss 2.30 for ever."""
    (x, y), (xt, yt) = data.digits()
    init = "zeros" if faulty else "glorot_uniform"
    model = Sequential()
    model.add(Dense(64, activation="relu", kernel_initializer=init, input_shape=(64,)))
    model.add(Dense(32, activation="relu", kernel_initializer=init))
    model.add(Dense(10, activation="softmax", kernel_initializer=init))
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 15, "batch_size": 32, "validation_split": 0.2}
    return Case(model, x / 16, to_categorical(y), fit, (xt / 16, yt))


@program("bad_initialization", also=("vanishing_gradient", "exploding_gradient"),
         kind="mlp multiclass", score=accuracy, good=0.9)  # fmt: skip
def digits_tanh_weights_too_large(faulty):
    """tanh units at plus or minus one from the start; accuracy 0.7 after 20 epochs."""
    (x, y), (xt, yt) = data.digits()
    init = keras.initializers.RandomNormal(stddev=3.0) if faulty else "glorot_normal"
    model = Sequential([Input((64,))])
    for _ in range(4):
        model.add(Dense(64, activation="tanh", kernel_initializer=init))
    model.add(Dense(10, activation="softmax"))
    model.compile(
        keras.optimizers.SGD(0.05), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    fit = {"epochs": 12, "batch_size": 32, "validation_split": 0.2}
    return Case(model, x / 16, y, fit, (xt / 16, yt))
