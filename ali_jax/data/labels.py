"""Training with few labels: which ones are known, and batches that carry them."""

import math

import numpy as np

from ali_jax.data.batches import Batches
from ali_jax.data.splits import Split, take
from ali_jax.errors import UserError

UNLABELLED = -1  # in place of a label that is not known, or that training may not see
ALL = -1  # as a number of labels: as many as are known


def known_rows(label: np.ndarray) -> np.ndarray:
    """Which examples have a label that is known, in ascending order."""
    return np.flatnonzero(np.asarray(label) != UNLABELLED)


def with_label(split: Split) -> Split:
    """The examples whose label is known, copied; all of them where all are, or the data set has none."""
    if split.label is None:
        return split
    known = known_rows(split.label)
    return split if len(known) == len(split.label) else take(split, known)


def labelled_rows(label: np.ndarray, num_labels: int, seed: int) -> np.ndarray:
    """Which examples keep their labels: as many of each class, at random, or ALL; in ascending order.

    A pure function of its arguments; of an example's label it uses no more than the draw needs.

    Args:
      label: (N,) of all training examples, classes from 0, UNLABELLED where it is not known.
      num_labels: in all, a multiple of the number of classes; or ALL, however many each class has.
      seed: of the draw.

    Raises:
      UserError: the labels cannot be shared equally, or a class has too few examples.
    """
    if num_labels == ALL:
        return known_rows(label)
    num_classes = int(np.max(label)) + 1
    each, left = divmod(num_labels, num_classes)
    if left or not each:
        raise UserError(
            f"config.num_labels is {num_labels}, which {num_classes} classes cannot share equally; "
            f"it must be a multiple of {num_classes}, or {ALL} for all that are known."
        )
    # A stream of its own: with the same seed, the order of the data is another one.
    source = np.random.Philox(np.random.SeedSequence(seed, spawn_key=(1,)))
    order = np.argsort(source.random_raw(len(label)), kind="stable")
    rows = []
    for k in range(num_classes):
        of_class = order[label[order] == k]
        if len(of_class) < each:
            raise UserError(
                f"config.num_labels asks for {each} labels of class {k}, which has {len(of_class)} examples; "
                f"lower it, or say {ALL} for all that are known."
            )
        rows.append(of_class[:each])
    return np.sort(np.concatenate(rows))


class MixedBatches:
    """`Batches` of which a fixed share are labelled examples, the others drawn from all of them.

    The labelled examples come round as often as their number asks for, in an order of their own; the others,
    among which they are too, have the label UNLABELLED. Both kinds are interleaved in equal blocks, so that
    the global batch is the same whatever the number of processes.
    """

    def __init__(
        self,
        split: Split,
        rows: np.ndarray,
        batch_size: int,
        labelled_batch_size: int,
        seed: int,
        process_index: int = 0,
        process_count: int = 1,
    ) -> None:
        """`batch_size` counts all rows, `labelled_batch_size` the labelled ones among them.

        Raises:
          UserError: the two sizes do not fit each other, the processes, or the data.
        """
        self._blocks = math.gcd(labelled_batch_size, batch_size - labelled_batch_size)
        if not 0 < labelled_batch_size < batch_size or self._blocks % process_count:
            raise UserError(
                f"config.labelled_batch_size is {labelled_batch_size} of config.batch_size {batch_size}; "
                f"it must be above 0, smaller, and {process_count} processes must share both kinds equally."
            )
        if batch_size - labelled_batch_size > len(split.x):
            raise UserError(
                f"config.batch_size is {batch_size}, and {batch_size - labelled_batch_size} of a batch come "
                f"without labels, but the data set has {len(split.x):,} examples; lower it."
            )
        hidden = split._replace(label=np.full(len(split.x), UNLABELLED, np.int32))
        known = as_often(rows, labelled_batch_size)
        # Where all labels are known, or most, an order of the same seed would bring many examples twice in a
        # batch.
        apart = 2**32 if 2 * len(rows) > len(split.x) else 0  # seeds of configs are smaller
        process = (process_index, process_count)
        self._labelled = Batches(split, labelled_batch_size, seed + apart, *process, rows=known)
        self._unlabelled = Batches(hidden, batch_size - labelled_batch_size, seed, *process)
        self._blocks //= process_count

    def __getitem__(self, step: int) -> dict[str, np.ndarray]:
        """This process's rows of global batch `step`."""
        labelled, unlabelled = self._labelled[step], self._unlabelled[step]
        return {key: interleave_blocks(labelled[key], unlabelled[key], self._blocks) for key in labelled}


def as_often(rows: np.ndarray, at_least: int) -> np.ndarray:
    """The numbers of examples, all of them as often as it takes to fill a batch of `at_least`."""
    return np.tile(rows, -(-at_least // len(rows)))


def interleave_blocks(first: np.ndarray, second: np.ndarray, blocks: int) -> np.ndarray:
    """(A, ...) and (B, ...) -> (A + B, ...), each cut into `blocks` and the blocks taken in turn."""
    parts = [array.reshape(blocks, -1, *array.shape[1:]) for array in (first, second)]
    return np.concatenate(parts, axis=1).reshape(-1, *first.shape[1:])
