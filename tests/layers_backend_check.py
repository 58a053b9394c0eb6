"""Run by test_layers_backends.py in a process of its own, under KERAS_BACKEND=jax or torch.

`norms` as the second argument: the normalizations alone.
"""

import sys
import tempfile
from pathlib import Path

import keras
import numpy as np
from layers_oracle import gradients, normalize

import kcnn.layers
from kcnn.layers import (
    BasicBlock,
    BottleneckBlock,
    ConvNeXtBlock,
    ConvNormAct,
    GroupNorm,
    InstanceNorm,
    InvertedResidual,
    LayerScale,
    PlainBlock,
    PreActBlock,
    SqueezeExcitation,
    StandardizedConv2D,
    StochasticDepth,
)


def draw(shape, mean=0.0, seed=0):
    return (np.random.default_rng(seed).standard_normal(shape) + mean).astype("float32")


def differentiate(layer, x, dy, residual=None):
    """y, dx, dgamma, dbeta [, dresidual] on the backend at hand."""
    more = [] if residual is None else [residual]
    if keras.backend.backend() == "jax":
        import jax

        def run(tensors):
            weights, call = tensors[1:3], {}
            if residual is not None:
                call["residual"] = tensors[3]
            return layer.stateless_call(weights, [], tensors[0], **call)[0]

        tensors = [jax.numpy.asarray(x), *(w.value for w in layer.weights), *more]
        y, back = jax.vjp(run, tensors)
        return [np.asarray(t) for t in (y, *back(dy)[0])]
    import torch

    x, *more = (torch.tensor(t, requires_grad=True) for t in (x, *more))
    y = layer(x, residual=more[0]) if more else layer(x)
    inputs = [x, *(w.value for w in layer.weights), *more]
    return [t.detach().numpy() for t in (y, *torch.autograd.grad(y, inputs, torch.tensor(dy)))]


def check_norms():
    for shape, axis in (
        ((4, 7, 5, 8), -1),
        ((2, 24, 24, 8), -1),
        ((2, 8, 24, 24), 1),
        ((3, 8), -1),
    ):
        for mean in (0.0, 1e3):
            layer = GroupNorm(2, axis=axis)
            layer.build(shape)
            gamma, beta = draw((2, 8), seed=9)
            layer.set_weights([gamma, beta])
            x, dy = draw(shape, mean), draw(shape, seed=1)
            y, dx, dgamma, dbeta = differentiate(layer, x, dy)
            turned = [np.moveaxis(t, axis, -1) for t in (x, dy, y, dx)]
            want = normalize(turned[0], gamma, beta, over="group", groups=2)
            exact = gradients(turned[0], turned[1], gamma, groups=2)
            off = 2e-4 if mean and keras.backend.backend() == "torch" else 1e-5
            np.testing.assert_allclose(turned[2], want, atol=off)
            np.testing.assert_allclose(turned[3], exact[0], atol=off)
            np.testing.assert_allclose(dgamma, exact[1], atol=30 * off)
            np.testing.assert_allclose(dbeta, exact[2], atol=1e-4)


def check_activation_and_residual():
    for activation in ("relu", "gelu", "linear"):
        shape = (2, 24, 24, 8)
        layer = GroupNorm(4, activation=activation)
        layer.build(shape)
        x, dy, r = (draw(shape, seed=i) for i in range(3))
        y, *_, dr = differentiate(layer, x, dy, r)
        z = normalize(x, 1.0, 0.0, over="group", groups=4) + r
        f = keras.activations.get(activation)
        want = keras.ops.convert_to_numpy(f(keras.ops.convert_to_tensor(z.astype("float32"))))
        np.testing.assert_allclose(y, want, atol=1e-5)
        if activation != "gelu":
            slope = (z > 0) if activation == "relu" else 1.0
            np.testing.assert_allclose(dr, dy * slope, atol=1e-6)


def check_second_derivatives():
    if keras.backend.backend() != "jax":
        return
    import jax

    layer = GroupNorm(2, activation="tanh")
    layer.build((2, 24, 24, 8))
    x, w, way = (draw((2, 24, 24, 8), seed=i) for i in range(3))

    def penalty(x):
        slope = jax.grad(lambda x: jax.numpy.sum(w * layer(x)))(x)
        return jax.numpy.sum(slope**2)

    found = float(jax.numpy.sum(jax.grad(penalty)(x) * way))
    want = float(penalty(x + 1e-2 * way) - penalty(x - 1e-2 * way)) / 2e-2
    assert abs(found - want) < 2e-2 * abs(want), (found, want)


def check_layers():
    table = [
        lambda: InstanceNorm(),
        lambda: GroupNorm(2, dtype="mixed_bfloat16"),
        lambda: ConvNormAct(6, strides=2, padding="symmetric", norm="group"),
        lambda: PlainBlock(6, norm="layer"),
        lambda: BasicBlock(6, strides=2, shortcut="identity-pad", drop_path=0.2),
        lambda: BasicBlock(6, strides=2, shortcut="avgpool-conv", norm="group"),
        lambda: BottleneckBlock(4, strides=2, norm="instance"),
        lambda: BottleneckBlock(4, groups=2, se_ratio=0.25, weight_standardization=True),
        lambda: ConvNeXtBlock(drop_path=0.1),
        lambda: InvertedResidual(4, excite_filters=2, drop_path=0.1),
        lambda: InvertedResidual(6, strides=2, fused=True, norm="group"),
        lambda: LayerScale(),
        lambda: PreActBlock(6, strides=2, dropout=0.1),
        lambda: SqueezeExcitation(2),
        lambda: StandardizedConv2D(6, 3),
        lambda: StochasticDepth(0.2),
        lambda: ConvNeXtBlock(drop_path=0.2),
        lambda: InvertedResidual(6, expansion=2, strides=2, excite_filters=2),
        lambda: LayerScale(0.1),
        lambda: SqueezeExcitation(2),
        lambda: StandardizedConv2D(6, 3, padding="same"),
    ]
    public = {n for n in kcnn.layers.__all__ if isinstance(getattr(kcnn.layers, n), type)}
    assert public == {type(make()).__name__ for make in table}, "a public layer is missing"
    x = draw((4, 6, 6, 4))
    for make in table:
        inputs = keras.Input((6, 6, 4))
        outputs = keras.layers.GlobalAveragePooling2D()(make()(inputs))
        model = keras.Model(inputs, keras.layers.Dense(2)(outputs))
        model.compile("adam", "mse")
        loss = model.fit(x, np.zeros((4, 2)), batch_size=3, verbose=0).history["loss"][0]
        assert np.isfinite(loss), make()
        with tempfile.TemporaryDirectory() as folder:
            model.save(Path(folder) / "m.keras")
            again = keras.models.load_model(Path(folder) / "m.keras")
        got = [np.asarray(m.predict(x, verbose=0)) for m in (model, again)]
        np.testing.assert_allclose(*got, atol=1e-6)


if __name__ == "__main__":
    assert keras.backend.backend() == sys.argv[1]
    check_norms()
    check_activation_and_residual()
    if sys.argv[2:] != ["norms"]:
        check_second_derivatives()
        check_layers()
    print("all of", sys.argv[1])
