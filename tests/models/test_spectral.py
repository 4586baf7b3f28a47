"""The largest singular values of spectrally normalised kernels."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ali_jax import build, models
from ali_jax.errors import UserError
from ali_jax.models import Row, Stack
from ali_jax.models.spectral import normalise, unit


def largest_singular_value(kernel, axis=-1):
    matrix = np.moveaxis(np.asarray(kernel), axis, -1)
    return np.linalg.svd(matrix.reshape(-1, matrix.shape[-1]), compute_uv=False)[0]


def test_one_step_equals_hand_computed_numbers():
    """W = diag(3, 1), u = (1, 1): v is along (3, 1), the next u along (9, 1), sigma 82 / sqrt(820)."""
    normalised, u = normalise(jnp.diag(jnp.array([3.0, 1.0])), jnp.ones(2), -1)
    np.testing.assert_allclose(u, np.array([9, 1]) / np.sqrt(82), rtol=1e-6)
    np.testing.assert_allclose(normalised, np.diag([3, 1]) / np.sqrt(8.2), rtol=1e-6)


@pytest.mark.parametrize(("shape", "axis"), [((30, 12), -1), ((3, 3, 4, 6), -1), ((3, 3, 6, 4), -2)])
def test_many_steps_find_the_largest_singular_value(shape, axis):
    kernel = jax.random.normal(jax.random.key(0), shape)
    step = jax.jit(functools.partial(normalise, kernel, axis=axis))
    u = jax.random.normal(jax.random.key(1), (shape[axis],))
    for _ in range(300):
        normalised, u = step(u)
    np.testing.assert_allclose(kernel / normalised, largest_singular_value(kernel, axis), rtol=1e-4)


def test_the_length_of_u_does_not_matter():
    """So that the mean of the u of several steps serves as well as one of them."""
    kernel, u = jax.random.normal(jax.random.key(0), (5, 4)), jnp.arange(1.0, 5.0)
    for one, other in zip(normalise(kernel, u, -1), normalise(kernel, 0.1 * u, -1), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)


def test_gradients_take_u_and_v_for_constants():
    """Equation 12 of Miyato et al. (2018): (A - <A, W / sigma> v u^T) / sigma, of the cotangent A."""
    w, a = jax.random.normal(jax.random.key(0), (2, 5, 4))
    u0 = jnp.array([1.0, -1.0, 0.5, 2.0])
    gradient = jax.grad(lambda w: jnp.sum(a * normalise(w, u0, -1)[0]))(w)
    v = unit(w @ u0)
    u = unit(v @ w)
    sigma = v @ w @ u
    expected = (a - jnp.sum(a * w) / sigma * jnp.outer(v, u)) / sigma
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-6)


def test_a_kernel_of_zeros_stays_finite():
    value, u = normalise(jnp.zeros((3, 2)), jnp.ones(2), -1)
    np.testing.assert_array_equal(value, 0)
    assert np.isfinite(u).all()


ROWS = (
    Row("convolution", 3, 1, 4, True, 0.0, "linear"),
    Row("transposed", 2, 1, 3, False, 0.0, "linear", "untied"),
    Row("dense", 1, 1, 2, False, 0.0, "linear", "tied"),
)


def stacks(**options):
    return [Stack(ROWS, 0.5, 0.1, jnp.float32, spectral_norm=s, **options) for s in (False, True)]


def test_it_divides_kernels_and_nothing_else():
    """An ordinary stack whose kernels are divided beforehand gives the same."""
    x = jax.random.normal(jax.random.key(0), (5, 6, 6, 2))
    plain, spectral = stacks()
    before, variables = (stack.init(jax.random.key(1), x) for stack in (plain, spectral))
    jax.tree.map(np.testing.assert_array_equal, before["params"], variables["params"])
    params = jax.tree.map(lambda a: a + 0.1, variables["params"])  # biases and norms that matter
    divided = {name: dict(layer) for name, layer in params.items()}
    for name, axis in (("layer_1", -1), ("layer_2", -2), ("layer_3", -1)):
        u = variables["batch_stats"][name]["u"]
        assert u.shape == (params[name]["kernel"].shape[axis],)
        divided[name]["kernel"] = normalise(params[name]["kernel"], u, axis)[0]
    out = spectral.apply(variables | {"params": params}, x)
    np.testing.assert_allclose(out, plain.apply(before | {"params": divided}, x), rtol=1e-4, atol=1e-5)


def test_u_moves_in_training_alone():
    x = jnp.ones((5, 6, 6, 2))
    _, stack = stacks()
    variables = stack.init(jax.random.key(1), x)
    _, after = stack.apply(variables, x, train=True, mutable=["batch_stats"])
    for name in ("layer_1", "layer_2", "layer_3"):
        assert not np.allclose(after["batch_stats"][name]["u"], variables["batch_stats"][name]["u"])
    _, sown = stack.apply(variables, x, mutable=["intermediates"])
    assert set(sown) == {"intermediates"} and "output" in sown["intermediates"]["layer_1"]


def test_runs_side_by_side_equal_runs_one_by_one():
    x = jax.random.normal(jax.random.key(0), (5, 6, 6, 2))
    _, stack = stacks()

    @jax.jit
    def run(key):
        variables = stack.init(key, x)
        return stack.apply(variables, x, train=True, mutable=["batch_stats"])

    keys = jax.random.split(jax.random.key(1), 2)
    together = jax.vmap(run)(keys)
    for i in range(2):
        jax.tree.map(
            lambda a, b, i=i: np.testing.assert_allclose(a[i], b, rtol=1e-4, atol=1e-5),
            together,
            run(keys[i]),
        )


def test_in_bfloat16_the_singular_values_are_float32s():
    x = jax.random.normal(jax.random.key(0), (5, 6, 6, 2))
    (_, full), half = stacks(), Stack(ROWS, 0.5, 0.1, jnp.bfloat16, spectral_norm=True)
    variables = full.init(jax.random.key(1), x)
    outputs = [s.apply(variables, x, train=True, mutable=["batch_stats"]) for s in (full, half)]
    assert outputs[1][0].dtype == jnp.bfloat16
    for number in range(1, 4):
        u_full, u_half = (stats["batch_stats"][f"layer_{number}"]["u"] for _, stats in outputs)
        np.testing.assert_array_equal(u_full, u_half)
    np.testing.assert_allclose(outputs[0][0], outputs[1][0].astype(jnp.float32), rtol=0.1, atol=0.1)


def test_the_kernels_of_a_run_and_of_its_average_have_norm_1(tiny_config):
    """Within a tenth while they are trained, exactly after steps in which they rest."""
    stacks_of_d = ("x_stack", "z_stack", "joint_stack")
    tiny_config.model.spectral_norm = ("generator", *(f"discriminator_{s[:-6]}" for s in stacks_of_d))
    tiny_config.average_rate = 0.1
    batch = {"x": np.random.default_rng(0).integers(0, 256, (16, 8, 8, 1), dtype=np.uint8)}

    def norms(params, stats):
        pairs = [(params.generator["stack"], stats.generator["stack"])]
        pairs += [(params.discriminator[s], stats.discriminator[s]) for s in stacks_of_d]
        return [
            largest_singular_value(normalise(layer["kernel"], of_stack[name]["u"], -1)[0])
            for layers, of_stack in pairs
            for name, layer in layers.items()
        ]

    first = state = jax.jit(build.game(tiny_config).init)(jax.random.key(0), batch=batch)
    assert "u" not in state.batch_stats.encoder["stack"]["layer_1"]
    for rate, count, within in ((1e-4, 100, 0.1), (1e-12, 600, 1e-3)):
        tiny_config.learning_rate = rate
        step = jax.jit(build.game(tiny_config).step)
        for _ in range(count):
            state, _ = step(state, batch)
        for params, stats in ((state.params, state.batch_stats), state.average):
            np.testing.assert_allclose(norms(params, stats), np.ones(5), atol=within)
    kernels = [s.params.discriminator["x_stack"]["layer_1"]["kernel"] for s in (first, state)]
    assert np.abs(kernels[1] - kernels[0]).max() > 1e-3


@pytest.mark.parametrize(
    "names", ["discriminator_x", ("discriminator_y",), ("discriminator_xx",), ("x_shape",)]
)
def test_a_stack_that_there_is_not_is_named(tiny_config, names):
    with pytest.raises(UserError, match=r"config\.model\.spectral_norm is .* here of encoder, generator, "):
        models.build({**tiny_config.model.to_dict(), "spectral_norm": names})
