"""Signals and gradients through the body: activations, vanishing, exploding, initialization."""

import keras
from keras import layers
from keras.layers import Conv2D, Dense, Flatten, Input, MaxPooling2D
from keras.models import Sequential

from benchmarks.doctor import _data as data
from benchmarks.doctor._registry import Case, program
from benchmarks.doctor._score import accuracy, r2


@program("missing_hidden_activation", also=("insufficient_capacity",), kind="mlp regression",
         score=r2, good=0.88, bad=0.8)  # fmt: skip
def friedman_stack_of_linear_layers(faulty):
    """Three layers give exactly the error of linear regression."""
    (x, y), test = data.friedman()
    model = Sequential()
    model.add(Dense(64, input_shape=(10,)))
    if not faulty:
        model.add(layers.Activation("relu"))
    model.add(Dense(64))
    if not faulty:
        model.add(layers.Activation("relu"))
    model.add(Dense(1))
    model.compile(loss="mse", optimizer=keras.optimizers.Adam(0.005), metrics=["mae"])
    return Case(model, x, y, {"epochs": 12, "batch_size": 32, "validation_split": 0.2}, test)


@program("missing_hidden_activation", also=("insufficient_capacity",), kind="cnn multiclass",
         score=accuracy, good=0.9)  # fmt: skip
def arrows_linear_convolutions(faulty):
    """Three convolutions and two dense layers can't tell left from right."""
    (x, y), test = data.arrows()
    act = None if faulty else "relu"
    inputs = Input((12, 12, 1))
    h = Conv2D(16, 3, activation=act)(inputs)
    h = Conv2D(32, 3, activation=act)(h)
    h = layers.AveragePooling2D(2)(h)
    h = Dense(32, activation=act)(Flatten()(h))
    model = keras.Model(inputs, Dense(4, activation="softmax")(h))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Case(model, x, y, {"epochs": 15, "batch_size": 32, "validation_data": test}, test)


@program("dying_relu", also=("bad_initialization",), kind="mlp multiclass", score=accuracy,
         good=0.9)  # fmt: skip
def digits_negative_weights_on_positive_pixels(faulty):
    """My own uniform initial weights; ten equal probabilities for everything."""
    (x, y), (xt, yt) = data.digits()
    low, high = (-0.2, 0.0) if faulty else (-0.1, 0.1)
    init = keras.initializers.RandomUniform(low, high)
    inputs = Input((64,))
    h = Dense(100, activation="relu", kernel_initializer=init)(inputs)
    h = Dense(50, activation="relu", kernel_initializer=init)(h)
    model = keras.Model(inputs, Dense(10, activation="softmax")(h))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 15, "batch_size": 32, "validation_split": 0.2}
    return Case(model, x / 16, y, fit, (xt / 16, yt))


@program("dying_relu", "lr_too_high", also=("exploding_gradient",), kind="mlp regression",
         score=r2, good=0.8)  # fmt: skip
def friedman_units_dead_after_one_epoch(faulty):
    """The prediction is the mean of the target for every row."""
    (x, y), test = data.friedman()
    model = Sequential()
    for _ in range(3):
        model.add(Dense(64, activation="relu"))
    model.add(Dense(1))
    rate = 0.3 if faulty else 0.01
    model.compile(loss="mse", optimizer=keras.optimizers.SGD(rate, momentum=0.9))
    return Case(model, x, y, {"epochs": 10, "batch_size": 32, "validation_data": test}, test)


@program("vanishing_gradient", also=("bad_initialization", "lr_too_low"), kind="mlp binary",
         score=accuracy, good=0.92)  # fmt: skip
def cancer_ten_sigmoid_layers(faulty):
    """Ten layers because deep learning is deep; 0.63 for ever."""
    (x, y), test = data.cancer()
    act = "sigmoid" if faulty else "elu"
    model = Sequential()
    model.add(Dense(20, activation=act, input_dim=30))
    for _ in range(9):
        model.add(Dense(20, activation=act))
    model.add(Dense(1, activation="sigmoid"))
    model.compile("sgd", "binary_crossentropy", metrics=["accuracy"])
    return Case(model, x, y, {"epochs": 15, "batch_size": 16, "validation_data": test}, test)


@program("vanishing_gradient", "bad_initialization", kind="cnn multiclass", score=accuracy,
         good=0.85)  # fmt: skip
