"""Weight-normalised kernels, and their start on data."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ali_jax import build, models
from ali_jax.errors import UserError
from ali_jax.models import Row, Stack
from ali_jax.models.rows import dense
from ali_jax.models.weight_norm import first_bias, first_scale, unit_columns
from ali_jax.roles import Roles, variables


def test_columns_by_hand():
    """(3, 4) becomes (0.6, 0.8), zeros stay; of a transposed kernel the columns lie along another axis."""
    kernel = jnp.array([[3.0, 0.0], [4.0, 0.0]])
    np.testing.assert_allclose(unit_columns(kernel, -1), [[0.6, 0], [0.8, 0]], rtol=1e-6)
    np.testing.assert_allclose(unit_columns(kernel.T, 0), [[0.6, 0.8], [0, 0]], rtol=1e-6)


def test_gradients_are_finite_at_zeros_and_at_right_angles_to_columns():
    """Equation 3 of Salimans & Kingma (2016): no gradient along the column itself."""
    kernel = jax.random.normal(jax.random.key(0), (3, 3, 4, 6))
    gradient = jax.grad(lambda k: jnp.sum(jnp.sin(unit_columns(k, -1))))(kernel)
    np.testing.assert_allclose(jnp.sum(gradient * kernel, axis=(0, 1, 2)), 0, atol=1e-5)
    assert np.abs(gradient).max() > 0.01
    assert np.isfinite(jax.grad(lambda k: jnp.sum(unit_columns(k, -1)))(jnp.zeros((3, 2)))).all()


def test_the_start_by_hand():
    """Of the channels (1, 3) and (5, 5): means 2 and 5, deviations 1 and 0, of which the latter stays."""
    h = jnp.array([[1.0, 5.0], [3.0, 5.0]])
    np.testing.assert_allclose(first_scale(h), [1, 1], rtol=1e-6)
    np.testing.assert_allclose(first_scale(4 * h), [0.25, 1], rtol=1e-6)
    np.testing.assert_allclose(first_bias(h), [-2, -5], rtol=1e-6)
    one = jnp.full((1, 3, 3, 2), 7.0)  # one example says nothing
    np.testing.assert_array_equal(first_scale(one), [1, 1])
    np.testing.assert_array_equal(first_bias(one), [0, 0])


ROWS = (
    Row("convolution", 3, 1, 4, False, 0.0, "relu", "tied"),
    Row("transposed", 2, 2, 3, False, 0.0, "relu", "untied"),
    Row("identity", 1, 1, 3, False, 0.0, "linear"),
    Row("dense", 1, 1, 6, True, 0.0, "relu"),
    Row("dense", 1, 1, 2, False, 0.0, "linear", "tied"),
)


def begun(x, dtype=jnp.float32, init_std=0.5):
    stack = Stack(ROWS, init_std, 0.1, dtype, weight_norm=True)
    return stack, stack.init({"params": jax.random.key(1), "dropout": jax.random.key(2)}, x, train=True)


def outputs(stack, variables, x):
    """What each layer gives before its nonlinearity, in training."""
    _, seen = stack.apply(variables, x, train=True, mutable=["intermediates", "batch_stats"])
    return [layer["output"][0] for layer in seen["intermediates"].values()]


def test_every_channel_starts_with_mean_0_and_deviation_1():
    x = 3 + 2 * jax.random.normal(jax.random.key(0), (40, 6, 6, 2))
    stack, variables = begun(x)
    seen = outputs(stack, variables, x)
    for number in (1, 2, 5):
        h = seen[number - 1].reshape(-1, ROWS[number - 1].features)
        np.testing.assert_allclose(np.mean(h, 0), 0, atol=1e-4)
        np.testing.assert_allclose(np.std(h, 0), 1, rtol=1e-3)


def test_the_last_layer_alone_learns_its_scale():
    """The others' stays as it started; what has no kernel, or divides by any scale, has none."""
    _, variables = begun(jax.random.normal(jax.random.key(0), (40, 6, 6, 2)))
    params, stats = variables["params"], variables["batch_stats"]
    assert [name for name, layer in params.items() if "scale" in layer] == ["layer_5"]
    assert [name for name, layer in stats.items() if "scale" in layer] == ["layer_1", "layer_2"]


def test_the_length_of_columns_does_not_matter():
    x = jax.random.normal(jax.random.key(0), (40, 6, 6, 2))
    stack, variables = begun(x)
    longer = jax.tree_util.tree_map_with_path(
        lambda path, a: 7 * a if path[-1].key == "kernel" else a, variables["params"]
    )
    for h, h_longer in zip(
        outputs(stack, variables, x), outputs(stack, variables | {"params": longer}, x), strict=True
    ):
        np.testing.assert_allclose(h, h_longer, rtol=1e-3, atol=1e-3)


