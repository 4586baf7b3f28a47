"""Random changes of images (N, H, W, C) in [0, 1], each image's its own.

`colour`, `translation` and `cutout` are differentiable augmentation (Zhao et al., 2020). Pairs before D sees
them may be changed by CHANGES, in this order (`disturbance`), and the copies of the term `contrast` by these
and noise.
"""

import functools
import math
from collections.abc import Callable, Iterable

import jax
import jax.numpy as jnp

from ali_jax.errors import UserError

CHANGES = ("colour", "negative", "translation", "cutout", "mirror", "zoom", "shear")


def _in_float32(change: Callable) -> Callable:
    """A change whose sums a CPU would convert to float32, and back to bfloat16, one by one."""

    @functools.wraps(change)
    def changed(key: jax.Array, x: jax.Array, strength: float) -> jax.Array:
        return change(key, x.astype(jnp.float32), strength).astype(x.dtype)

    return changed


@_in_float32
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
    return _product(rows, x, columns)


def cutout(key: jax.Array, x: jax.Array, share: float) -> jax.Array:
    """A box of `share` of each side set to zero, centred anywhere; the paper's code has 1/2."""
    key_rows, key_columns = jax.random.split(key)
    widths = _pixels("cutout", share, x, needed=all)
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
    return _product(rows, x, columns)


def mirror(key: jax.Array, x: jax.Array, share: float) -> jax.Array:
    """This share of the images, left and right exchanged."""
    turned = jax.random.bernoulli(key, share, (len(x), 1, 1, 1))
    return jnp.where(turned, x[:, :, ::-1], x)


def negative(key: jax.Array, x: jax.Array, share: float) -> jax.Array:
    """This share of the images, dark and light exchanged, as where signs come in any colour on any other."""
    turned = jax.random.bernoulli(key, share, (len(x), 1, 1, 1))
    return jnp.where(turned, 1 - x, x)


@_in_float32
def shear(key: jax.Array, x: jax.Array, slope: float) -> jax.Array:
    """Each image slanted: rows moved by up to `slope` times their distance from the middle, then columns."""
    slopes = slope * jax.random.uniform(key, (2, len(x), 1, 1, 1), minval=-1.0)
    rows, columns = (jnp.arange(side) - (side - 1) / 2 for side in x.shape[1:3])  # from the middle
    x = _moved(x, slopes[0] * rows[None, :, None, None], math.ceil(slope * rows.size / 2), axis=2)
    return _moved(x, slopes[1] * columns[None, None, :, None], math.ceil(slope * columns.size / 2), axis=1)


def _moved(x: jax.Array, places: jax.Array, most: int, axis: int) -> jax.Array:
    """x, its values along an axis taken from `places` further on, `most` at most; beyond its ends, the end's.

    Args:
      places: the same along the axis.
    """
    padding = [(most, most) if each == axis else (0, 0) for each in range(x.ndim)]
    return _taken(jnp.pad(x, padding, mode="edge"), places, most, axis)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _taken(padded: jax.Array, places: jax.Array, most: int, axis: int) -> jax.Array:
    """Values of `padded`, which has `most` more of them at both ends of the axis, `places` further on.

    Linear between two values, as a sum over whole places of all of the array: on a CPU it takes a twentieth
    of the time of products with a matrix for each line. The gradient is such a sum again; that of automatic
    differentiation is a sum of padded arrays, one for each place.
    """
    side = padded.shape[axis] - 2 * most
    # Barriers, as XLA would work a padding or a first move out anew for each place of the second.
    padded = jax.lax.optimization_barrier(padded)
    taken = 0
    for whole in range(-most, most + 1):
        share = jnp.maximum(1 - jnp.abs(places - whole), 0).astype(padded.dtype)
        taken += share * jax.lax.slice_in_dim(padded, most + whole, most + whole + side, axis=axis)
    return jax.lax.optimization_barrier(taken)


def _taken_backward(most, axis, places, dy):
    padding = [(2 * most,) * 2 if each == axis else (0, 0) for each in range(dy.ndim)]
    # Nobody learns where values were taken from.
    return _taken(jnp.pad(dy, padding), -places, most, axis), jnp.zeros_like(places)


_taken.defvjp(
    lambda padded, places, most, axis: (_taken(padded, places, most, axis), places), _taken_backward
)


def _product(rows: jax.Array, x: jax.Array, columns: jax.Array) -> jax.Array:
    """x, the values along its sides mixed by matrices (N, side, side); of its own precision everywhere."""
    rows, columns = rows.astype(x.dtype), columns.astype(x.dtype)
    # GPUs and TPUs would round float32, where an image is but moved, too.
    return jnp.einsum("nij,njkc,nlk->nilc", rows, x, columns, optimize=True, precision="highest")


def _resampling(key: jax.Array, kept: jax.Array, side: int) -> jax.Array:
    """(N, side, side): the weights of a side's values in those of a crop of `kept` (N, 1) of it, anywhere.

    Linear between two values; beyond the ends, the end's.
    """
    start = jax.random.uniform(key, kept.shape) * (1 - kept) * side
    places = jnp.clip(start + (jnp.arange(side)[None] + 0.5) * kept - 0.5, 0, side - 1)
    return jnp.maximum(1 - jnp.abs(places[..., None] - jnp.arange(side)[None, None]), 0)


def _pixels(
    what: str, share: float, x: jax.Array, needed: Callable[[Iterable[int]], bool] = any
) -> tuple[int, int]:
    """A share of the sides of images; a UserError where it is above 0 and changes nothing.

    Args:
      needed: `any` or `all` of both numbers must not be 0, or nothing is changed.
    """
    pixels = round(share * x.shape[1]), round(share * x.shape[2])
    if share > 0 and not needed(pixels):
        side = (max if needed is any else min)(x.shape[1:3])
        raise UserError(
            f"A {what} of {share:g} is less than half a pixel of images of {x.shape[1]}x{x.shape[2]} and "
            f"changes none; set it to 0, or to at least {1 / side:.2g}."
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
