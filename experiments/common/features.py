"""What the encoder offers a classifier: functions of its layers, as `inference.features` reduces them.

Layers are taken before their nonlinearity. The paper says "the last three hidden layers as well as the
output" and counts 8,960 features; for the SVHN encoder the words give 5,376, and the count is that of all six
hidden layers, each max-pooled to 4x4 as DCGAN does, and mu. Both are here.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from ali_jax import data, inference
from ali_jax.models.layers import NONLINEARITIES

GRID = 4


def mu_and_hidden(model: inference.Model, split: data.Split) -> dict[str, np.ndarray]:
    """ "mu" (N, n) and, where E has a hidden layer, "hidden" (N, D): the last one, after its nonlinearity."""
    layers = inference.features(model, split.x, split.attributes, head_and_layer_before)
    if "hidden" in layers:
        stack = model.networks.encoder.stack
        activate = NONLINEARITIES[stack.rows[-2].nonlinearity]
        layers["hidden"] = np.asarray(activate(layers["hidden"], stack.leak)).reshape(len(split.x), -1)
    return layers


def head_and_layer_before(layers: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """What `mu_and_hidden` keeps of the layers on the device."""
    kept = {"mu": layers["mu"]}
    if before := hidden(layers):
        kept["hidden"] = before[-1]
    return kept


def code(layers: dict[str, jax.Array]) -> jax.Array:
    """The last three hidden layers and mu, flattened: 5,376 features of the SVHN encoder."""
    return _join([*hidden(layers)[-3:], layers["mu"]])


def pooled(layers: dict[str, jax.Array]) -> jax.Array:
    """Every hidden layer max-pooled to 4x4, and mu: 8,960 features of the SVHN encoder."""
    return _join([*map(pool, hidden(layers)), layers["mu"]])


def pool(h: jax.Array) -> jax.Array:
    """Maxima over a 4x4 grid of windows: (N, H, W, C) -> (N, 4, 4, C).

    Windows are as far apart as H / 4 rounded down and just large enough to reach every pixel; they overlap
    where 4 does not divide H (ours: the paper does not say). Smaller and dense layers stay as they are.
    """
    if h.ndim != 4 or min(h.shape[1:3]) <= GRID:
        return h
    strides = tuple(size // GRID for size in h.shape[1:3])
    window = tuple(size - (GRID - 1) * s for size, s in zip(h.shape[1:3], strides, strict=True))
    return nn.max_pool(h, window, strides)


def hidden(layers: dict[str, jax.Array]) -> list[jax.Array]:
    """All layers but the head, in order; empty where there is none."""
    numbers = sorted(int(name.removeprefix("layer_")) for name in layers if name != "mu")
    return [layers[f"layer_{number}"] for number in numbers[:-1]]


def _join(parts: list[jax.Array]) -> jax.Array:
    return jnp.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)
