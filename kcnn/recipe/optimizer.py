"""Optimizers whose learning rate and weight decay can be set without a new trace."""

import keras

from kcnn.recipe.settings import RecipeError, did_you_mean

__all__ = ["MOMENTUM", "adjustable", "optimizer_named", "plain", "set_training"]

MOMENTUM = 0.9  # He et al., arXiv:1512.03385, section 3.4
SWITCHED_ON = 1e-4  # any decay makes the traced step apply one; the variable takes its place


def optimizer_named(name: str) -> keras.optimizers.Optimizer:
    """A new optimizer: "sgd" with Nesterov momentum, any other of Keras as it comes."""
    if name.lower() == "sgd":
        return keras.optimizers.SGD(momentum=MOMENTUM, nesterov=True)
    try:
        return keras.optimizers.get(name)
    except ValueError:
        known = [n.lower() for n in dir(keras.optimizers) if n[0].isupper()]
        raise RecipeError(
            f"optimizer must be the name of an optimizer of Keras; received {name!r}."
            f"{did_you_mean(name.lower(), known)}"
        ) from None


def adjustable(
    optimizer: keras.optimizers.Optimizer, *, decays: bool = True
) -> keras.optimizers.Optimizer:
    """The same optimizer anew, its rate a variable and, if `decays`, its weight decay too.

    A schedule gives way: the recipe sets the rate of each update itself. Norm scales and
    offsets and biases are not decayed.
    """
    inner = getattr(optimizer, "inner_optimizer", None)
    if inner is not None:  # loss scaling around it
        return type(optimizer)(adjustable(inner, decays=decays))
    config = {**optimizer.get_config(), "learning_rate": 0.001}
    if decays:
        config["weight_decay"] = SWITCHED_ON
    new = type(optimizer).from_config(config)
    if decays:
        new.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
        new.weight_decay = keras.Variable(SWITCHED_ON, trainable=False, name="weight_decay")
    return new


def set_training(
    optimizer: keras.optimizers.Optimizer, *, learning_rate: float, weight_decay: float
) -> None:
    """Set rate and decay of an `adjustable` optimizer; nothing is traced."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    inner.learning_rate.assign(learning_rate)
    if isinstance(inner.weight_decay, keras.Variable):
        inner.weight_decay.assign(weight_decay)


def plain(
    optimizer: keras.optimizers.Optimizer, *, learning_rate: float, weight_decay: float
) -> keras.optimizers.Optimizer:
    """The optimizer with plain numbers, as Keras saves it, for whoever trains on."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    config = {**inner.get_config(), "learning_rate": learning_rate}
    if isinstance(inner.weight_decay, keras.Variable):
        config["weight_decay"] = weight_decay
    return type(inner).from_config(config)
