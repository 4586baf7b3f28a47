"""Measures of the 25-mode study."""

import jax
import numpy as np

from ali_jax import data
from experiments.mixture import measures


def test_a_mode_with_one_nearest_sample_is_covered_and_with_twenty_near_ones_strictly():
    near, far = np.float32([0.1, 0.1]), np.float32([0.2, 0.0])  # 0.141 and 0.2 from a mean; 3 std are 0.15
    samples = np.concatenate(
        [
            np.tile(data.MIXTURE_MEANS[0] + near, (20, 1)),
            np.tile(data.MIXTURE_MEANS[7] + near, (19, 1)),
            np.tile(data.MIXTURE_MEANS[7] + far, (5, 1)),
            np.tile(data.MIXTURE_MEANS[24] + 100, (1, 1)),
        ]
    ).astype(np.float32)
    assert int(measures.modes_covered(samples)) == 3
    assert int(measures.modes_covered_strictly(samples)) == 1
    np.testing.assert_allclose(measures.high_quality_share(samples), 39 / 45, rtol=1e-6)


def test_the_data_themselves_cover_everything():
    x = data.load("mixture", "test").x
    assert int(measures.modes_covered(x)) == int(measures.modes_covered_strictly(x)) == 25
    # P(|n| <= 3) of a two-dimensional normal n is 1 - exp(-9 / 2) = 0.9889.
    assert abs(measures.high_quality_share(x) - 0.9889) < 0.004


def test_means_are_those_of_the_labels():
    split = data.load("mixture", "train")
    means = [split.x[split.label == mode].mean(0) for mode in range(25)]
    np.testing.assert_allclose(means, data.MIXTURE_MEANS, atol=0.005)


def test_points_that_are_not_finite_cover_nothing():
    samples = np.full((100, 2), np.nan, np.float32)
    points = measures.Points(samples, samples, None, None)
    found = measures.measure(points, samples)
    assert found["diverged"] and found["modes_covered"] == found["high_quality_share"] == 0
    samples = samples.copy()
    samples[3] = data.MIXTURE_MEANS[3]
    assert int(measures.modes_covered(samples)) == 1


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
