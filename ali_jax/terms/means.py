"""Means over some of the examples of a batch."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp


def known(batch: Mapping[str, jax.Array]) -> jax.Array:
    """(M,) float32: 1 for the examples whose label is known, 0 for the others."""
    return (batch["label"] >= 0).astype(jnp.float32)


def mean_where(weights: jax.Array, values: jax.Array) -> jax.Array:
    """Mean over the first axis of the values of weight 1, not of weight 0; zero where there is none."""
    return jnp.sum(weights * values, axis=0) / jnp.maximum(jnp.sum(weights), 1.0)
