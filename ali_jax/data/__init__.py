"""Names -> splits of arrays; deterministic, step-addressable batches of them.

A data set is a row of a table: `offline.SETS` for those that need no download, `tfds_sets.SETS` for those of
TFDS. The head of either module says how to add one; nothing outside that module changes.

Only NumPy is needed to read a split. The first use of a split of TFDS decodes it (`prepare`, which needs
TensorFlow); from then on it is a few memory-mapped array files beside the TFDS data (`array_files`).
"""

import re
from collections.abc import Callable

from ali_jax.data import offline, tfds_sets
from ali_jax.data.batches import Batches
from ali_jax.data.offline import MIXTURE_MEANS, MIXTURE_STD
from ali_jax.data.splits import CELEBA_ATTRIBUTES, Split, join, take
from ali_jax.errors import UserError

__all__ = [
    "CELEBA_ATTRIBUTES",
    "MIXTURE_MEANS",
    "MIXTURE_STD",
    "SETS",
    "Batches",
    "Split",
    "load",
    "take",
]

# name -> function of a whole split's name and the data_dir of `load`
SETS: dict[str, Callable[[str, str | None], Split]] = {**tfds_sets.SETS, **offline.SETS}


def load(name: str, split: str, data_dir: str | None = None) -> Split:
    """The examples of a split such as "train", "train[:45000]", "train[45000:]" or "train+extra[:9000]".

    Slices and sums are those of TFDS, in whole numbers. A sum is copied into memory; one split is not. Where
    TFDS has an `id` (cifar10, svhn_cropped), examples are sorted by it, so that "train[:45000]" of CIFAR-10
    is the first 45,000 images of the original files; elsewhere the order is that of the TFDS files
    (`shuffle_files=False`).

    Args:
        name: one of `SETS`.
        split: the split, or a slice of it.
        data_dir: where TFDS keeps its data; None for $TFDS_DATA_DIR or ~/tensorflow_datasets.

    Raises:
        UserError: name, split or slice do not exist, or the data are missing or damaged.
    """
    if name not in SETS:
        raise UserError(f"There is no data set {name!r}; choose one of {', '.join(SETS)}.")
    return join([_load_one(name, part, data_dir) for part in split.split("+")])


def _load_one(name: str, split: str, data_dir: str | None) -> Split:
    base, bounds = _parse(split)
    whole = SETS[name](base, data_dir)
    return take(whole, _rows(name, split, bounds, len(whole.x)))


def _parse(split: str) -> tuple[str, tuple[str, str]]:
    """ "train[5:]" -> ("train", ("5", ""))."""
    match = re.fullmatch(r"(\w+)(?:\[(-?\d+|):(-?\d+|)\])?", split)
    if match is None:
        raise UserError(f"{split!r} is not a split; write 'train', 'train[9:99]' or 'train[:1000]+test'.")
    base, start, stop = match.groups(default="")
    return base, (start, stop)


def _rows(name: str, split: str, bounds: tuple[str, str], size: int) -> slice:
    """The bounds within a split of `size` examples; as in Python, negative ones count from its end."""
    start, stop = (int(text or default) for text, default in zip(bounds, (0, size), strict=True))
    start, stop = (bound + size if bound < 0 else bound for bound in (start, stop))
    if not 0 <= start < stop <= size:
        raise UserError(
            f"{split!r} of {name} is empty or not within its {size:,} examples; choose other bounds."
        )
    return slice(start, stop)
