"""Data sets that need no download: scikit-learn's digits, and the official 25-Gaussian mixture.

To add one, write a function (split, data_dir) -> Split like those below and give it a row of SETS.
"""

import numpy as np

from ali_jax.data.batches import permutation
from ali_jax.data.splits import Split, check_split
from ali_jax.errors import UserError

MIXTURE_MEANS = np.stack(np.divmod(np.arange(25), 5), axis=-1) * 2.0 - 4.0  # (25, 2), row by row
MIXTURE_STD = 0.05


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


def mixture(split: str, data_dir: str | None) -> Split:
    """25 Gaussians of standard deviation 0.05 on a grid; labels count the means row by row.

    The official code validates on the very points it trains on; "test" is another draw.
    """
    del data_dir
    draws = {"train": (100_000, 0), "test": (10_000, 1)}
    check_split("mixture", split, list(draws))
    size, seed = draws[split]
    random = np.random.Generator(np.random.Philox(np.random.SeedSequence([25, seed])))
    label = random.integers(25, size=size, dtype=np.int32)
    x = MIXTURE_MEANS[label] + MIXTURE_STD * random.standard_normal((size, 2))
    return Split(x.astype(np.float32), label, None)


SETS = {"digits": digits, "mixture": mixture}
