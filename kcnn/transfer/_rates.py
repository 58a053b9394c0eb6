"""Keras's optimizers with a learning rate of its own for every weight."""

from collections.abc import Mapping
from typing import Any

import keras

__all__ = ["with_rates"]


class _Rates:
    """Mixed into an optimizer: the step of a variable takes `rates[path]` of the rate."""

    def __init__(self, *args: Any, rates: Mapping[str, float] | None = None, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.rates = dict(rates or {})

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> Any:
        # On TensorFlow this is the backend's variable, which knows no path: ask for its place.
        index = self._get_variable_index(variable)  # type: ignore[attr-defined]
        path = self._trainable_variables[index].path  # type: ignore[attr-defined]
        rate = learning_rate * self.rates.get(path, 1.0)
        return super().update_step(gradient, variable, rate)  # type: ignore[misc]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rates": self.rates}  # type: ignore[misc]


_BASES = (
    keras.optimizers.SGD,
    keras.optimizers.RMSprop,
    keras.optimizers.Adam,
    keras.optimizers.AdamW,
    keras.optimizers.Adamax,
    keras.optimizers.Nadam,
    keras.optimizers.Lion,
    keras.optimizers.Adagrad,
    keras.optimizers.Adadelta,
    keras.optimizers.Ftrl,
)


def _make(base: type) -> Any:
    cls = type(f"{base.__name__}WithRates", (_Rates, base), {"__module__": __name__})
    cls.__doc__ = f"keras.optimizers.{base.__name__} with a share of the rate for every weight."
    return keras.saving.register_keras_serializable(package="kcnn")(cls)


_CLASSES = {base: _make(base) for base in _BASES}


def with_rates(
    optimizer: keras.optimizers.Optimizer, rates: Mapping[str, float], learning_rate: Any
) -> keras.optimizers.Optimizer:
    """A new optimizer with the settings of `optimizer` and `learning_rate`.

    The weight whose path is p is moved with `rates.get(p, 1)` of the learning rate.
    Decoupled weight decay keeps the full rate.

    Raises:
        ValueError: `rates` with an optimizer that is not one of Keras's own.
        NotImplementedError: `rates` on the torch backend, where Keras moves all the
            weights in one call.
    """
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        optimizer = optimizer.inner_optimizer
    kind: Any = type(optimizer)
    config = {**optimizer.get_config(), "learning_rate": learning_rate}
    config.pop("rates", None)
    base = next((b for b, cls in _CLASSES.items() if kind in (b, cls)), kind)
    if not rates:
        return base.from_config(config)
    if keras.backend.backend() == "torch":
        raise NotImplementedError(
            "layer_decay: on the torch backend Keras moves all weights in one call; "
            "use layer_decay=1 there, or the TensorFlow or JAX backend."
        )
    if base not in _CLASSES:
        raise ValueError(
            f"layer_decay: {kind.__name__} is not one of Keras's optimizers "
            f"({', '.join(b.__name__ for b in _BASES)}); use one of them or layer_decay=1."
        )
    return _CLASSES[base].from_config({**config, "rates": dict(rates)})