def test_in_bfloat16_the_start_is_close_to_float32s():
    x = jax.random.normal(jax.random.key(0), (40, 6, 6, 2))
    (_, full), (stack, half) = begun(x), begun(x, jnp.bfloat16)
    assert outputs(stack, half, x)[0].dtype == jnp.bfloat16
    assert {leaf.dtype for leaf in jax.tree.leaves(half)} == {jnp.dtype("float32")}
    np.testing.assert_allclose(
        full["batch_stats"]["layer_1"]["scale"], half["batch_stats"]["layer_1"]["scale"], rtol=0.05
    )


@pytest.fixture
def normed(tiny_config):
    """D and G weight normalised, with batch normalisation and dropout where they were."""
    tiny_config.model.weight_norm = ("generator", "discriminator_z", "discriminator_joint")
    return tiny_config


def images(count):
    return {"x": np.random.default_rng(0).integers(0, 256, (count, 8, 8, 1), dtype=np.uint8)}


def test_a_game_starts_on_its_examples_and_trains(normed):
    """Where more than one is given; then what can be learned moves."""
    normed.average_rate = 0.1
    game = build.game(normed)
    first = state = jax.jit(game.init)(jax.random.key(0), batch=images(256))
    one = jax.jit(game.init)(jax.random.key(0), batch=images(1))
    assert jax.tree.map(jnp.shape, state) == jax.tree.map(jnp.shape, one)
    of_z, of_z_by_one = (s.params.discriminator["z_stack"]["layer_1"] for s in (first, one))
    np.testing.assert_array_equal(of_z_by_one["scale"], 1)
    assert np.all(np.abs(of_z["scale"] - 1) > 1e-3)
    step = jax.jit(game.step)
    for _ in range(3):
        state, metrics = step(state, images(16))
        assert not [name for name, value in metrics.items() if not np.isfinite(value)]
    before, after = (s.params.discriminator["z_stack"]["layer_1"] for s in (first, state))
    for name in ("kernel", "bias", "scale"):
        assert not np.allclose(before[name], after[name], rtol=0, atol=1e-6)


def test_twins_start_as_they_are_in_training(tiny_config):
    """Of D_zz with batch normalisation, whose running statistics say nothing yet."""
    tiny_config.model.discriminator_zz = (dense(32, norm=True), dense(1, nonlinearity="linear"))
    tiny_config.model.weight_norm = ("discriminator_zz",)
    networks = models.build(tiny_config.model)
    x = images(256)["x"] / np.float32(255)
    keys = Roles(*jax.random.split(jax.random.key(0), 3))
    params, stats = jax.jit(lambda: models.initialize(networks, keys, x, None))()
    z = networks.generator.sample_prior(jax.random.key(1), 256)
    of_d = variables(params, stats, "discriminator")
    options = {"method": "compare", "train": True, "mutable": ["batch_stats"]}
    judged, _ = jax.jit(lambda: networks.discriminator.apply(of_d, "zz", z, z, **options))()
    assert 0.7 < np.std(judged.score) < 1.4 and abs(np.mean(judged.score)) < 0.3


def test_an_encoder_starts_as_it_is_in_training(tiny_config):
    """Of E with batch normalisation, whose running statistics say nothing yet."""
    tiny_config.model.weight_norm = ("encoder",)
    game = build.game(tiny_config)
    assert any(Row(*row).norm for row in tiny_config.model.encoder)
    state = jax.jit(game.init)(jax.random.key(0), batch=images(256))
    _, metrics = jax.jit(game.step)(state, images(256))
    assert 0.7 < metrics["mu_std"] < 1.4 and metrics["sigma_max"] < 100


def test_packs_start_as_packs(normed):
    normed.model.packing = 2
    for count in (1, 7, 8):
        state = jax.jit(build.game(normed).init)(jax.random.key(0), batch=images(count))
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state.params))


def test_two_norms_of_one_stack_are_refused(normed):
    with pytest.raises(UserError, match="both name discriminator_z"):
        models.build({**normed.model.to_dict(), "spectral_norm": ("discriminator_z",)})


def test_a_stack_that_there_is_not_is_named(tiny_config):
    with pytest.raises(UserError, match=r"config\.model\.weight_norm is .* here of encoder, generator, "):
        models.build({**tiny_config.model.to_dict(), "weight_norm": ("discriminator_y",)})
