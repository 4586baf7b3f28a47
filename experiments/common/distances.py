"""Distances between two sets of features, real (N, D) and generated (M, D): functions of arrays."""

import numpy as np
from sklearn.metrics import pairwise_distances_chunked
from sklearn.neighbors import NearestNeighbors

from experiments.common import spreads

NEIGHBOURS = 5  # that a ball of `manifolds` reaches to
SUBSETS, SUBSET_SIZE = 100, 1000  # of `kernel`, as in its paper's code


def frechet(real: np.ndarray, generated: np.ndarray) -> float:
    """Squared 2-Wasserstein distance of the Gaussians with their means and covariances (Heusel et al., 2017).

    |m1 - m2|^2 + tr(S1) + tr(S2) - 2 tr((S1 S2)^(1/2)), the last by eigenvalues of S1^(1/2) S2 S1^(1/2),
    which is symmetric, so that no matrix root can turn complex.
    """
    (mean1, cov1), (mean2, cov2) = _moments(real), _moments(generated)
    values, vectors = np.linalg.eigh(cov1)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    roots = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ cov2 @ root), 0))
    return float(np.sum((mean1 - mean2) ** 2) + np.trace(cov1) + np.trace(cov2) - 2 * roots.sum())


def _moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x = np.asarray(x, np.float64)
    return x.mean(axis=0), np.atleast_2d(np.cov(x, rowvar=False))


def kernel(real: np.ndarray, generated: np.ndarray) -> dict[str, float]:
    """Mean and standard deviation of `mmd2` over random subsets of both sets (Binkowski et al., 2018).

    Subsets are of SUBSET_SIZE, or of half the smaller set: of all of it, they would not differ.
    """
    random = np.random.default_rng(0)
    size = min(SUBSET_SIZE, len(real) // 2, len(generated) // 2)
    values = []
    for _ in range(SUBSETS):
        chosen = (x[random.choice(len(x), size, replace=False)] for x in (real, generated))
        values.append(mmd2(*chosen))
    return spreads.mean_and_std(values)


def mmd2(x: np.ndarray, y: np.ndarray) -> float:
    """Unbiased squared maximum mean discrepancy of n and n examples, kernel (x . y / D + 1)^3.

    Unbiased, so it may be below zero.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    n = len(x)
    within = sum((k.sum() - np.trace(k)) / (n * (n - 1)) for k in (_cubic(x, x), _cubic(y, y)))
    return float(within - 2 * _cubic(x, y).mean())


def _cubic(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x @ y.T / x.shape[1] + 1) ** 3


def manifolds(real: np.ndarray, generated: np.ndarray, neighbours: int = NEIGHBOURS) -> dict[str, float]:
    """Precision, recall (Kynkaanniemi et al., 2019), density and coverage (Naeem et al., 2020).

    A set's manifold is the union of balls about its examples, each to its `neighbours`-th nearest other.
    precision: share of generated examples in the manifold of real ones; recall: the converse; density: how
    many real balls a generated example is in, over `neighbours`; coverage: share of real balls with a
    generated example inside.
    """
    real_radius, generated_radius = (_radii(x, neighbours) for x in (real, generated))
    in_real_balls = np.zeros(len(generated))
    recalled, covered = [], []
    start = 0
    for distances in pairwise_distances_chunked(real, generated):  # (chunk of real, M)
        inside = distances < real_radius[start : start + len(distances), None]
        in_real_balls += inside.sum(axis=0)
        covered.append(inside.any(axis=1))
        recalled.append((distances < generated_radius[None]).any(axis=1))
        start += len(distances)
    return {
        "precision": float(np.mean(in_real_balls > 0)),
        "recall": float(np.mean(np.concatenate(recalled))),
        "density": float(np.mean(in_real_balls) / neighbours),
        "coverage": float(np.mean(np.concatenate(covered))),
    }


def _radii(x: np.ndarray, neighbours: int) -> np.ndarray:
    """Distance of each example to its `neighbours`-th nearest other."""
    search = NearestNeighbors(n_neighbors=neighbours, algorithm="brute").fit(x)
    return search.kneighbors()[0][:, -1]
