"""Scores from hand-made evidence."""

import numpy as np

from ali_jax.anomaly import scores
from ali_jax.anomaly.evidence import Evidence

ONE = Evidence(
    residual=np.float32([[3, -4]]),
    mu=np.float32([[-1, 2]]),
    error=np.float32([30]),
    divergence=np.float32([0.5]),
    joint=np.float32([2]),
    moved=np.float32([10]),
    twins_moved=np.float32([1.5]),
    twins=np.float32([-3]),
)


def test_scores_by_hand():
    wanted = {"l1": 7, "l2": 5, "divergence": 0.5, "joint": -2, "mixture": 7.3, "features": 1.5, "logits": 3}
    wanted["bound"] = 30 / (2 * 5) + 0.5
    wanted["student"] = np.log(1 + 9 / 5) + np.log(1 + 16 / 5) + 0.5
    # A member's share; see test_anomaly_neighbours for that of the rows.
    wanted["neighbour"] = np.log(1 + 9 / 5) + np.log(1 + 16 / 5) + np.log(1 + 1) + np.log(1 + 4)
    assert wanted.keys() == scores.SCORES.keys()
    for name, value in wanted.items():
        found = scores.SCORES[name](ONE, scores.Reference(np.asarray(5.0)))
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, [value], rtol=1e-6)


def test_the_noise_is_the_error_of_a_value_over_all_chunks():
    other = ONE._replace(error=np.float32([10]))
    reference = scores.reference([ONE, other])
    np.testing.assert_allclose(reference.noise, 20 / 2, rtol=1e-4)
    perfect = scores.reference([ONE._replace(error=np.float32([0]))])
    assert np.isfinite(scores.bound(ONE, perfect)).all()
