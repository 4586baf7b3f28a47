"""Directions of z along which images change: principal ones of codes, and towards a class or an attribute.

A code moves by `code + amount * direction.step`; an amount of 1 is one standard deviation of all codes along
the direction, or the way to the mean of a class where that is longer.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from sklearn.decomposition import PCA

from ali_jax.errors import UserError
from ali_jax.inference import inputs
from ali_jax.inference.passes import decode
from ali_jax.pretrained import Model
from ali_jax.ranges import COUNT, require

CANDIDATES = 4  # principal directions that are compared, for each that is kept
PROBES = 16  # codes at which it is measured how much a direction changes the image


class Direction(NamedTuple):
    """A direction of z."""

    name: str
    step: np.ndarray  # float32 (n,)
    change: float  # root mean square over pixels, in [0, 1], from half a step back to half a step ahead


def principal(
    model: Model, codes: np.ndarray, attributes: np.ndarray | None = None, count: int = 8
) -> list[Direction]:
    """The leading principal directions of codes (N, n), those first that change the image most.

    Where the prior is isotropic, so are the codes of a well-trained E, nearly: their variance alone says
    little about which directions matter. So G is asked, about the CANDIDATES * count leading ones; those
    `count`, or as many as there are, are returned.

    Args:
      attributes: of the codes, (N, A), where the model is conditional.

    Raises:
      UserError: there are fewer than 2 codes, they are no finite numbers, or attributes are not of as many.
    """
    require("count", count, COUNT)
    codes, attributes = _arrays(codes, attributes)
    if len(codes) < 2:
        raise UserError(f"There are {len(codes)} codes to find directions of; pass at least 2.")
    if not np.isfinite(codes).all():
        raise UserError("Not all codes are finite: the model's training diverged; pass another model.")
    found = PCA(min(CANDIDATES * count, len(codes) - 1, codes.shape[1]), random_state=0).fit(codes)
    axes = found.components_ * np.sqrt(found.explained_variance_)[:, None]
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1)
    # The sign of an axis is any; so it is the same again.
    steps = np.float32(axes * np.where(largest < 0, -1, 1))
    change = _changes(model, steps, codes, attributes)
    order = np.argsort(-change, kind="stable")[:count]
    return [Direction(str(place), steps[row], float(change[row])) for place, row in enumerate(order, 1)]


def towards(
    model: Model, codes: np.ndarray, groups: Mapping[str, np.ndarray], attributes: np.ndarray | None = None
) -> list[Direction]:
    """The directions from the mean of the codes (N, n) outside of each group to that of those within.

    Args:
      groups: name -> bool (N,), of the codes of a class or with an attribute. A group of all codes, or of
        none, has no direction and is left out.
      attributes: of the codes, (N, A), where the model is conditional.

    Raises:
      UserError: a group is no such array, codes are none, or attributes are not of as many.
    """
    codes, attributes = _arrays(codes, attributes)
    if not hasattr(groups, "items"):  # a table of pandas' has them too
        raise UserError(
            f"groups is of type {type(groups).__name__}; pass a dict of names and masks, as "
            "{'threes': labels == 3}."
        )
    groups = {name: _mask(name, inside, len(codes)) for name, inside in groups.items()}
    groups = {name: inside for name, inside in groups.items() if 0 < np.sum(inside) < len(inside)}
    if not groups:
        return []
    ways = np.stack([codes[inside].mean(axis=0) - codes[~inside].mean(axis=0) for inside in groups.values()])
    length = np.linalg.norm(ways, axis=1)
    axes = ways / np.maximum(length, 1e-12)[:, None]
    # Where classes overlap their means are close, and steps from one to another would change next to nothing.
    steps = np.float32(axes * np.maximum(np.std(codes @ axes.T, axis=0), length)[:, None])
    change = _changes(model, steps, codes, attributes)
    return [Direction(*row) for row in zip(groups, steps, map(float, change), strict=True)]


def _arrays(codes: Any, attributes: Any) -> tuple[np.ndarray, np.ndarray | None]:
    codes = inputs.numbers(codes, "codes")
    if codes.ndim != 2:
        raise UserError(f"codes has the shape {codes.shape}; pass codes (N, n), as of inference.encode.")
    if attributes is not None:
        attributes = inputs.numbers(attributes, "attributes")
        inputs.require_as_many("attributes", attributes, len(codes))
    return codes, attributes


def _mask(name: str, inside: Any, count: int) -> np.ndarray:
    """bool (count,), of booleans or of zeros and ones."""
    try:
        mask = np.asarray(inside)
        fits = mask.shape == (count,) and np.isin(mask, (0, 1)).all()
    except (TypeError, ValueError):  # lists of several lengths, and what cannot be compared to numbers
        fits = False
    if not fits:
        raise UserError(
            f"The group {name!r} must say of each of the {count} codes whether it is inside, by True or "
            f"False; pass it as labels == 3, say, in the shape ({count},)."
        )
    return mask.astype(bool)


def _changes(model: Model, steps: np.ndarray, codes: np.ndarray, attributes: np.ndarray | None) -> np.ndarray:
    """Root mean square change of G's pixels by each step (M, n), about some of the codes: (M,)."""
    rows = np.linspace(0, len(codes) - 1, min(PROBES, len(codes))).astype(int)
    ends = [codes[rows] + sign * steps[:, None] / 2 for sign in (-1, 1)]  # each (M, probes, n)
    if attributes is not None:
        attributes = np.tile(attributes[rows], (len(steps), 1))
    before, after = (decode(model, end.reshape(-1, end.shape[-1]), attributes) for end in ends)
    return np.sqrt(np.square(after - before).reshape(len(steps), -1).mean(axis=1))
