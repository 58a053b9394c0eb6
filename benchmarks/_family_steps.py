"""Training steps of whole networks: kcnn's, keras.applications' and timm's of the same name."""

import atexit
import pathlib
import subprocess

import keras

from kcnn import create_model

__all__ = ["FAMILIES", "family_steps"]

CLASSES = 10
TIMM_STEP = pathlib.Path(__file__).with_name("_timm_step.py")
# kcnn's name -> keras.applications', timm's, batch, side in pixels.
FAMILIES = {
    "convnext_tiny": ("ConvNeXtTiny", "convnext_tiny", 8, 64),
    "mobilenet_v3_large": ("MobileNetV3Large", "mobilenetv3_large_100", 32, 96),
    "efficientnet_b0": ("EfficientNetB0", "efficientnet_b0", 16, 96),
}


def family_steps(name, make_step, torch_python):
    """A step of each library that is there, by its name.

    `make_step(model, batch, side)` gives one of a Keras model; `torch_python` is an interpreter
    that has timm, or None. Dropout and stochastic depth are off everywhere.
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
    if torch_python:
        steps["timm"] = _timm_step(torch_python, timm_name, batch, side)
    return steps, batch


def _timm_step(python, name, batch, side):
    """A step in a process of its own: timm and TensorFlow in one crash. It waits in between."""
    command = [python, str(TIMM_STEP), name, str(batch), str(side), str(CLASSES)]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(child.kill)

    def step():
        child.stdin.write("step\n")
        child.stdin.flush()
        return float(child.stdout.readline())

    return step
