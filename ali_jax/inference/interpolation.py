"""From one image to another by way of their codes (Section 4.2)."""

from collections.abc import Callable

import jax
import numpy as np

from ali_jax.errors import UserError
from ali_jax.inference import inputs
from ali_jax.inference.passes import decode, encode
from ali_jax.pretrained import Model
from ali_jax.random_keys import require_key
from ali_jax.ranges import COUNT, require

ROUNDING = 1e-6  # of directions


def linear(z1: np.ndarray, z2: np.ndarray, along: np.ndarray) -> np.ndarray:
    """Points on the line from z1 to z2, (N, n), at fractions `along`, (T,): (N, T, n)."""
    z1, z2, along = _ends(z1, z2, along)
    return z1[:, None] + along * (z2 - z1)[:, None]


def spherical(z1: np.ndarray, z2: np.ndarray, along: np.ndarray) -> np.ndarray:
    """As `linear`, but on an arc about the origin (slerp), where codes between long ones stay long.

    Directions are on the arc and lengths on a line. Between opposite codes it is any of their arcs.
    """
    z1, z2, along = _ends(z1, z2, along)
    (first, last), lengths = zip(*map(_direction, (z1, z2)), strict=True)
    cosine = np.sum(first * last, axis=1, keepdims=True)
    aside = last - cosine * first  # what of the last direction is at a right angle to the first
    sine = np.linalg.norm(aside, axis=1, keepdims=True)
    opposite = (sine < ROUNDING) & (cosine < 0)
    aside = np.where(opposite, _perpendicular(first), aside / np.maximum(sine, ROUNDING))
    angle = along * np.arctan2(sine, cosine)[:, None]
    directions = np.cos(angle) * first[:, None] + np.sin(angle) * aside[:, None]
    length = (1 - along) * lengths[0][:, None] + along * lengths[1][:, None]
    return (directions * length).astype(np.float32)


def _direction(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(z of length 1, its length (N, 1)), float64; a code at the origin has no direction and stays there."""
    length = np.linalg.norm(z.astype(np.float64), axis=1, keepdims=True)
    return z / np.maximum(length, np.finfo(np.float32).tiny), length


def _perpendicular(directions: np.ndarray) -> np.ndarray:
    """A direction at a right angle to each of these (N, n); of one dimension there is none: 0."""
    axis = np.eye(directions.shape[1])[np.argmin(np.abs(directions), axis=1)]
    aside = axis - np.sum(axis * directions, axis=1, keepdims=True) * directions
    return aside / np.maximum(np.linalg.norm(aside, axis=1, keepdims=True), ROUNDING)


def _ends(z1: np.ndarray, z2: np.ndarray, along: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The arguments of a path, the last as (1, T, 1)."""
    z1, z2 = (
        np.asarray(z, np.result_type(z.dtype, np.float32))
        for z in (inputs.numbers(z1, "z1"), inputs.numbers(z2, "z2"))
    )
    along = inputs.numbers(along, "along")
    if z1.ndim != 2 or z1.shape != z2.shape or along.ndim != 1:
        raise UserError(
            f"A path leads from codes (N, n) to as many others at fractions (T,); these have the shapes "
            f"{z1.shape}, {z2.shape} and {along.shape}."
        )
    return z1, z2, along[None, :, None]


def interpolate(
    model: Model,
    x1: np.ndarray,
    x2: np.ndarray,
    steps: int = 10,
    attributes: np.ndarray | None = None,
    key: jax.Array | None = None,
    attributes2: np.ndarray | None = None,
    path: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray] = linear,
) -> np.ndarray:
    """Decodings along the way between the codes of x1 and of x2: (N, steps + 1, H, W, C).

    The first is the reconstruction of x1, the last that of x2 (Section 4.2).

    Args:
      attributes: of x1, and of x2 too unless `attributes2` says otherwise; those between are on a line.
      path: `linear` (the paper) or `spherical`.
    """
    keys = (None, None) if key is None else jax.random.split(require_key(key))
    attributes2 = attributes if attributes2 is None else attributes2
    require("steps", steps, COUNT)
    if not callable(path):
        raise UserError(f"path is {path!r}; pass inference.linear, inference.spherical or one of your own.")
    z1, z2 = encode(model, x1, attributes, keys[0]), encode(model, x2, attributes2, keys[1])
    inputs.require_as_many("x2", z2, len(z1))
    along = np.linspace(0, 1, steps + 1, dtype=np.float32)
    z = path(z1, z2, along)
    wanted = (len(z1), len(along), z1.shape[1])
    if np.shape(z) != wanted:
        raise UserError(f"path gave codes of the shape {np.shape(z)}; of these images it must be {wanted}.")
    if attributes is not None:
        ends = (np.asarray(a, np.float32) for a in (attributes, attributes2))
        between = linear(*ends, along)  # (N, steps + 1, A)
        attributes = between.reshape(-1, between.shape[-1])
    decoded = decode(model, z.reshape(-1, z.shape[-1]), attributes)
    return decoded.reshape(*z.shape[:2], *decoded.shape[1:])
