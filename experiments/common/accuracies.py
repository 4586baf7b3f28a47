"""How well features tell classes apart: functions of arrays."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

MAX_ITERATIONS = 1000  # of the probe's solver


def measure(
    train_x: np.ndarray,
    test_x: np.ndarray,
    train_label: np.ndarray,
    test_label: np.ndarray,
    standardise: bool = False,
) -> dict:
    """Both accuracies in percent, of features (N, D) and labels (N,).

    With `standardise` the probe's features have mean 0 and standard deviation 1 over the training examples.
    Without it the probe, whose weights are kept small, does badly on features that are small, such as those
    of a network before its first step.
    """
    closest = nearest(train_x, test_x, 1)[:, 0]
    scale = [StandardScaler()] if standardise else []
    probe = make_pipeline(*scale, LogisticRegression(max_iter=MAX_ITERATIONS))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # `converged` tells it
        probe.fit(train_x, train_label)
    name = "standardised_probe" if standardise else "linear_probe"
    return {
        "dimension": train_x.shape[1],
        "nearest_neighbour_accuracy_percent": 100 * float(np.mean(train_label[closest] == test_label)),
        f"{name}_accuracy_percent": 100 * float(probe.score(test_x, test_label)),
        f"{name}_converged": int(np.max(probe[-1].n_iter_)) < MAX_ITERATIONS,
    }


def nearest(train_x: np.ndarray, queries: np.ndarray, count: int) -> np.ndarray:
    """Rows of `train_x` by distance from each query, closest first: (Q, count)."""
    search = NearestNeighbors(n_neighbors=count, algorithm="brute").fit(train_x)
    return search.kneighbors(queries, return_distance=False)
