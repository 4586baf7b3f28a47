"""How far the nearest fitted row is, by hand."""

import numpy as np

from ali_jax.anomaly import neighbours
from ali_jax.anomaly.neighbours import Neighbours

ROWS = np.float32([[0, 0], [1, 0], [10, 10], [10, 10]])


def strangeness(x, gap: float = 0.5) -> list[float]:
    return Neighbours(ROWS, np.asarray(gap)).strangeness(np.float32(x)).tolist()


def test_each_value_is_told_from_that_of_the_nearest_row(monkeypatch):
    monkeypatch.setattr(neighbours, "BLOCK", 1)
    wanted = 2 * (np.log(1 + 4 / 0.5) + np.log(1 + 1 / 0.5))
    np.testing.assert_allclose(strangeness([[-2, 1], [3, 1]]), [wanted, wanted])


def test_a_fitted_row_is_not_its_own_neighbour_but_its_double_is():
    wanted = [2 * np.log(1 + 1 / 0.5)] * 2 + [0, 0]
    np.testing.assert_allclose(strangeness(ROWS), wanted)
    np.testing.assert_allclose(strangeness(ROWS + 1e-6), wanted, atol=1e-4)  # it is still itself


def test_the_gap_is_the_mean_square_between_fitted_rows():
    found = neighbours.neighbours(ROWS, np.random.RandomState(0))
    np.testing.assert_array_equal(found.rows, ROWS)
    np.testing.assert_allclose(found.gap, 2 / 8, atol=2 * neighbours.LEAST_GAP)
    alone = neighbours.neighbours(ROWS[:1], np.random.RandomState(0))
    assert np.isfinite(alone.strangeness(ROWS)).all()
    alike = neighbours.neighbours(np.ones((3, 2), np.float32), np.random.RandomState(0))
    assert np.isfinite(alike.strangeness(np.float32([[1, 2]]))).all()


def test_of_many_rows_some_are_kept(monkeypatch):
    monkeypatch.setattr(neighbours, "ROWS", 40)
    rows = np.random.default_rng(0).normal(size=(100, 3)).astype(np.float32)
    kept = neighbours.neighbours(rows, np.random.RandomState(0)).rows
    assert len(np.unique(kept, axis=0)) == 40 and np.isin(kept, rows).all()
    assert kept[-1, 0] not in rows[:40]  # not the first of them
