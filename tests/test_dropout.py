"""Dropout: its probability, its scale, and that its masks are independent in every direction."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ali_jax.models.dropout import dropout

SHAPE = (100, 14, 14, 32)
KEY = jax.random.key(7)
RATES = [0.2, 0.5]


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


@pytest.mark.parametrize("rate", RATES)
def test_scales_what_it_keeps_so_that_the_mean_stays(rate):
    x = jax.random.normal(jax.random.key(1), SHAPE) + 3
    y = np.asarray(dropout(KEY, x, rate))
    np.testing.assert_allclose(y[y != 0], np.asarray(x)[y != 0] / (1 - rate), rtol=1e-6)
    assert abs(y.mean() / x.mean() - 1) < 0.005


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("axis", range(4))
def test_neighbours_are_independent(rate, axis):
    mask = kept(KEY, rate)
    for lag in (1, 2, 3, 4, 8):
        products = np.take(mask, range(lag, SHAPE[axis]), axis) * np.take(
            mask, range(SHAPE[axis] - lag), axis
        )
        assert sigmas(products) < 5, f"lag {lag}"


@pytest.mark.parametrize("rate", RATES)
def test_keys_are_independent(rate):
    # Of two parents: fold_in(key, i) is split(key)[i].
    split = jax.random.split(jax.random.key(8), 3)
    keys = [KEY, *split, *(jax.random.fold_in(KEY, i) for i in range(4))]
    masks = [kept(key, rate) for key in keys]
    for i, one in enumerate(masks):
        for other in masks[:i]:
            assert sigmas(one * other) < 5


@pytest.mark.parametrize("rate", RATES)
def test_groups_of_eight_are_binomial(rate):
    counts = np.asarray(dropout(KEY, jnp.ones(SHAPE), rate) != 0).reshape(-1, 8).sum(1)
    observed = np.bincount(counts, minlength=9)
    choose = np.array([1, 8, 28, 56, 70, 56, 28, 8, 1])
    k = np.arange(9)
    expected = counts.size * choose * (1 - rate) ** k * rate ** (8 - k)
    enough = expected > 5
    chi_square = ((observed - expected) ** 2 / expected)[enough].sum()
    freedom = enough.sum() - 1
    assert chi_square < freedom + 5 * np.sqrt(2 * freedom)


def test_rate_zero_is_the_identity():
    x = jnp.ones((2, 3))
    assert dropout(KEY, x, 0) is x


@pytest.mark.parametrize("rate", [-0.1, 1, 1.5, float("nan")])
def test_rate_outside_zero_to_one_is_refused(rate):
    with pytest.raises(ValueError, match=r"^dropout: the rate is .*\.$"):
        dropout(KEY, jnp.ones(3), rate)


def test_gradient_goes_where_the_value_went():
    x = jax.random.normal(jax.random.key(1), (50, 40))
    gradient = jax.grad(lambda x: jnp.sum(dropout(KEY, x, 0.2)))(x)
    np.testing.assert_allclose(gradient, np.where(np.asarray(dropout(KEY, x, 0.2)) != 0, 1.25, 0))


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32])
def test_dtype_is_kept(dtype):
    assert dropout(KEY, jnp.ones((4, 4), dtype), 0.2).dtype == dtype


def test_vmap_over_keys_is_one_key_at_a_time():
    keys, x = jax.random.split(KEY, 3), jnp.ones((40, 30))
    together = jax.vmap(lambda key: dropout(key, x, 0.5))(keys)
    np.testing.assert_array_equal(together, np.stack([dropout(key, x, 0.5) for key in keys]))


@pytest.mark.parametrize("impl", ["rbg", "unsafe_rbg"])
def test_keys_of_four_words(impl):
    one, other = (kept(jax.random.key(seed, impl=impl), 0.2) for seed in (0, 1))
    assert sigmas(one) < 5
    assert sigmas(one * other) < 5


EIGHT_DEVICES = """
import sys
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from ali_jax.models.dropout import dropout

assert jax.device_count() == 8
mesh = jax.make_mesh((8,), ("data",))
x = jax.device_put(jnp.ones((64, 5, 5, 8)), NamedSharding(mesh, PartitionSpec("data")))
y = jax.jit(lambda x: dropout(jax.random.key(7), x, 0.2))(x)
assert len(y.sharding.device_set) == 8
np.save(sys.argv[1], y)
"""


def test_eight_devices_draw_the_mask_of_one(tmp_path):
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    file = tmp_path / "mask.npy"
    subprocess.run([sys.executable, "-c", EIGHT_DEVICES, str(file)], env=environment, check=True)
    on_one = dropout(jax.random.key(7), jnp.ones((64, 5, 5, 8)), 0.2)
    np.testing.assert_array_equal(np.load(file), on_one)
