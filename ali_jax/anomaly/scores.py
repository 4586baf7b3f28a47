"""How strange an example is: scores of a member's evidence, each named after its source; high is strange."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import jax
import numpy as np

from ali_jax.anomaly.evidence import Evidence

AXES = 128  # principal axes of what `distance` looks at, at most
ROWS_FOR_AN_AXIS = 4  # of the rows that it is estimated from
FLOOR = 0.1  # least spread of a log that `combined` divides by


class Cloud(NamedTuple):
    """Mean and covariance of rows (M, D), float64: K principal axes, and one variance beyond them."""

    mean: np.ndarray  # (D,)
    scale: np.ndarray  # (D,): what deviations are divided by first
    axes: np.ndarray  # (K, D)
    variances: np.ndarray  # (K,)
    rest: np.ndarray  # ()

    def distances(self, rows: np.ndarray) -> np.ndarray:
        """Squared Mahalanobis distances of rows (N, D) from the mean: (N,)."""
        deviations = (rows - self.mean) / self.scale
        along = deviations @ self.axes.T
        squares = np.sum(np.square(along), axis=1)
        beyond = np.maximum(np.sum(np.square(deviations), axis=1) - squares, 0)
        return np.sum(np.square(along) / self.variances, axis=1) + beyond / self.rest


def cloud(rows: np.ndarray) -> Cloud:
    """The cloud of rows (M, D), M at least 1."""
    mean = np.mean(rows, axis=0)
    spread = np.mean(np.square(rows - mean), axis=0)
    scale = np.sqrt(spread + 1e-3 * np.mean(spread) + 1e-12)
    deviations = (rows - mean) / scale
    _, singular, axes = np.linalg.svd(deviations, full_matrices=False)
    count = max(min(len(rows) // ROWS_FOR_AN_AXIS, AXES, len(axes)), 1)
    variances, beyond = np.split(np.square(singular) / len(rows), [count])
    left = rows.shape[1] - count
    # Floors, as few rows make some directions look narrower than they are.
    rest = max(np.sum(beyond) / left, 0.05) if left else 1.0
    return Cloud(mean, scale, axes[:count], np.maximum(variances, 1e-2), np.asarray(rest))


class Reference(NamedTuple):
    """What a member says of held-out rows, for new ones to be compared with."""

    cloud: Cloud  # of residuals and codes
    centres: np.ndarray  # (3,): medians of the logs of `combined`
    spreads: np.ndarray  # (3,)


def reference(found: Iterable[Evidence]) -> Reference:
    """The reference of the evidence of held-out rows, in chunks."""
    whole = jax.tree.map(lambda *parts: np.concatenate(parts), *found)
    made = cloud(_place(whole))
    logs = _logs(whole, made)
    low, centres, high = np.quantile(logs, [0.16, 0.5, 0.84], axis=0)
    return Reference(made, centres, np.maximum((high - low) / 2, FLOOR))


def combined(evidence: Evidence, reference: Reference) -> np.ndarray:
    """Ours: the mean of the logs of `l1`, `divergence` and `distance`, each in spreads of held-out rows.

    A row is strange that cannot be brought back, whose code is unlikely, or that breaks how errors and codes
    hang together; which of these gives an anomaly away differs from data to data.
    """
    return np.mean((_logs(evidence, reference.cloud) - reference.centres) / reference.spreads, axis=1)


def distance(evidence: Evidence, reference: Reference) -> np.ndarray:
    """Mahalanobis distance of (x - G(E(x)), E(x)) from those of held-out rows (after Lee et al., 2018)."""
    return reference.cloud.distances(_place(evidence))


def divergence(evidence: Evidence, reference: Reference | None = None) -> np.ndarray:
    """KL divergence of q(z|x) from the prior: how unlikely a code is (Kingma & Welling, 2014)."""
    return evidence.divergence.astype(np.float64)


def l1(evidence: Evidence, reference: Reference | None = None) -> np.ndarray:
    """Sum of |x - G(E(x))| (ALAD, Zenati et al., 2018, "L1")."""
    return np.sum(np.abs(evidence.residual), axis=1, dtype=np.float64)


def l2(evidence: Evidence, reference: Reference | None = None) -> np.ndarray:
    """Root of the sum of (x - G(E(x)))^2 (ALAD, "L2")."""
    return np.sqrt(np.sum(np.square(evidence.residual), axis=1, dtype=np.float64))


def features(evidence: Evidence, reference: Reference | None = None) -> np.ndarray:
    """L1 distance of D_xx's last hidden layer at (x, G(E(x))) from that at (x, x) (ALAD, its own score)."""
    return evidence.twins_moved.astype(np.float64)


def logits(evidence: Evidence, reference: Reference | None = None) -> np.ndarray:
    """Minus D_xx's logit of (x, G(E(x))), -log odds of twins (ALAD, "Logits")."""
    return -evidence.twins.astype(np.float64)


def mixture(evidence: Evidence, reference: Reference | None = None) -> np.ndarray:
    """0.9 l1 + 0.1 of how far D's last hidden layer moves, L1, as x becomes G(E(x)) (EGBAD, Zenati, 2018)."""
    return 0.9 * l1(evidence) + 0.1 * evidence.moved


def joint(evidence: Evidence, reference: Reference | None = None) -> np.ndarray:
    """Minus D's logit of (x, E(x)): log of the ratio of the two joint distributions (the paper's D)."""
    return -evidence.joint.astype(np.float64)


Score = Callable[[Evidence, Reference], np.ndarray]
SCORES: dict[str, Score] = {
    score.__name__: score
    for score in (combined, distance, divergence, l1, l2, mixture, joint, features, logits)
}
OF_TWINS = ("features", "logits")  # those that ask for a D of twins


def _place(evidence: Evidence) -> np.ndarray:
    return np.concatenate([evidence.residual, evidence.mu], axis=1, dtype=np.float64)


def _logs(evidence: Evidence, cloud: Cloud) -> np.ndarray:
    """(N, 3): the logs that `combined` is the mean of."""
    parts = (l1(evidence), divergence(evidence), cloud.distances(_place(evidence)))
    return np.log(np.maximum(np.stack(parts, axis=1), 1e-6))
