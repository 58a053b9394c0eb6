"""Where the models of a run live: a strategy of `tf.distribute` on one machine."""

from typing import Any

from kcnn.recipe.settings import RecipeError

__all__ = ["strategy_of"]

MIRRORED = "mirrored"


def strategy_of(name: str | None) -> Any:
    """The strategy that `--strategy` names, None for none.

    Args:
        name: "mirrored" for a copy of the model on each GPU (on the CPU where there is none),
            "mirrored:GPU:0,GPU:1" on these, or one device such as "GPU:1" or "CPU:0".

    Raises:
        RecipeError: no such device, with those that there are.
    """
    if name is None:
        return None
    import tensorflow as tf

    there = [d.name.removeprefix("/device:") for d in tf.config.list_logical_devices()]
    word, _, listed = name.partition(":")
    devices = [d.strip().upper() for d in (listed if word == MIRRORED else name).split(",")]
    missing = [d for d in devices if d and d not in there]
    if missing or (word != MIRRORED and len(devices) > 1):
        raise RecipeError(
            f"strategy must be mirrored, mirrored:GPU:0,GPU:1 or one device; received {name!r}, "
            f"and the devices here are {', '.join(there)}."
        )
    if word == MIRRORED:
        return tf.distribute.MirroredStrategy([f"/{d}" for d in devices if d] or None)
    return tf.distribute.OneDeviceStrategy(f"/{devices[0]}")
