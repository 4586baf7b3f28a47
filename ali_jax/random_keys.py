"""Checks that what a caller passed is a random key."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ali_jax.errors import UserError


def require_key(given: Any) -> jax.Array | np.ndarray:
    """The key that was given, one of JAX's of either kind; a UserError for anything else."""
    dtype, shape = getattr(given, "dtype", None), getattr(given, "shape", None)
    if dtype is not None and jnp.issubdtype(dtype, jax.dtypes.prng_key) and shape == ():
        return given
    # Of the older kind, 2 numbers, or 4 where another generator is the default.
    raw = jax.random.key_data(jax.random.key(0))
    if not (dtype == raw.dtype and shape == raw.shape):
        found = type(given).__name__ + ("" if shape is None else f" of shape {shape}")
        raise UserError(f"key is a {found}; pass a key of JAX's, as jax.random.key(0).")
    return given
