"""The fitted rows themselves: how far an example is from the nearest of them."""

from typing import NamedTuple

import numpy as np
from sklearn.neighbors import NearestNeighbors

ROWS = 5000  # that are kept, at most
WEIGHT = 2.0  # of what they say, beside what a member says
BLOCK = 10_000  # of examples, at a time: their differences from rows take memory
ROUNDING = 1e-4  # of a value, in widths of its column
LEAST_GAP = 1e-4  # where rows are alike to the digit, the least trifle would be strange


class Neighbours(NamedTuple):
    """Fitted rows, scaled, and how far these are from each other."""

    rows: np.ndarray  # (M, F) float32
    gap: np.ndarray  # (): mean squared difference of a value from that of the nearest other row

    def strangeness(self, x: np.ndarray) -> np.ndarray:
        """(N, F), scaled -> (N,): 2 log(1 + d^2 / gap), summed over the differences d from the nearest row.

        Minus the log, but for constants, of Student's t about the nearest row, as in the scores of members.
        Distance from the nearest fitted rows is an old score of strangeness (Ramaswamy et al., 2000).
        """
        blocks = np.array_split(x, -(-len(x) // BLOCK))
        parts = [np.sum(np.log1p(np.square(_apart(self.rows, part)) / self.gap), axis=1) for part in blocks]
        return WEIGHT * np.concatenate(parts)


def neighbours(x: np.ndarray, random: np.random.RandomState) -> Neighbours:
    """Of rows x (N, F), scaled: all of them, or as many as are kept, drawn at random."""
    rows = x[np.sort(random.permutation(len(x))[:ROWS])]
    return Neighbours(rows, np.asarray(np.mean(np.square(_apart(rows, rows))) + LEAST_GAP))


def _apart(rows: np.ndarray, x: np.ndarray) -> np.ndarray:
    """x (N, F) less the nearest of rows: float64.

    A row that equals x may be x itself, as fitted rows are scored as well; one such does not count. Equal it
    is within what rounding changes, as when a table was written to a file in between.
    """
    nearest = NearestNeighbors(n_neighbors=min(2, len(rows))).fit(rows).kneighbors(x, return_distance=False)
    itself = np.all(np.abs(rows[nearest[:, 0]] - x) <= ROUNDING, axis=1)
    return x.astype(np.float64) - rows[np.where(itself, nearest[:, -1], nearest[:, 0])]
