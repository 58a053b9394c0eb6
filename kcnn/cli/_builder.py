"""Which network is meant by --model: a name of kcnn, one of keras.applications, or a file's."""

import importlib.util
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Source", "application_named", "fitting", "from_file", "source_of", "space_of"]

SMALL_IMAGE = 64  # pixels; up to this size residual networks get the 3x3 stem
APPLICATIONS = "keras.applications."
USUAL = ("resnet20", "resnet14", "resnet8")  # where no network is named, by the time there is
USUAL_SMALL = ("resnet20", "conv4")  # likewise, for small images
PASSES = 30  # over the images: what is done learning beats a larger network that isn't
TIMED = 64  # images
# Of BatchNorm's averages, Keras's default: with the 0.999 of some of keras.applications they are
# still those of the first weights after a thousand updates, and the network predicts one class.
MOMENTUM = 0.99
STEP = 3.0  # times a pass forward that a training step takes


@dataclass(frozen=True)
class Source:
    """A builder for `kcnn.recipe.run`, and what the record says about it."""

    build: Callable[[Any], Any] | None
    name: str
    space: dict[str, Any] = field(default_factory=dict)
    chosen: tuple[str, ...] = ()
    backbone: Any = None


def source_of(model: str, dataset: Any, *, norm: str | None, widths: tuple[float, ...]) -> Source:
    """The builder that a name means for these data.

    Raises:
        ValueError: no such network, file or function.
    """
    if ":" in model or model.endswith(".py"):
        return Source(from_file(model, "build"), model)
    if model.startswith(APPLICATIONS):
        return _application(model, dataset)
    return _registered(model, dataset, norm=norm or "batch", widths=widths)


def fitting(dataset: Any, seconds: float | None) -> tuple[str, tuple[str, ...]]:
    """The name of the largest usual network that sees each image often enough in that time.

    And what is said of the choice.
    """
    if seconds is None:
        return USUAL[0], ()
    import numpy as np

    from kcnn.models import create_model, model_options
    from kcnn.recipe.clock import Clock

    images = np.zeros((TIMED, *dataset.image_shape), "float32")
    small = max(dataset.image_shape[:2]) <= SMALL_IMAGE
    usual = USUAL_SMALL if small else USUAL
    for name in usual:
        stem: dict[str, Any] = {"stem": "cifar"} if small and "stem" in model_options(name) else {}
        model = create_model(name, classes=2, input_shape=dataset.image_shape, **stem)
        model.predict_on_batch(images)  # traces
        began = Clock.now()
        model.predict_on_batch(images)
        update = STEP * max(Clock.now() - began, 1e-6)
        passes = seconds / (update * len(dataset.train) / TIMED)
        if passes >= PASSES:
            break
    return name, () if name == usual[0] else (
        f"{name}: in that time it sees each image about {passes:.0f} times, {usual[0]} fewer than "
        f"{PASSES}",
    )


def from_file(place: str, default: str) -> Any:
    """What FILE.py:NAME names; the file is run like a module.

    Raises:
        ValueError: no such file, it can't be run, or it has no such name.
    """
    path, _, name = place.partition(":")
    name = name or default
    file = Path(path)
    if not file.is_file():
        raise ValueError(f"There is no file {path}; give FILE.py:{default}.")
    module_name = f"kcnn_user_{file.stem}"
    spec = importlib.util.spec_from_file_location(module_name, file)
    if spec is None or spec.loader is None:
        raise ValueError(f"{path} is no Python file; give FILE.py:{default}.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module  # so that its source and its classes are found again
    sys.path.insert(0, str(file.parent.resolve()))  # as for a script: it imports its neighbours
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(f"{path} can't be run: {type(error).__name__}: {said}") from error
    if not hasattr(module, name):
        raise ValueError(f"{path} defines no {name!r}; give FILE.py:NAME of what it defines.")
    return getattr(module, name)


def space_of(place: str | None) -> dict[str, Any]:
    """The space of a TOML file, or of FILE.py:NAME; nothing for None."""
    if place is None:
        return {}
    if place.partition(":")[0].endswith(".py"):
        return dict(from_file(place, "space"))
    from kcnn.recipe import load_space

    return dict(load_space(place))


def application_named(name: str) -> tuple[Callable[..., Any], bool]:
    """A network of keras.applications, and whether it takes pixels as they are.

    Raises:
        ValueError: no such network, with the nearest name.
    """
    import keras

    from kcnn.recipe.settings import did_you_mean

    known = [n for n in dir(keras.applications) if n[0].isupper()]
    if name not in known:
        raise ValueError(f"keras.applications has no {name!r}.{did_you_mean(name, known)}")
    make = getattr(keras.applications, name)
    return make, "include_preprocessing" in inspect.signature(make).parameters


def _registered(model: str, dataset: Any, *, norm: str, widths: tuple[float, ...]) -> Source:
    from kcnn.models import create_model, model_options

    known = model_options(model)
    options: dict[str, Any] = {}
    chosen = []
    if max(dataset.image_shape[:2]) <= SMALL_IMAGE and "stem" in known:
        options["stem"] = "cifar"  # the ImageNet stem would leave a quarter of few pixels
        chosen.append(f"3x3 stem, for images of at most {SMALL_IMAGE} pixels")
    preprocessing = _normalizing(dataset)

    def build(hp: Any) -> Any:
        return create_model(
            model,
            classes=dataset.classes,
            input_shape=dataset.image_shape,
            norm=norm,
            width=hp.get("width", 1.0),
            preprocess=preprocessing.layer(),
            **options,
        )

    space = {"width": list(widths)} if len(widths) > 1 else {}
    told = ", ".join(f"{k} {v}" for k, v in {"norm": norm, **options}.items())
    return Source(build, f"{model} ({told})", space, tuple(chosen))


def _application(model: str, dataset: Any) -> Source:
    import keras

    from kcnn.callbacks.keras_internals import layers_of
    from kcnn.recipe.settings import RecipeError, first_line

    make, takes_pixels = application_named(model.removeprefix(APPLICATIONS))
    preprocessing = None if takes_pixels else _normalizing(dataset)

    def build(hp: Any) -> Any:
        try:
            network = make(
                weights=None,
                classes=dataset.classes,
                input_shape=dataset.image_shape,
                classifier_activation=None,
            )
        except ValueError as error:
            raise RecipeError(f"{model}: {first_line(error)}; give --image-size.") from error
        for layer in layers_of(network):
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = min(layer.momentum, MOMENTUM)
        if preprocessing is None:
            return network
        images = keras.Input(dataset.image_shape, name="image")
        return keras.Model(
            images, network(preprocessing.layer()(images)), name=make.__name__.lower()
        )

    own = "its own preprocessing" if takes_pixels else "inputs normalized by the data"
    said = f"{make.__name__}: {own}, momentum of BatchNorm at most {MOMENTUM}"
    return Source(build, model, chosen=(said,))


def _normalizing(dataset: Any) -> Any:
    """The data's preprocessing with the mean and deviation of each channel."""
    from kcnn.data import channel_stats
    from kcnn.preprocessing import Preprocessing

    height, width, channels = dataset.image_shape
    stats = channel_stats(dataset.train)
    base = dataset.preprocessing or Preprocessing((height, width), channels)
    return base.replace(mean=stats.mean.tolist(), std=stats.std.tolist())
