"""Measures of mixtures of Gaussians."""

import functools

import jax
import numpy as np

from ali_jax import data
from experiments.mixture import measures

MIXTURE = data.MIXTURES["mixture"]


def test_a_mode_with_one_nearest_sample_is_covered_and_with_twenty_near_ones_strictly():
    near, far = np.float32([0.1, 0.1]), np.float32([0.2, 0.0])  # 0.141 and 0.2 from a mean; 3 std are 0.15
    samples = np.concatenate(
        [
            np.tile(MIXTURE.means[0] + near, (20, 1)),
            np.tile(MIXTURE.means[7] + near, (19, 1)),
            np.tile(MIXTURE.means[7] + far, (5, 1)),
            np.tile(MIXTURE.means[24] + 100, (1, 1)),
        ]
    ).astype(np.float32)
    assert int(measures.modes_covered(samples, MIXTURE)) == 3
    assert int(measures.modes_covered_strictly(samples, MIXTURE)) == 1
    np.testing.assert_allclose(measures.high_quality_share(samples, MIXTURE), 39 / 45, rtol=1e-6)


def test_the_data_themselves_cover_everything():
    for name, modes in (("mixture", 25), ("five_gaussians", 5)):
        x, mixture = data.load(name, "test").x, data.MIXTURES[name]
        found = measures.measure(measures.Points(x, x, None, None), x, mixture)
        assert found["modes_covered"] == found["modes_covered_strictly"] == modes
        # P(|n| <= 3) of a two-dimensional normal n is 1 - exp(-9 / 2) = 0.9889.
        assert abs(found["high_quality_share"] - 0.9889) < 0.004
        assert 0.99 * modes < found["inception_score"] <= modes


def test_inception_score_counts_components_and_doubts_what_lies_between_them():
    five = data.MIXTURES["five_gaussians"]
    score = functools.partial(measures.inception_score, mixture=five)
    np.testing.assert_allclose(score(np.float32([[0, 0], [2, 2]])), 2, rtol=1e-5)
    # Of three samples one is at either mean: entropy log 3 - (2 / 3) log 2.
    np.testing.assert_allclose(score(np.float32([[0, 0], [2, 2], [2, 2]])), 3 / 2 ** (2 / 3), rtol=1e-5)
    # Halfway between two means a sample says nothing; far beyond one it is that one's.
    np.testing.assert_allclose(score(np.float32([[1, 1]] * 4)), 1, rtol=1e-5)
    np.testing.assert_allclose(score(np.float32([[0, 0], [90, 90]])), 2, rtol=1e-5)


def test_means_are_those_of_the_labels():
    split = data.load("mixture", "train")
    means = [split.x[split.label == mode].mean(0) for mode in range(25)]
    np.testing.assert_allclose(means, MIXTURE.means, atol=0.005)


def test_points_that_are_not_finite_cover_nothing():
    samples = np.full((100, 2), np.nan, np.float32)
    points = measures.Points(samples, samples, None, None)
    found = measures.measure(points, samples, MIXTURE)
    assert found["diverged"] and found["modes_covered"] == found["high_quality_share"] == 0
    samples = samples.copy()
    samples[3] = MIXTURE.means[3]
    assert int(measures.modes_covered(samples, MIXTURE)) == 1


def test_reconstruction_error_is_a_root_mean_squared_distance():
    x = np.float32([[0, 0], [1, 1]])
    # Distances 5 and 0: sqrt(25 / 2).
    np.testing.assert_allclose(
        measures.reconstruction_error(x, x + np.float32([[3, 4], [0, 0]])), 12.5**0.5, rtol=1e-6
    )


distance_to_prior = jax.jit(measures.distance_to_prior)


def test_distance_to_prior_is_zero_for_the_prior_and_known_for_a_shift_and_a_scale():
    """A shift by v moves projections by v's own, whose mean square is |v|^2 / 2; a scale s by |s - 1|."""
    codes = np.random.default_rng(0).standard_normal((5_000, 2), np.float32)
    assert distance_to_prior(codes) < 0.05
    shifted = distance_to_prior(codes + np.float32([[3.0, 4.0]]))
    np.testing.assert_allclose(shifted, 12.5**0.5, rtol=0.02)
    np.testing.assert_allclose(distance_to_prior(3 * codes), 2.0, rtol=0.03)


def test_distance_to_prior_does_not_depend_on_the_order_or_a_quarter_turn():
    codes = np.random.default_rng(0).random((5_000, 2), np.float32)
    plain = distance_to_prior(codes)
    np.testing.assert_allclose(distance_to_prior(codes[::-1].copy()), plain, rtol=1e-6)
    turned = np.stack([-codes[:, 1], codes[:, 0]], axis=1)
    # One projection points the other way: the quantiles are symmetric only up to rounding.
    np.testing.assert_allclose(distance_to_prior(turned), plain, rtol=1e-4)