def digits_deep_small_normal_weights(faulty):
    """Ten convolutions, weights from a normal of 0.01 as in AlexNet."""
    (x, y), (xt, yt) = data.digits(image=True)
    init = keras.initializers.RandomNormal(stddev=0.01) if faulty else "he_normal"
    model = Sequential([Input((8, 8, 1))])
    for _ in range(10):
        model.add(Conv2D(16, 3, padding="same", activation="relu", kernel_initializer=init))
    model.add(MaxPooling2D(2))
    model.add(Flatten())
    model.add(Dense(10, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 8, "batch_size": 32, "validation_split": 0.1}
    return Case(model, x / 16, y, fit, (xt / 16, yt))


@program("exploding_gradient", also=("bad_initialization", "lr_too_high"), kind="rnn multiclass",
         score=accuracy, good=0.6, needs="fashion")  # fmt: skip
def fashion_rows_relu_rnn(faulty):
    """Reading the image row by row; loss 1e6 in the first epoch, then nan."""
    (x, y), (xt, yt) = data.fashion(2000)
    x, xt = x / 255.0, xt / 255.0
    model = Sequential()
    model.add(Input((28, 28)))
    if faulty:
        start = keras.initializers.RandomNormal(stddev=0.3)
        model.add(layers.SimpleRNN(48, activation="relu", recurrent_initializer=start))
    else:
        model.add(layers.SimpleRNN(48, activation="tanh"))
    model.add(Dense(10, activation="softmax"))
    sgd = keras.optimizers.SGD(0.01, momentum=0.9)
    model.compile(sgd, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Case(model, x, y, {"epochs": 8, "batch_size": 32, "validation_data": (xt, yt)}, (xt, yt))


@program("exploding_gradient", also=("lr_too_high", "missing_hidden_activation"),
         kind="mlp regression", score=r2, good=0.75)  # fmt: skip
def friedman_squares_upon_squares(faulty):
    """A polynomial activation of my own, x + x squared; nan in the first epoch."""
    (x, y), test = data.friedman()

    def polynomial(h):
        return h + h * h if faulty else keras.ops.tanh(h)

    model = Sequential()
    model.add(Dense(32, activation=polynomial, input_shape=(10,)))
    for _ in range(4):
        model.add(Dense(32, activation=polynomial))
    model.add(Dense(1))
    model.compile(keras.optimizers.Adam(0.005), "mse", metrics=["mae"])
    return Case(model, x, y, {"epochs": 15, "batch_size": 32, "validation_split": 0.2}, test)


@program("bad_initialization", also=("vanishing_gradient",), kind="cnn multiclass",
         score=accuracy, good=0.74, needs="fashion")  # fmt: skip
def fashion_zero_filters(faulty):
    """All filters start at zero; 0.1 after every epoch."""
    (x, y), (xt, yt) = data.fashion(2000, small=True)
    x, xt = x[..., None] / 255.0, xt[..., None] / 255.0
    init = keras.initializers.Zeros() if faulty else keras.initializers.HeNormal()
    model = Sequential()
    model.add(Conv2D(16, (3, 3), activation="relu", kernel_initializer=init,
                     input_shape=(14, 14, 1)))  # fmt: skip
    model.add(MaxPooling2D((2, 2)))
    model.add(Flatten())
    model.add(Dense(64, activation="relu", kernel_initializer=init))
    model.add(Dense(10, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 6, "batch_size": 32, "validation_split": 0.2}
    return Case(model, x, y, fit, (xt, yt))


@program("bad_initialization", also=("insufficient_capacity",), kind="mlp regression", score=r2,
         good=0.88, bad=0.8)  # fmt: skip
def friedman_all_weights_equal(faulty):
    """Every hidden unit computes the same, so 64 units are as good as one."""
    (x, y), test = data.friedman()
    init = keras.initializers.Constant(0.1) if faulty else "glorot_uniform"
    model = Sequential()
    model.add(Dense(64, activation="tanh", kernel_initializer=init, input_dim=10))
    model.add(Dense(32, activation="tanh", kernel_initializer=init))
    model.add(Dense(1, kernel_initializer=init))
    model.compile(keras.optimizers.Adam(0.01), "mse")
    return Case(model, x, y, {"epochs": 20, "batch_size": 64, "validation_data": test}, test)


@program("bad_initialization", also=("exploding_gradient", "lr_too_low"), kind="mlp multiclass",
         score=accuracy, good=0.9, bad=0.85)  # fmt: skip
def digits_weights_of_five(faulty):
    """The first loss is 30,000, after ten epochs it is still in the hundreds."""
    (x, y), (xt, yt) = data.digits()
    init = keras.initializers.RandomNormal(stddev=3.0) if faulty else "glorot_uniform"
    model = Sequential()
    model.add(Dense(64, activation="relu", kernel_initializer=init, input_shape=(64,)))
    model.add(Dense(64, activation="relu", kernel_initializer=init))
    model.add(Dense(64, activation="relu", kernel_initializer=init))
    model.add(Dense(10, activation="softmax", kernel_initializer=init))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 10, "batch_size": 32, "validation_split": 0.2}
    return Case(model, x / 16, y, fit, (xt / 16, yt))
