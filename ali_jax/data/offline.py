"""Data sets that need no download: scikit-learn's digits, and mixtures of Gaussians in the plane.

To add one, write a function (split, data_dir) -> Split like those below and give it a row of SETS.
"""

import functools
from typing import NamedTuple

import numpy as np

from ali_jax.data.batches import permutation
from ali_jax.data.splits import Split, check_split
from ali_jax.errors import UserError


class Gaussians(NamedTuple):
    """A mixture of round Gaussians in the plane, with equal weights."""

    means: np.ndarray  # (modes, 2)
    std: float
    train: int  # points
    test: int


MIXTURES = {
    # Section 4.5 and its code: a grid, row by row.
    "mixture": Gaussians(np.stack(np.divmod(np.arange(25), 5), axis=-1) * 2.0 - 4.0, 0.05, 100_000, 10_000),
    # The toy data of ALICE (Li et al., 2017), by its code.
    "five_gaussians": Gaussians(
        np.array([[0, 0], [2, 2], [-2, -2], [2, -2], [-2, 2]], np.float64), 0.2, 2_048, 1_024
    ),
}


def digits(split: str, data_dir: str | None) -> Split:
    """scikit-learn's 1,797 scanned digits, 8x8x1: 1,500 to train on, the other 297 to test."""
    del data_dir
    check_split("digits", split, ["train", "test"])
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise UserError(
            "The data set digits is part of scikit-learn; run `pip install scikit-learn`."
        ) from error
    bunch = load_digits()
    order = permutation(1797, seed=0, epoch=0)
    rows = order[:1500] if split == "train" else order[1500:]
    x = np.rint(bunch.images[rows, :, :, None] * (255 / 16))  # the scans hold 0..16
    return Split(x.astype(np.uint8), bunch.target[rows].astype(np.int32), None)


def points(name: str, split: str, data_dir: str | None) -> Split:
    """Points of one of MIXTURES; labels count its means.

    The paper's code validates on the very points it trains on; "test" is another draw.
    """
    del data_dir
    mixture = MIXTURES[name]
    draws = {"train": (mixture.train, 0), "test": (mixture.test, 1)}
    check_split(name, split, list(draws))
    size, seed = draws[split]
    modes = len(mixture.means)
    random = np.random.Generator(np.random.Philox(np.random.SeedSequence([modes, seed])))
    label = random.integers(modes, size=size, dtype=np.int32)
    x = mixture.means[label] + mixture.std * random.standard_normal((size, 2))
    return Split(x.astype(np.float32), label, None)


SETS = {"digits": digits, **{name: functools.partial(points, name) for name in MIXTURES}}
