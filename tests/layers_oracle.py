"""The note's one formula for all normalizations, and its gradients, in float64 NumPy."""

import numpy as np


def normalize(x, gamma, beta, *, over, groups=None, epsilon=1e-5):
    """y = gamma * (x - mean) / sqrt(var + epsilon) + beta for x (batch, *space, channels).

    `over` is "batch", "layer", "instance" or "group": what mean and var are taken over.
    """
    x = np.asarray(x, "float64")
    channels = x.shape[-1]
    groups = {"batch": channels, "layer": 1, "instance": channels}.get(over, groups)
    v = x.reshape(len(x), -1, groups, channels // groups)
    axes = (0, 1, 3) if over == "batch" else (1, 3)
    mean, var = v.mean(axes, keepdims=True), v.var(axes, keepdims=True)
    return ((v - mean) / np.sqrt(var + epsilon)).reshape(x.shape) * gamma + beta


def gradients(x, dy, gamma, *, groups, epsilon=1e-5):
    """dx, dgamma, dbeta of group normalization, from the formula derived by hand."""
    x, dy = np.asarray(x, "float64"), np.asarray(dy, "float64")
    ones = np.ones(x.shape[-1])
    unit = normalize(x, ones, 0 * ones, over="group", groups=groups, epsilon=epsilon)
    shape = (len(x), -1, groups, x.shape[-1] // groups)
    var = x.reshape(shape).var((1, 3), keepdims=True)
    d, u = (dy * gamma).reshape(shape), unit.reshape(shape)
    dx = d - d.mean((1, 3), keepdims=True) - u * (d * u).mean((1, 3), keepdims=True)
    dx = (dx / np.sqrt(var + epsilon)).reshape(x.shape)
    axes = tuple(range(x.ndim - 1))
    return dx, (dy * unit).sum(axes), dy.sum(axes)
