"""What the body can hold: width, frozen layers, normalization layers."""

import keras
from keras import layers
from keras.layers import BatchNormalization, Conv2D, Dense, Flatten, Input, MaxPooling2D
from keras.models import Sequential

from benchmarks.doctor import _data as data
from benchmarks.doctor._registry import Case, program
from benchmarks.doctor._score import accuracy, r2


@program("insufficient_capacity", kind="mlp binary", score=accuracy, good=0.9)
def spirals_three_units(faulty):
    """A hidden layer of three: 0.65 however long I train."""
    (x, y), test = data.spirals()
    model = Sequential()
    model.add(Dense(3 if faulty else 64, activation="relu", input_dim=2))
    if not faulty:
        model.add(Dense(32, activation="relu"))
    model.add(Dense(1, activation="sigmoid"))
    model.compile(keras.optimizers.Adam(0.005), "binary_crossentropy", metrics=["accuracy"])
    return Case(model, x, y, {"epochs": 30, "batch_size": 32, "validation_data": test}, test)


@program("insufficient_capacity", kind="cnn multiclass", score=accuracy, good=0.9)
def arrows_pooled_away(faulty):
    """Pooling by six before the network has seen anything."""
    (x, y), test = data.arrows()
    model = Sequential([Input((12, 12, 1))])
    if faulty:
        model.add(layers.AveragePooling2D(6))
    model.add(Conv2D(16, 3, padding="same", activation="relu"))
    model.add(MaxPooling2D(2))
    model.add(Conv2D(16, 3, padding="same", activation="relu"))
    model.add(Flatten())
    model.add(Dense(4, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Case(model, x, y, {"epochs": 20, "batch_size": 32, "validation_data": test}, test)


@program("insufficient_capacity", kind="mlp regression", score=r2, good=0.85, bad=0.8)
def friedman_one_hidden_unit(faulty):
    """One hidden unit; the error is the same with ten times the data."""
    (x, y), test = data.friedman()
    inputs = Input((10,))
    h = Dense(1 if faulty else 48, activation="relu")(inputs)
    model = keras.Model(inputs, Dense(1)(h))
    model.compile(keras.optimizers.Adam(0.01), "mse", metrics=["mae"])
    return Case(model, x, y, {"epochs": 12, "batch_size": 32, "validation_split": 0.15}, test)


@program("frozen_layers", kind="mlp binary", score=accuracy, good=0.92, bad=0.9)
def cancer_model_not_trainable(faulty):
    """model.trainable = False from the evaluation notebook; not a digit changes."""
    (x, y), test = data.cancer()
    model = Sequential()
    model.add(Dense(20, activation="relu", input_dim=30))
    model.add(Dense(1, activation="sigmoid"))
    model.trainable = not faulty
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return Case(model, x, y, {"epochs": 12, "batch_size": 16, "validation_split": 0.2}, test)


@program("frozen_layers", kind="embedding binary", score=accuracy, good=0.85)
def tokens_embedding_frozen(faulty):
    """trainable=False is for GloVe, but I use my own words."""
    (x, y), test = data.tokens(vocabulary=2000)
    model = Sequential()
    model.add(layers.Embedding(2000, 8, trainable=not faulty))
    model.add(layers.GlobalAveragePooling1D())
    model.add(Dense(16, activation="relu"))
    model.add(Dense(1, activation="sigmoid"))
    model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 8, "batch_size": 32, "validation_data": test}
    return Case(model, x, y, fit, test)


@program("frozen_layers", kind="cnn multiclass", score=accuracy, good=0.88, bad=0.8)
def digits_all_but_the_head_frozen(faulty):
    """for layer in model.layers[:-1]: layer.trainable = False, and nothing was pretrained."""
    (x, y), (xt, yt) = data.digits(image=True)
    model = Sequential([
        Input((8, 8, 1)),
        Conv2D(8, 3, activation="relu"),
        Conv2D(8, 3, activation="relu"),
        Conv2D(8, 3, activation="relu"),
        layers.GlobalAveragePooling2D(),
        Dense(16, activation="relu"),
        Dense(10, activation="softmax"),
    ])  # fmt: skip
    if faulty:
        for layer in model.layers[:-1]:
            layer.trainable = False
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy",
                  metrics=["accuracy"])  # fmt: skip
    fit = {"epochs": 10, "batch_size": 32, "validation_split": 0.1}
    return Case(model, x / 16, y, fit, (xt / 16, yt))


@program("bad_normalization", also=("wrong_output_activation",), kind="mlp regression", score=r2,
         good=0.8)  # fmt: skip
def friedman_layernorm_on_the_output(faulty):
    """LayerNormalization after every Dense layer; one single value comes out."""
    (x, y), test = data.friedman()
    model = Sequential()
    model.add(Dense(32, activation="relu", input_dim=10))
    model.add(layers.LayerNormalization())
    model.add(Dense(32, activation="relu"))
    model.add(layers.LayerNormalization())
    model.add(Dense(1))
    if faulty:
        model.add(layers.LayerNormalization())
    model.compile(keras.optimizers.Adam(0.005), "mse", metrics=["mae"])
    return Case(model, x, y, {"epochs": 20, "batch_size": 64, "validation_data": test}, test)


@program("bad_normalization", "bad_batch_size", kind="cnn multiclass", score=accuracy, good=0.85,
         needs=None)  # fmt: skip
def digits_dense_batchnorm_single_sample(faulty):
    """batch_size=1 and BatchNormalization after the dense layer; accuracy 0.1."""
    (x, y), (xt, yt) = data.digits(image=True)
    x, y = x[:400], y[:400]
    model = Sequential()
    model.add(Conv2D(16, 3, activation="relu", input_shape=(8, 8, 1)))
    model.add(Flatten())
    model.add(Dense(32))
    model.add(BatchNormalization() if faulty else layers.LayerNormalization())
    model.add(layers.Activation("relu"))
    model.add(Dense(10, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 3, "batch_size": 1, "validation_data": (xt / 16, yt)}
    return Case(model, x / 16, y, fit, (xt / 16, yt))


@program("bad_normalization", kind="cnn multiclass", score=accuracy, good=0.88)
def digits_instance_norm_on_one_pixel(faulty):
    """Instance normalization behind each convolution, down to one by one pixel."""
    (x, y), (xt, yt) = data.digits(image=True)
    inputs = h = Input((8, 8, 1))
    for filters in (16, 32, 64):
        h = Conv2D(filters, 3, strides=2, padding="same")(h)
        if faulty:
            h = layers.GroupNormalization(groups=filters)(h)
        elif filters < 64:
            h = layers.GroupNormalization(groups=8)(h)
        h = layers.ReLU()(h)
    model = keras.Model(inputs, Dense(10, activation="softmax")(Flatten()(h)))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 10, "batch_size": 32, "validation_split": 0.2}
    return Case(model, x / 16, y, fit, (xt / 16, yt))
