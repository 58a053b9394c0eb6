"""A model inside a model that runs in inference mode, also while the outer one trains."""

from typing import Any

import keras

__all__ = ["InferenceBody"]


@keras.saving.register_keras_serializable(package="kcnn")
class InferenceBody(keras.layers.Layer):
    """body(x, training=False) whatever the outer model's `training` says.

    BatchNorm normalizes with its moving statistics and leaves them alone, dropout and
    stochastic depth are off; weights learn as `trainable` says. Writing
    `body(x, training=False)` in a functional model is not enough: with Keras 3.15 the
    `training=True` of `fit` takes its place.
    """

    def __init__(self, body: keras.Model, **kwargs: Any):
        super().__init__(**kwargs)
        self.body = body

    @property
    def layers(self) -> list[keras.layers.Layer]:
        """The body's, so that whoever looks for a layer finds it."""
        return list(self.body.layers)

    def build(self, input_shape: Any) -> None:
        self.built = True  # the body comes built

    def call(self, inputs: Any) -> Any:
        return self.body(inputs, training=False)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.body.compute_output_shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "body": keras.saving.serialize_keras_object(self.body)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "InferenceBody":
        config = dict(config)
        return cls(keras.saving.deserialize_keras_object(config.pop("body")), **config)
