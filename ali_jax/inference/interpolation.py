"""From one image to another by way of their codes (Section 4.2)."""

from collections.abc import Callable

import jax
import numpy as np

from ali_jax.errors import UserError
from ali_jax.inference import inputs
from ali_jax.inference.passes import decode, encode
from ali_jax.pretrained import Model
from ali_jax.ranges import COUNT, require


def linear(z1: np.ndarray, z2: np.ndarray, along: np.ndarray) -> np.ndarray:
    """Points on the line from z1 to z2, (N, n), at fractions `along`, (T,): (N, T, n)."""
    z1, z2, along = _ends(z1, z2, along)
    return z1[:, None] + along * (z2 - z1)[:, None]


def spherical(z1: np.ndarray, z2: np.ndarray, along: np.ndarray) -> np.ndarray:
    """As `linear`, but on an arc about the origin (slerp), where codes between long ones stay long.

    Directions are on the arc and lengths on a line: codes of two lengths that are nearly opposite would
    otherwise have codes between them that are hundreds of times as long.
    """
    z1, z2, along = _ends(z1, z2, along)
    lengths = np.linalg.norm(z1, axis=1)[:, None, None], np.linalg.norm(z2, axis=1)[:, None, None]
    least = np.finfo(np.float32).tiny  # a code at the origin has no direction
    ends = [z[:, None] / np.maximum(length, least) for z, length in zip((z1, z2), lengths, strict=True)]
    cosine = np.sum(ends[0] * ends[1], axis=(1, 2))
    # Not 0 (there the arc is the line) and not pi (there it is any arc), where the formula divides by 0.
    angle = np.clip(np.arccos(np.clip(cosine, -1, 1)), 1e-3, np.pi - 1e-3)[:, None, None]
    weights = np.sin((1 - along) * angle), np.sin(along * angle)
    directions = (weights[0] * ends[0] + weights[1] * ends[1]) / np.sin(angle)
    return (directions * ((1 - along) * lengths[0] + along * lengths[1])).astype(np.float32)


def _ends(z1: np.ndarray, z2: np.ndarray, along: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The arguments of a path, the last as (1, T, 1)."""
    z1, z2, along = map(np.asarray, (z1, z2, along))
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
    keys = (None, None) if key is None else jax.random.split(inputs.key(key))
    attributes2 = attributes if attributes2 is None else attributes2
    require("steps", steps, COUNT)
    if not callable(path):
        raise UserError(f"path is {path!r}; pass inference.linear, inference.spherical or one of your own.")
    z1, z2 = encode(model, x1, attributes, keys[0]), encode(model, x2, attributes2, keys[1])
    inputs.require_as_many("x2", z2, len(z1))
    along = np.linspace(0, 1, steps + 1, dtype=np.float32)
    z = path(z1, z2, along)  # (N, steps + 1, n)
    if attributes is not None:
        ends = (np.asarray(a, np.float32) for a in (attributes, attributes2))
        between = linear(*ends, along)  # (N, steps + 1, A)
        attributes = between.reshape(-1, between.shape[-1])
    decoded = decode(model, z.reshape(-1, z.shape[-1]), attributes)
    return decoded.reshape(*z.shape[:2], *decoded.shape[1:])
