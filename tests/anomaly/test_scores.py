"""Scores from hand-made evidence."""

import numpy as np

from ali_jax.anomaly import scores
from ali_jax.anomaly.evidence import Evidence


def evidence(rows=200, seed=0, spread=1.0):
    random = np.random.default_rng(seed)
    values = [random.normal(size=(rows, 3)) * spread, random.normal(size=(rows, 2)) * spread]
    zeros = np.zeros(rows, np.float32)
    return Evidence(*(v.astype(np.float32) for v in values), np.ones(rows, np.float32) * spread, zeros, zeros)


def test_distances_are_mahalanobis():
    rows = np.random.default_rng(1).normal(size=(5000, 3)) @ [[2, 0, 0], [1, 1, 0], [0, 0, 0.5]]
    deviations = rows - rows.mean(axis=0)
    covariance = deviations.T @ deviations / len(rows)
    wanted = np.einsum("ij,jk,ik->i", deviations, np.linalg.inv(covariance), deviations)
    np.testing.assert_allclose(scores.cloud(rows).distances(rows), wanted, rtol=1e-2)


def test_few_rows_of_many_columns_have_a_cloud():
    rows = np.random.default_rng(1).normal(size=(8, 300))
    cloud = scores.cloud(rows)
    assert cloud.axes.shape == (2, 300)
    far = cloud.distances(5 * np.ones((1, 300)))
    assert np.isfinite(far).all() and far > cloud.distances(rows).max()
    assert np.isfinite(scores.cloud(rows[:1]).distances(rows)).all()


def test_a_constant_direction_is_no_division_by_zero():
    rows = np.zeros((50, 4))
    assert np.isfinite(scores.cloud(rows).distances(rows + 1)).all()


def test_the_combined_score_is_zero_in_the_middle_and_rises_with_each_part():
    found = evidence()
    reference = scores.reference([found])
    assert abs(np.median(scores.combined(found, reference))) < 0.5
    middle = scores.combined(found, reference)
    for part in ("residual", "mu", "divergence"):
        stranger = found._replace(**{part: 20 + 20 * getattr(found, part)})
        assert np.all(scores.combined(stranger, reference) > middle), part


def test_chunks_make_the_reference_of_the_whole():
    found = evidence()
    halves = [
        Evidence(*(v if v is None else v[part] for v in found)) for part in (slice(90), slice(90, None))
    ]
    one, two = scores.reference([found]), scores.reference(halves)
    np.testing.assert_allclose(one.centres, two.centres)
    np.testing.assert_allclose(one.cloud.variances, two.cloud.variances)


def test_the_published_scores_by_hand():
    one = Evidence(
        residual=np.float32([[3, -4]]),
        mu=np.float32([[0]]),
        divergence=np.float32([0.5]),
        joint=np.float32([2]),
        moved=np.float32([10]),
        twins_moved=np.float32([1.5]),
        twins=np.float32([-3]),
    )
    wanted = {"l1": 7, "l2": 5, "divergence": 0.5, "joint": -2, "mixture": 7.3, "features": 1.5, "logits": 3}
    for name, value in wanted.items():
        np.testing.assert_allclose(scores.SCORES[name](one, None), value, rtol=1e-6)
