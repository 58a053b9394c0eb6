"""Training steps of whole networks: kcnn's, keras.applications' and timm's of the same name."""

import importlib.util
import os

import keras
import numpy as np

from kcnn import create_model

__all__ = ["FAMILIES", "family_steps"]

CLASSES = 10
# kcnn's name -> keras.applications', timm's, batch, side in pixels.
FAMILIES = {
    "convnext_tiny": ("ConvNeXtTiny", "convnext_tiny", 8, 64),
    "mobilenet_v3_large": ("MobileNetV3Large", "mobilenetv3_large_100", 32, 96),
    "efficientnet_b0": ("EfficientNetB0", "efficientnet_b0", 16, 96),
}


def family_steps(name, make_step):
    """A step of each library that is there, by its name.

    `make_step(model, batch, side)` gives one of a Keras model. Dropout and stochastic depth are
    off everywhere.
    """
    keras_name, timm_name, batch, side = FAMILIES[name]
    shape = (side, side, 3)
    bare = {"dropout": 0.0, "drop_path": 0.0}
    ours = create_model(name, CLASSES, input_shape=shape, **bare)
    options = {"include_preprocessing": False}
    if name == "efficientnet_b0":
        options = {}  # it always divides the image by 255
    theirs = getattr(keras.applications, keras_name)(
        weights=None, input_shape=shape, classes=CLASSES, classifier_activation=None, **options
    )
    for layer in theirs._flatten_layers():
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    steps = {"kcnn": make_step(ours, batch, side), "keras": make_step(theirs, batch, side)}
    if importlib.util.find_spec("timm"):
        steps["timm"] = _torch_step(timm_name, batch, side)
    return steps, batch


def _torch_step(name, batch, side):
    import timm
    import torch
    from torch import nn, optim

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    model = timm.create_model(name, num_classes=CLASSES).to(memory_format=torch.channels_last)
    model.train()
    optimizer = optim.SGD(model.parameters(), 0.01, momentum=0.9)
    rng = np.random.default_rng(0)
    x = torch.tensor(rng.standard_normal((batch, 3, side, side)), dtype=torch.float32)
    x = x.to(memory_format=torch.channels_last)
    y = torch.tensor(rng.integers(0, CLASSES, batch))

    def step():
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step
