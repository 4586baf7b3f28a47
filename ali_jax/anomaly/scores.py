"""How strange an example is: scores of a member's evidence, each named after its source; high is strange."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from ali_jax.anomaly.evidence import Evidence

LEAST_NOISE = 1e-4  # where rows are brought back to the digit, the least trifle would be strange


class Reference(NamedTuple):
    """What a member says of held-out rows, for others to be compared with."""

    noise: np.ndarray  # (): mean squared error of a value


def reference(found: Iterable[Evidence]) -> Reference:
    """The reference of the evidence of held-out rows, in chunks."""
    errors, values = zip(*((e.error, e.residual.shape[1]) for e in found), strict=True)
    return Reference(np.asarray(np.mean(np.concatenate(errors), dtype=np.float64) / values[0] + LEAST_NOISE))


def bound(evidence: Evidence, reference: Reference) -> np.ndarray:
    """The bound on -log p(x), but for constants: E_q(z|x) |x - G(z)|^2 / 2 s^2 + KL(q(z|x), p(z)).

    Of a Gaussian p(x|z) about G(z), whose variance s^2 is that of held-out rows (Kingma & Welling, 2014; for
    anomalies An & Cho, 2015): an example is strange that codes cannot bring back, or only unlikely codes.
    """
    return evidence.error.astype(np.float64) / (2 * reference.noise) + divergence(evidence)


def student(evidence: Evidence, reference: Reference) -> np.ndarray:
    """The same bound at mu, of a p(x|z) whose every value has a Student's t (Takahashi et al., 2018).

    With one degree of freedom, and s^2 that of held-out rows: log(1 + r^2 / s^2) of each residual. One column
    far off, as normal rows have now and then, counts less than many that are off together.
    """
    return _of_residuals(evidence, reference) + divergence(evidence)


def _of_residuals(evidence: Evidence, reference: Reference) -> np.ndarray:
    """log(1 + r^2 / s^2), summed over the residuals."""
    squares = np.square(evidence.residual, dtype=np.float64)
    return np.sum(np.log1p(squares / reference.noise), axis=1)


def neighbour(evidence: Evidence, reference: Reference) -> np.ndarray:
    """Minus the log of Student's t of each residual and of each value of the code, but for constants.

    So a row far off in one column that codes do bring back counts less than by `student`, too. To this the
    detector adds how far the nearest fitted row is: see `neighbours`.
    """
    of_codes = np.sum(np.log1p(np.square(evidence.mu, dtype=np.float64)), axis=1)
    return _of_residuals(evidence, reference) + of_codes


def divergence(evidence: Evidence, reference: Reference | None = None) -> np.ndarray:
    """KL(q(z|x), p(z)) alone: how unlikely a code is."""
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
    for score in (neighbour, student, bound, divergence, l1, l2, mixture, joint, features, logits)
}
OF_TABLES, OF_IMAGES = "neighbour", "bound"  # where none is asked for
OF_TWINS = ("features", "logits")  # those that ask for a D of twins
OF_ROWS = ("neighbour",)  # those that ask for fitted rows
