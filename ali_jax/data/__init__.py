"""Names -> splits of arrays; deterministic, step-addressable batches.

Only NumPy is needed here. The first use of a split of a TFDS data set decodes it (`prepare`, which
imports TensorFlow); from then on the split is a few array files beside the TFDS data.
"""

import operator
import re
from collections.abc import Callable

import numpy as np

from ali_jax.data import splits
from ali_jax.data.splits import Split
from ali_jax.errors import UserError


def load(name: str, split: str, data_dir: str | None = None) -> Split:
    """The examples of a split such as "train", "train[:45000]" or "train[45000:]".

    Slices are those of TFDS, in whole numbers. Where TFDS has an `id` (cifar10, svhn_cropped),
    examples are sorted by it, so that "train[:45000]" of CIFAR-10 is the first 45,000 images of the
    original files; elsewhere the order is that of the TFDS files (`shuffle_files=False`).

    Args:
        name: one of `SETS`.
        split: the split, or a slice of it.
        data_dir: where TFDS keeps its data; None for $TFDS_DATA_DIR or ~/tensorflow_datasets.

    Raises:
        UserError: name, split or slice do not exist, or the data are missing or damaged.
    """
    if name not in SETS:
        raise UserError(f"There is no data set {name!r}; choose one of {', '.join(SETS)}.")
    base, bounds = _parse(split)
    whole = SETS[name](name, base, data_dir)
    rows = _rows(name, split, bounds, len(whole.x))
    return take(whole, rows)


def take(split: Split, rows: slice | np.ndarray) -> Split:
    """The examples of these numbers; of a slice, views."""
    return Split(*(None if array is None else array[rows] for array in split))


def _parse(split: str) -> tuple[str, tuple[str, str]]:
    """ "train[5:]" -> ("train", ("5", ""))."""
    match = re.fullmatch(r"(\w+)(?:\[(-?\d+|):(-?\d+|)\])?", split)
    if match is None:
        raise UserError(f"{split!r} is not a split; write 'train', 'train[:1000]' or 'train[9:99]'.")
    base, *bounds = match.groups(default="")
    return base, tuple(bounds)


def _rows(name: str, split: str, bounds: tuple[str, str], size: int) -> slice:
    start, stop = (int(text or default) for text, default in zip(bounds, (0, size), strict=True))
    start, stop = (bound + size if bound < 0 else bound for bound in (start, stop))
    if not 0 <= start < stop <= size:
        raise UserError(
            f"{split!r} of {name} is empty or not within its {size:,} examples; choose other bounds."
        )
    return slice(start, stop)


# --- Data sets that need no download -------------------------------------------------------------


def _digits(name: str, split: str, data_dir: str | None) -> Split:
    """scikit-learn's 1,797 scanned digits, 8x8x1: 1,500 to train on, the other 297 to test."""
    del data_dir
    splits.check_split(name, split, ["train", "test"])
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise UserError(
            "The data set digits is part of scikit-learn; run `pip install scikit-learn`."
        ) from error
    bunch = load_digits()
    order = _permutation(1797, seed=0, epoch=0)
    rows = order[:1500] if split == "train" else order[1500:]
    x = np.rint(bunch.images[rows, :, :, None] * (255 / 16))  # the scans hold 0..16
    return Split(x.astype(np.uint8), bunch.target[rows].astype(np.int32), None)


MIXTURE_MEANS = np.stack(np.divmod(np.arange(25), 5), axis=-1) * 2.0 - 4.0  # (25, 2), row by row
MIXTURE_STD = 0.05


def _mixture(name: str, split: str, data_dir: str | None) -> Split:
    """25 Gaussians of standard deviation 0.05 on a grid; labels count the means row by row.

    The official code validates on the very points it trains on; "test" is another draw.
    """
    del data_dir
    draws = {"train": (100_000, 0), "test": (10_000, 1)}
    splits.check_split(name, split, list(draws))
    size, seed = draws[split]
    random = np.random.Generator(np.random.Philox(np.random.SeedSequence([25, seed])))
    label = random.integers(25, size=size, dtype=np.int32)
    x = MIXTURE_MEANS[label] + MIXTURE_STD * random.standard_normal((size, 2))
    return Split(x.astype(np.float32), label, None)


