"""Shuffled batches of a split."""

import functools
import operator

import numpy as np

from ali_jax.data.splits import Split
from ali_jax.errors import UserError


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
        rows: np.ndarray | None = None,
    ) -> None:
        """`batch_size` counts the rows of all processes together.

        Args:
          rows: numbers of the examples to draw from, one of them as often as it is there; None: all.

        Raises:
          UserError: `batch_size` does not fit the data or the processes, a number is no whole one, `seed` is
            negative, or the split is none.
        """
        _check_split(split)
        self._among = rows
        self._size = len(split.x) if rows is None else len(rows)
        _check_batches(self._size, batch_size, seed, process_count)
        # Base-class views: np.memmap's own indexing costs more than fetching a small batch.
        fields = split._asdict().items()
        self._arrays = {field: np.asarray(array) for field, array in fields if array is not None}
        self._batch_size, self._local_size = batch_size, batch_size // process_count
        self._offset = process_index * self._local_size
        # The order of all examples in an epoch. A batch is of two epochs at most.
        self._order = functools.lru_cache(maxsize=2)(functools.partial(permutation, self._size, seed))

    def __getitem__(self, step: int) -> dict[str, np.ndarray]:
        """This process's rows of global batch `step`; keys: the fields that the split has."""
        if step < 0:
            raise IndexError(f"steps count from 0, not {step}")
        rows = self._rows(operator.index(step) * self._batch_size + self._offset)
        return {field: array.take(rows, axis=0) for field, array in self._arrays.items()}

    def _rows(self, start: int) -> np.ndarray:
        """Examples at positions start, ..., start + local batch - 1 of the stream."""
        epoch, first = divmod(start, self._size)
        rows = self._order(epoch)[first : first + self._local_size]
        missing = self._local_size - len(rows)
        rows = np.concatenate([rows, self._order(epoch + 1)[:missing]]) if missing else rows
        return rows if self._among is None else self._among[rows]


def _check_split(split: Split) -> None:
    if not isinstance(split, Split):
        raise UserError(
            f"Batches are of a Split, and this is a {type(split).__name__}; pass data.Split(x, None, None), "
            "or one with labels and attributes."
        )
    for field, array in split._asdict().items():
        if array is not None and len(array) != len(split.x):
            raise UserError(
                f"The split has {len(split.x)} examples and {len(array)} of {field}; give it as many of both."
            )


def _check_batches(size: int, batch_size: int, seed: int, process_count: int) -> None:
    for name, number in (("batch_size", batch_size), ("seed", seed)):
        if not isinstance(number, int | np.integer):
            raise UserError(f"config.{name} is {number!r}; it must be a whole number.")
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


def permutation(size: int, seed: int, epoch: int) -> np.ndarray:
    """A permutation of range(size).

    It sorts raw bits because those are the same in every version of NumPy, and what
    `Generator.permutation` makes of them need not be.
    """
    bits = np.random.Philox(np.random.SeedSequence([seed, epoch])).random_raw(size)
    return np.argsort(bits, kind="stable")
