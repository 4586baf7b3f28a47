"""Spectral normalisation of a kernel (Miyato et al., 2018): the largest singular value by power iteration."""

import jax
import jax.numpy as jnp

TINY = 1e-12  # below any norm that is not of zeros


def normalise(kernel: jax.Array, u: jax.Array, axis: int) -> tuple[jax.Array, jax.Array]:
    """(kernel / sigma, the next u): one step of the power iteration (Algorithm 1 there).

    sigma = v^T W u, of the matrix W whose columns are the output's channels. Gradients go through W and take
    u and v for constants (equation 12 there). u may have any length: the mean of several is as good as one.

    Args:
      kernel: floats of at least two axes.
      u: (O,), an estimate of W's first right singular vector.
      axis: of the kernel, that of the O output channels.
    """
    matrix = jnp.moveaxis(kernel, axis, -1).reshape(-1, kernel.shape[axis])
    constant = jax.lax.stop_gradient(matrix)
    v = unit(constant @ u)
    u = unit(v @ constant)
    return kernel / jnp.maximum(v @ (matrix @ u), TINY), u


def unit(vector: jax.Array) -> jax.Array:
    """The vector of length 1 in the same direction; zeros as they are."""
    return vector / jnp.maximum(jnp.linalg.norm(vector), TINY)
