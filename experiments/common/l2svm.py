"""The L2-SVM protocol of Section 4.3: a linear classifier on features of a few labelled examples.

Functions of arrays alone, so that worker processes need not import JAX.
"""

import warnings
from typing import NamedTuple

import joblib
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC
from tqdm import tqdm

from experiments.common.spreads import mean_and_std

C_GRID = np.exp(np.linspace(-20, 20, 50))  # natural exponent: 2.06e-9 to 4.85e8
PER_CLASS = 100
VALIDATION_DRAWS = 10
TEST_DRAWS = 100


class Examples(NamedTuple):
    """Features (N, D) and labels (N,)."""

    x: np.ndarray
    label: np.ndarray

    def take(self, rows) -> "Examples":
        return Examples(self.x[rows], self.label[rows])


def validation_size(size: int) -> int:
    """How many of the last training examples choose C: 10,000 of SVHN's 73,257, 14 % of smaller sets."""
    return min(10_000, 14 * size // 100)


class Draws(NamedTuple):
    """Rows of the pool that each fit learns from; the same for all features that are compared."""

    search: np.ndarray
    validation: list[np.ndarray]
    test: list[np.ndarray]


def make_draws(label: np.ndarray, seed: int) -> Draws:
    """One class-balanced draw to choose C with, 10 to report the validation error and 100 the test error."""
    random = np.random.default_rng(seed)
    rows = [draw(label, PER_CLASS, random) for _ in range(1 + VALIDATION_DRAWS + TEST_DRAWS)]
    return Draws(rows[0], rows[1 : 1 + VALIDATION_DRAWS], rows[1 + VALIDATION_DRAWS :])


def draw(label: np.ndarray, per_class: int, random: np.random.Generator) -> np.ndarray:
    """The first `per_class` of each class, or as many as there are of the rarest, of a shuffled pool."""
    label = np.asarray(label)
    order = random.permutation(len(label))
    classes, counts = np.unique(label, return_counts=True)
    per_class = min(per_class, counts.min())
    chosen = [order[label[order] == c][:per_class] for c in classes]
    return np.sort(np.concatenate(chosen))


def error(c: float, learn: Examples, judge: Examples) -> float:
    """Percent of `judge` that `fit` gets wrong."""
    return 100 * float(np.mean(fit(c, learn).predict(judge.x) != judge.label))


def fit(c: float, learn: Examples) -> LinearSVC:
    """scikit-learn's LinearSVC, but for C at its defaults.

    The solver sees examples through inner products alone, and weights lie in their span: in an orthonormal
    basis of it, 1,000 examples of 8,960 features are 1,000 x 1,000 numbers and the solver's steps the same.
    """
    basis, coordinates = np.linalg.qr(np.asarray(learn.x, np.float64).T)  # (D, K), (K, N)
    classifier = LinearSVC(C=c, dual=True, random_state=0)  # "auto" is newer than the paper
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # large C; max_iter is the protocol's
        classifier.fit(coordinates.T, learn.label)
    classifier.coef_, classifier.n_features_in_ = classifier.coef_ @ basis.T, len(basis)
    return classifier


def evaluate(pool: Examples, validation: Examples, test: Examples, draws: Draws, title: str = "") -> dict:
    """Chooses C on the validation examples, then measures; errors in percent, over cores with joblib."""

    def errors(stage: str, settings: list[tuple[float, np.ndarray]], judge: Examples) -> list[float]:
        tasks = (joblib.delayed(error_of_rows)(c, pool, rows, judge) for c, rows in settings)
        bar = tqdm(parallel(tasks), f"{title}: {stage}", len(settings), disable=None, leave=False)
        return list(bar)

    with joblib.Parallel(return_as="generator") as parallel:
        by_c = errors("C", [(c, draws.search) for c in C_GRID], validation)
        best = C_GRID[int(np.argmin(by_c))]  # the first, so the smallest, of equals
        on_validation = errors("validation", [(best, rows) for rows in draws.validation], validation)
        on_test = errors("test", [(best, rows) for rows in draws.test], test)
    return {
        "dimension": pool.x.shape[1],
        "C": float(best),
        "validation_error_percent": mean_and_std(on_validation),
        "test_error_percent": mean_and_std(on_test),
        "validation_error_percent_by_C": by_c,
    }


def error_of_rows(c: float, pool: Examples, rows: np.ndarray, judge: Examples) -> float:
    """`error` after learning from these rows; picked in the worker, so that the pool is sent only once."""
    return error(c, pool.take(rows), judge)
