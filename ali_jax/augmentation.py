"""Random changes of images (N, H, W, C) in [0, 1], each image's its own.

The first three are differentiable augmentation (Zhao et al., 2020). Pairs before D sees them may be changed
by CHANGES, in this order (`disturbance`), and the copies of the term `contrast` by these and noise.
"""

import math

import jax
import jax.numpy as jnp

from ali_jax.errors import UserError

CHANGES = ("colour", "negative", "translation", "cutout", "mirror", "zoom", "shear")


def colour(key: jax.Array, x: jax.Array, strength: float) -> jax.Array:
    """Brightness, saturation and contrast of each image at random; 1 is the strength of the paper's code."""
    uniform = strength * jax.random.uniform(key, (3, len(x), 1, 1, 1), x.dtype, -1.0)
    x = x + uniform[0] / 4
    grey = jnp.mean(x, axis=3, keepdims=True)
    x = grey + (1 + uniform[1]) * (x - grey)
    mean = jnp.mean(x, axis=(1, 2, 3), keepdims=True)
    return mean + (1 + uniform[2] / 2) * (x - mean)


def translation(key: jax.Array, x: jax.Array, share: float) -> jax.Array:
    """Each image moved by up to `share` of its sides, zeros where it leaves; the paper's code has 1/8."""
    key_rows, key_columns = jax.random.split(key)
    most = _pixels("translation", share, x)
    rows = _shifts(key_rows, len(x), x.shape[1], most[0])
    columns = _shifts(key_columns, len(x), x.shape[2], most[1])
    return jnp.einsum("nij,njkc,nlk->nilc", rows, x, columns, optimize=True)


def cutout(key: jax.Array, x: jax.Array, share: float) -> jax.Array:
    """A box of `share` of each side set to zero, centred anywhere; the paper's code has 1/2."""
    key_rows, key_columns = jax.random.split(key)
    widths = _pixels("cutout", share, x)
    rows = _intervals(key_rows, len(x), x.shape[1], widths[0])
    columns = _intervals(key_columns, len(x), x.shape[2], widths[1])
    return jnp.where((rows[:, :, None] & columns[:, None, :])[..., None], 0, x)


def noise(key: jax.Array, x: jax.Array, std: float) -> jax.Array:
    """Gaussian noise on every value."""
    return x + std * jax.random.normal(key, x.shape, x.dtype)


def zoom(key: jax.Array, x: jax.Array, share: float) -> jax.Array:
    """A random crop, each of its sides at most `share` shorter, brought back to full size (linearly)."""
    key_size, key_rows, key_columns = jax.random.split(key, 3)
    kept = 1 - share * jax.random.uniform(key_size, (2, len(x), 1))
    rows = _resampling(key_rows, kept[0], x.shape[1])
    columns = _resampling(key_columns, kept[1], x.shape[2])
    return jnp.einsum("nij,njkc,nlk->nilc", rows, x, columns, optimize=True)


def mirror(key: jax.Array, x: jax.Array, share: float) -> jax.Array:
    """This share of the images, left and right exchanged."""
    turned = jax.random.bernoulli(key, share, (len(x), 1, 1, 1))
    return jnp.where(turned, x[:, :, ::-1], x)


def negative(key: jax.Array, x: jax.Array, share: float) -> jax.Array:
    """This share of the images, dark and light exchanged, as where signs come in any colour on any other."""
    turned = jax.random.bernoulli(key, share, (len(x), 1, 1, 1))
    return jnp.where(turned, 1 - x, x)


def shear(key: jax.Array, x: jax.Array, slope: float) -> jax.Array:
    """Each image slanted: rows moved by up to `slope` times their distance from the middle, then columns."""
    slopes = slope * jax.random.uniform(key, (2, len(x), 1, 1, 1), minval=-1.0)
    rows, columns = (jnp.arange(side) - (side - 1) / 2 for side in x.shape[1:3])  # from the middle
    x = _moved(x, slopes[0] * rows[None, :, None, None], math.ceil(slope * rows.size / 2), axis=2)
    return _moved(x, slopes[1] * columns[None, None, :, None], math.ceil(slope * columns.size / 2), axis=1)


def _moved(x: jax.Array, places: jax.Array, most: int, axis: int) -> jax.Array:
    """x, its values along an axis taken from `places` further on, `most` at most; beyond its ends, the end's.

    Linear between two values, as a sum over whole places of all of x: on a CPU it takes a twentieth of the
    time of products with matrices of each line, as of `_resampling`.
    """
    side = x.shape[axis]
    padding = [(most, most) if each == axis else (0, 0) for each in range(x.ndim)]
    # Barriers, as XLA would work a padding or a first move out anew for each place of the second.
    padded = jax.lax.optimization_barrier(jnp.pad(x, padding, mode="edge"))
    moved = jnp.zeros_like(x)
    for whole in range(-most, most + 1):
        share = jnp.maximum(1 - jnp.abs(places - whole), 0).astype(x.dtype)
        moved += share * jax.lax.slice_in_dim(padded, most + whole, most + whole + side, axis=axis)
    return jax.lax.optimization_barrier(moved)


def _resampling(key: jax.Array, kept: jax.Array, side: int) -> jax.Array:
    """(N, side, side): the weights of a side's values in those of a crop of `kept` (N, 1) of it, anywhere."""
    start = jax.random.uniform(key, kept.shape) * (1 - kept) * side
    return _interpolation(start + (jnp.arange(side)[None] + 0.5) * kept - 0.5, side)


def _interpolation(places: jax.Array, side: int) -> jax.Array:
    """(..., side): the weights of a side's values in those at `places` (...); beyond its ends, of the end."""
    places = jnp.clip(places, 0, side - 1)
    distances = jnp.abs(places[..., None] - jnp.arange(side).reshape((1,) * places.ndim + (side,)))
    return jnp.maximum(1 - distances, 0)


def _pixels(what: str, share: float, x: jax.Array) -> tuple[int, int]:
    """A share of the sides of images; a UserError where it is above 0 and rounds to none."""
    pixels = round(share * x.shape[1]), round(share * x.shape[2])
    if share > 0 and not any(pixels):
        raise UserError(
            f"A {what} of {share:g} is less than half a pixel of images of {x.shape[1]}x{x.shape[2]} and "
            f"changes none; set it to 0, or to at least {1 / max(x.shape[1:3]):.2g}."
        )
    return pixels


def _shifts(key: jax.Array, count: int, side: int, most: int) -> jax.Array:
    """(count, side, side): matrices that shift by up to `most`; a gather's gradient is slow on a CPU."""
    shift = jax.random.randint(key, (count, 1), -most, most + 1)
    return jax.nn.one_hot(jnp.arange(side)[None] - shift, side)


def _intervals(key: jax.Array, count: int, side: int, width: int) -> jax.Array:
    """(count, side): which places are in an interval of this width, centred anywhere."""
    # An even width has its centre between two places, or at an end.
    start = jax.random.randint(key, (count, 1), 0, side + 1 - width % 2) - width // 2
    places = jnp.arange(side)[None]
    return (start <= places) & (places < start + width)
