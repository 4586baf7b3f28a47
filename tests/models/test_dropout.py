"""Dropout: its probability, its scale, and that its masks are independent in every direction.

That eight devices draw the mask of one shows in run/test_devices.py, where they train what one trains.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ali_jax.models.dropout import dropout

SHAPE = (100, 14, 14, 32)
KEY = jax.random.key(7)
RATES = [0.2, 0.5]  # the threshold of 0.5 looks at the top bit of the hash alone


def kept(key, rate, shape=SHAPE):
    """The mask as floats of mean 0 and variance 1, if it is what it should be."""
    mask = np.asarray(dropout(key, jnp.ones(shape), rate) != 0, np.float64)
    return (mask - (1 - rate)) / np.sqrt(rate * (1 - rate))


def sigmas(values):
    """How many standard deviations the sum of independent values of variance 1 is from 0."""
    return abs(values.sum()) / np.sqrt(values.size)


@pytest.mark.parametrize("rate", RATES)
def test_keeps_each_element_with_probability_one_minus_rate(rate):
    mask = kept(KEY, rate)
    assert sigmas(mask) < 5
    for axis in range(4):
        others = tuple(a for a in range(4) if a != axis)
        slices = np.abs(mask.sum(others)) / np.sqrt(mask.size / mask.shape[axis])
        assert slices.max() < 5, f"axis {axis}"


def test_scales_what_it_keeps_so_that_the_mean_stays():
    x = jax.random.normal(jax.random.key(1), SHAPE) + 3
    y = np.asarray(dropout(KEY, x, 0.2))
    np.testing.assert_allclose(y[y != 0], np.asarray(x)[y != 0] / 0.8, rtol=1e-6)
    assert abs(y.mean() / x.mean() - 1) < 0.005


@pytest.mark.parametrize("rate", RATES)
def test_neighbours_are_independent(rate):
    mask = kept(KEY, rate)
    for axis, size in enumerate(SHAPE):
        along = np.moveaxis(mask, axis, 0)
        for lag in (1, 2, 3, 4, 8):
            assert sigmas(along[lag:] * along[: size - lag]) < 5, f"axis {axis}, lag {lag}"


@pytest.mark.parametrize("rate", RATES)
def test_keys_are_independent(rate):
    # Of two parents: fold_in(key, i) is split(key)[i].
    split = jax.random.split(jax.random.key(8), 3)
    keys = [KEY, *split, *(jax.random.fold_in(KEY, i) for i in range(4))]
    masks = [kept(key, rate) for key in keys]
    for i, one in enumerate(masks):
        for other in masks[:i]:
            assert sigmas(one * other) < 5


def test_groups_of_eight_are_binomial():
    """More than pairs of neighbours show: all that eight in a row do together."""
    counts = np.asarray(dropout(KEY, jnp.ones(SHAPE), 0.5) != 0).reshape(-1, 8).sum(1)
    expected = counts.size * np.array([1, 8, 28, 56, 70, 56, 28, 8, 1]) / 2**8
    chi_square = ((np.bincount(counts, minlength=9) - expected) ** 2 / expected).sum()
    assert chi_square < 8 + 5 * np.sqrt(2 * 8)  # 8 degrees of freedom


def test_keys_of_four_words_are_independent():
    for impl in ("rbg", "unsafe_rbg"):
        one, other = (kept(jax.random.key(seed, impl=impl), 0.2) for seed in (0, 1))
        assert sigmas(one) < 5
        assert sigmas(one * other) < 5


def test_rate_zero_is_the_identity_and_one_outside_zero_to_one_refused():
    x = jnp.ones((2, 3))
    assert dropout(KEY, x, 0) is x
    for rate in (-0.1, 1, 1.5, float("nan")):
        with pytest.raises(ValueError, match=r"^dropout: the rate is .*\.$"):
            dropout(KEY, x, rate)


def test_gradient_goes_where_the_value_went():
    x = jax.random.normal(jax.random.key(1), (50, 40))
    gradient = jax.grad(lambda x: jnp.sum(dropout(KEY, x, 0.2)))(x)
    np.testing.assert_allclose(gradient, np.where(np.asarray(dropout(KEY, x, 0.2)) != 0, 1.25, 0))


def test_dtype_is_kept():
    for dtype in (jnp.bfloat16, jnp.float16, jnp.float32):
        assert dropout(KEY, jnp.ones((4, 4), dtype), 0.2).dtype == dtype


def test_vmap_over_keys_is_one_key_at_a_time():
    keys, x = jax.random.split(KEY, 3), jnp.ones((40, 30))
    together = jax.vmap(lambda key: dropout(key, x, 0.5))(keys)
    np.testing.assert_array_equal(together, np.stack([dropout(key, x, 0.5) for key in keys]))
