import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ali_jax import build
from ali_jax.models.layers import NONLINEARITIES, Layer, Row, append_channels, maxout


@pytest.mark.parametrize("norm", [True, False], ids=["batch_norm", "bias"])
def test_gradients_of_what_is_broadcast_are_summed_in_float32(norm):
    """78,400 terms, of which a sum in bfloat16 forgets all after some hundreds; no compiler options."""
    h = 10 + jax.random.normal(jax.random.key(0), (100, 28, 28, 2))
    weights = 0.3 + (h - 10)  # of a loss: the gradient by the output
    row = Row("identity", 1, 1, 2, norm, 0.0, "linear", bias="none" if norm else "tied")

    def gradients(dtype):
        module = Layer(row, 0.5, 0.1, dtype)
        params = module.init(jax.random.key(0), h.astype(dtype), None, None, False)["params"]

        def loss(params, h):
            out, _ = module.apply({"params": params}, h, None, None, True, mutable=["batch_stats"])
            return jnp.sum(out.astype(jnp.float32) * weights)

        return jax.jit(jax.grad(loss, argnums=(0, 1)))(params, h.astype(dtype))

    (whole, of_h), (rounded, of_h_rounded) = gradients(jnp.float32), gradients(jnp.bfloat16)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0.02), whole, rounded)
    assert of_h_rounded.dtype == jnp.bfloat16
    # Of h, which is near 10, the last digit is 1 / 16.
    np.testing.assert_allclose(of_h_rounded.astype(np.float32), of_h, atol=1 / 16)


def layer(row, h, train=False, std=0.5):
    module = Layer(Row(*row), std, 0.1, jnp.float32)

    @jax.jit
    def run(h):
        variables = module.init(jax.random.key(0), h, None, None, False)
        outputs = module.apply(variables, h, None, None, train, rngs={"dropout": jax.random.key(1)})
        return outputs, variables.get("params", {})

    return run(h)


def test_dropout_falls_on_the_input_of_the_layer():
    """An identity row with dropout 0.5 returns its input doubled, or zero."""
    h = jnp.ones((100, 10))
    out, _ = layer(("identity", 1, 1, 10, False, 0.5, "linear"), h, train=True)
    assert set(np.unique(out)) == {0.0, 2.0}
    out, _ = layer(("identity", 1, 1, 10, False, 0.5, "linear"), h, train=False)
    np.testing.assert_array_equal(out, h)


def test_a_mean_is_of_all_positions_of_a_channel():
    h = jnp.arange(24.0).reshape(2, 2, 3, 2)  # of the first image, 0, 2, ..., 10 in a channel, 1, 3, ..., 11
    out, params = layer(("mean", 1, 1, 2, False, 0.0, "linear"), h)
    np.testing.assert_array_equal(out, [[[[5.0, 6.0]]], [[[17.0, 18.0]]]])
    assert not params


def test_noise_falls_on_the_input_of_the_layer_in_training():
    """An identity row returns its input with N(0, 0.3^2) added, in inference as it came."""
    h = jnp.full((200, 50), 2.0)
    row = ("identity", 1, 1, 50, False, 0.0, "linear", "none", 0.3)
    out, _ = layer(row, h, train=True)
    assert len(np.unique(out)) > 9900  # every element has noise of its own
    np.testing.assert_allclose([np.mean(out), np.std(out)], [2.0, 0.3], atol=0.01)
    out, _ = layer(row, h, train=False)
    np.testing.assert_array_equal(out, h)


def test_dropout_and_noise_of_a_layer_are_drawn_apart():
    h = jnp.ones((100, 10))
    out, _ = layer(("identity", 1, 1, 10, False, 0.5, "linear", "none", 0.01), h, train=True)
    dropped = np.abs(out) < 0.1
    noise = np.asarray(out) - np.where(dropped, 0.0, 2.0)
    assert abs(noise[dropped].mean() - noise[~dropped].mean()) < 0.003  # 5 standard errors
    np.testing.assert_allclose(np.std(noise), 0.01, rtol=0.1)


@pytest.mark.parametrize(("bias", "shape"), [("tied", (4,)), ("untied", (3, 3, 4))])
def test_biases(bias, shape):
    h = jnp.ones((2, 5, 5, 3))
    _, params = layer(("convolution", 3, 1, 4, False, 0.0, "linear", bias), h)
    assert params["bias"].shape == shape


def test_a_dense_row_is_a_matrix_product_of_the_flattened_input():
    h = jax.random.normal(jax.random.key(0), (2, 3, 3, 2))
    out, params = layer(("dense", 1, 1, 5, False, 0.0, "linear", "none"), h)
    np.testing.assert_allclose(out, h.reshape(2, 18) @ params["kernel"], rtol=1e-6)
    assert set(params) == {"kernel"}


def test_kernels_are_normal_with_the_given_deviation_whatever_the_fan_in():
    for features in (200, 2000):
        row = ("dense", 1, 1, features, False, 0.0, "linear", "none")
        _, params = layer(row, jnp.ones((1, 300)), std=0.02)
        np.testing.assert_allclose(jnp.std(params["kernel"]), 0.02, rtol=0.02)


def test_nonlinearities():
    h = jnp.array([[-2.0, 1.0, 3.0, -1.0]])
    np.testing.assert_allclose(NONLINEARITIES["leaky_relu"](h, 0.1), [[-0.2, 1, 3, -0.1]])
    # Groups are of adjacent channels.
    np.testing.assert_allclose(NONLINEARITIES["maxout2"](h, 0.1), [[1, 3]])
    np.testing.assert_allclose(NONLINEARITIES["tanh"](h, 0.1), np.tanh(h), rtol=1e-6)
    np.testing.assert_allclose(NONLINEARITIES["softplus"](h, 0.1), np.log1p(np.exp(h)), rtol=1e-6)


def test_gradients_of_maxout_are_those_of_jax_to_the_second_order():
    """Of channels of which some are equal, too."""
    h = jnp.array([[1.0, 1.0, 2.0, -3.0], [0.5, -0.5, 4.0, 4.0]])

    def plain(h):
        return jnp.max(h.reshape(2, 2, 2), axis=-1)

    def slope(function):
        return jax.grad(lambda h: jnp.sum(jnp.sin(function(h))))

    def curvature(function):
        return jax.grad(lambda h: jnp.sum(jnp.square(slope(function)(h))))

    def ours(h):
        return maxout(h, 2)

    for of in (slope, curvature):
        np.testing.assert_allclose(of(ours)(h), of(plain)(h), rtol=1e-6)


def test_maxout_after_batch_normalisation_trains(tiny_config):
    """XLA may compute its input twice, rounded in two ways; by JAX's gradient of a maximum that is NaN."""
    tiny_config.model.discriminator_x = (Row("dense", 1, 1, 12, True, 0.2, "maxout2"),)
    tiny_config.model.discriminator_z = (Row("dense", 1, 1, 12, True, 0.2, "maxout2"),)
    game = build.game(tiny_config)
    batch = {"x": np.random.default_rng(0).integers(0, 256, (16, 8, 8, 1), dtype=np.uint8)}
    state = jax.jit(game.init)(jax.random.key(0), batch=batch)
    for _ in range(2):
        state, metrics = jax.jit(game.step)(state, batch)
    assert np.isfinite([*metrics.values()]).all()


def test_append_channels_repeats_them_at_every_position():
    out = append_channels(jnp.zeros((2, 3, 3, 1)), jnp.array([[1.0, 2.0], [3.0, 4.0]]))
    assert out.shape == (2, 3, 3, 3)
    np.testing.assert_array_equal(out[1, 2, 0], [0, 3, 4])