# --- Data sets of TFDS, once decoded -------------------------------------------------------------


def _tfds(name: str, split: str, data_dir: str | None) -> Split:
    root = splits.tfds_root(data_dir)
    folder = splits.decoded_folder(root, name, split)
    if folder is None or not folder.exists():
        from ali_jax.data import prepare  # needs TensorFlow, which reading decoded files does not

        folder = prepare.decode(root, name, split)
    return splits.read(folder)


SETS: dict[str, Callable[[str, str, str | None], Split]] = {
    **dict.fromkeys(splits.IMAGE_SHAPES, _tfds),
    "digits": _digits,
    "mixture": _mixture,
}


# --- Batches -------------------------------------------------------------------------------------


class Batches:
    """An endless stream of shuffled batches; `batches[step]` is a pure function of its arguments.

    The stream is one fresh permutation of all examples after another, cut into batches of
    `batch_size`: every example comes once an epoch, nothing is dropped, all batches have one size,
    and a batch may straddle two epochs. (The official code ends each epoch with a short batch
    instead.) Process p of P gets the rows [p B/P, (p + 1) B/P) of a batch of B, so the global batch
    is the same whatever the number of processes.
    """

    def __init__(
        self,
        split: Split,
        batch_size: int,
        seed: int,
        process_index: int = 0,
        process_count: int = 1,
    ) -> None:
        """`batch_size` counts the rows of all processes together.

        Raises:
            UserError: `batch_size` does not fit the data or the processes, or `seed` is negative.
        """
        _check_batches(len(split.x), batch_size, seed, process_count)
        # Base-class views: np.memmap's own indexing costs more than fetching a small batch.
        fields = split._asdict().items()
        self._arrays = {field: np.asarray(array) for field, array in fields if array is not None}
        self._size, self._batch_size, self._seed = len(split.x), batch_size, seed
        self._local_size = batch_size // process_count
        self._offset = process_index * self._local_size
        self._permutations: dict[int, np.ndarray] = {}

    def __getitem__(self, step: int) -> dict[str, np.ndarray]:
        """This process's rows of global batch `step`; keys: the fields that the split has."""
        if step < 0:
            raise IndexError(f"steps count from 0, not {step}")
        rows = self._rows(operator.index(step) * self._batch_size + self._offset)
        return {field: array.take(rows, axis=0) for field, array in self._arrays.items()}

    def _rows(self, start: int) -> np.ndarray:
        """Examples at positions start, ..., start + local batch - 1 of the stream."""
        epoch, first = divmod(start, self._size)
        rows = self._epoch(epoch)[first : first + self._local_size]
        missing = self._local_size - len(rows)
        return np.concatenate([rows, self._epoch(epoch + 1)[:missing]]) if missing else rows

    def _epoch(self, epoch: int) -> np.ndarray:
        permutation = self._permutations.get(epoch)
        if permutation is None:
            permutation = _permutation(self._size, self._seed, epoch)
            # A new dict, not a changed one: another thread may be reading the old.
            kept = {e: p for e, p in self._permutations.items() if abs(e - epoch) == 1}
            self._permutations = {**dict(list(kept.items())[-1:]), epoch: permutation}
        return permutation


def _check_batches(size: int, batch_size: int, seed: int, process_count: int) -> None:
    if not 0 < batch_size <= size:
        raise UserError(
            f"config.batch_size is {batch_size}; choose from 1 to the data set's {size:,} examples."
        )
    if batch_size % process_count:
        raise UserError(
            f"config.batch_size is {batch_size}; choose a multiple of the {process_count} processes."
        )
    if seed < 0:
        raise UserError(f"config.seed is {seed}; choose one from 0 up.")


def _permutation(size: int, seed: int, epoch: int) -> np.ndarray:
    """A permutation of range(size).

    It sorts raw bits because those are the same in every version of NumPy, and what
    `Generator.permutation` makes of them need not be.
    """
    bits = np.random.Philox(np.random.SeedSequence([seed, epoch])).random_raw(size)
    return np.argsort(bits, kind="stable")
