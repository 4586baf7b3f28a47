"""What is trained on, and what is judged: tables and images."""

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ali_jax import data
from ali_jax.data.batches import permutation
from ali_jax.errors import UserError, first_line
from ali_jax.run import tree_files


class Task(NamedTuple):
    """Examples to fit, and others to judge, of which it is known which are anomalies."""

    fit: np.ndarray  # (N, columns) or images (N, H, W, C)
    judged: np.ndarray  # (M, ...)
    anomaly: np.ndarray  # (M,) bool


def read_table(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """(X (N, columns), anomaly (N,) bool) of an .npz file with X and y, where 1 is an anomaly."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            x, y = stored["X"], stored["y"]
    except tree_files.FAULTS as error:
        raise UserError(
            f"{path} cannot be read as a table ({first_line(error)}); pass .npz files with X and y."
        ) from None
    if x.ndim != 2 or y.shape != (len(x),) or not {*np.unique(y)} == {0, 1}:
        raise UserError(f"{path} must hold X (N, columns) and y (N,) of zeros and ones, for anomalies.")
    if x.dtype.kind not in "biuf" or not np.isfinite(x).all():
        raise UserError(f"{path} holds cells of X that are no finite numbers; fill them, or drop their rows.")
    return x, y == 1


def digest(*arrays: np.ndarray) -> str:
    """Of what they hold: to be told from others of the same name."""
    made = hashlib.blake2b(digest_size=8)
    for array in arrays:
        made.update(np.ascontiguousarray(array))
    return made.hexdigest()


def half_of_the_normal(x: np.ndarray, anomaly: np.ndarray, seed: int) -> Task:
    """Fitted: half of the normal rows, at random. Judged: the other half, and all anomalies."""
    normal = np.flatnonzero(~anomaly)
    normal = normal[permutation(len(normal), seed, 0)]
    rest = np.concatenate([normal[len(normal) // 2 :], np.flatnonzero(anomaly)])
    return Task(x[normal[: len(normal) // 2]], x[rest], anomaly[rest])


def contaminated(x: np.ndarray, anomaly: np.ndarray, seed: int) -> Task:
    """Fitted: half of all rows, anomalies among them. Judged: the other half (ALAD's of arrhythmia)."""
    order = permutation(len(x), seed, 0)
    fit, rest = order[: len(x) // 2], order[len(x) // 2 :]
    return Task(x[fit], x[rest], anomaly[rest])


TABLES = {"half of the normal": half_of_the_normal, "contaminated": contaminated}


def one_class_normal(train: data.Split, test: data.Split, normal: int) -> Task:
    """Fitted: the training images of one class. Judged: all test images; other classes are anomalies."""
    rows = np.flatnonzero(np.asarray(train.label) == normal)
    return Task(np.asarray(data.take(train, rows).x), np.asarray(test.x), np.asarray(test.label) != normal)
