"""Weight normalisation of a layer (Salimans & Kingma, 2016), and its start on data (Section 3 there).

Each of a kernel's columns, all weights of one output channel, has length 1; a scale and a bias stand beside.
"""

import jax
import jax.numpy as jnp

TINY = 1e-6  # what is shorter is taken for zeros


def unit_columns(kernel: jax.Array, axis: int) -> jax.Array:
    """The kernel with columns of length 1; `axis` is that of the output channels. Zeros stay zeros."""
    others = tuple(a for a in range(kernel.ndim) if a != axis % kernel.ndim)
    square = jnp.sum(jnp.square(kernel), others, keepdims=True)
    # Clipped before the root, whose slope at 0 is infinite.
    return kernel / jnp.sqrt(jnp.maximum(square, TINY**2))


def first_scale(h: jax.Array) -> jax.Array:
    """(C,): what gives each channel of h (N, ..., C) a standard deviation of 1; ones where N is 1."""
    std = _over_examples(jnp.std, h)
    return jnp.where(std > TINY, 1 / jnp.maximum(std, TINY), 1.0) if len(h) > 1 else jnp.ones_like(std)


def first_bias(h: jax.Array) -> jax.Array:
    """(C,): what gives each channel of h (N, ..., C) a mean of 0; zeros where N is 1."""
    mean = _over_examples(jnp.mean, h)
    return -mean if len(h) > 1 else jnp.zeros_like(mean)


def _over_examples(statistic, h: jax.Array) -> jax.Array:
    return statistic(h.astype(jnp.float32), axis=tuple(range(h.ndim - 1)))
