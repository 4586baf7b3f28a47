import jax
import jax.numpy as jnp
import numpy as np

from ali_jax import build


def test_the_learning_rate_decays_to_zero_after_its_share_of_the_steps(tiny_config):
    tiny_config.learning_rate, tiny_config.num_steps, tiny_config.decay_after = 0.1, 10, 0.6
    adam = build.optimizers(tiny_config).generator
    params, sizes = jnp.zeros(()), []
    state = adam.init(params)
    for _ in range(11):  # Adam's step on a constant gradient is the rate itself.
        update, state = adam.update(jnp.ones(()), state, params)
        sizes.append(-float(update))
    np.testing.assert_allclose(sizes, [0.1] * 7 + [0.075, 0.05, 0.025, 0], atol=1e-6)


def test_weight_decay_adds_the_parameter_to_its_gradient(tiny_config):
    """Adam's first step is the rate in the direction of what it is given."""
    tiny_config.learning_rate, tiny_config.weight_decay = 0.1, 0.5
    adam = build.optimizers(tiny_config).encoder
    params = jnp.array([4.0, -4.0, 4.0])
    update, _ = adam.update(jnp.array([0.0, 0.0, -2.0]), adam.init(params), params)
    np.testing.assert_allclose(update, [-0.1, 0.1, 0.0], atol=1e-6)


def test_the_average_is_the_mean_of_few_steps_and_an_exponential_one_of_many(tiny_config):
    tiny_config.average_rate = 0.25
    x = jax.random.uniform(jax.random.key(0), (16, 8, 8, 1))
    state = build.init(tiny_config)(jax.random.key(1), batch={"x": x})
    step, kernels, averages = jax.jit(build.step(tiny_config)), [], []
    for _ in range(6):
        state, _ = step(state, {"x": x})
        for kept, params in ((kernels, state.params), (averages, state.average[0])):
            kept.append(np.asarray(params.encoder["stack"]["layer_1"]["kernel"]))
    np.testing.assert_allclose(averages[3], np.mean(kernels[:4], axis=0), atol=1e-6)
    np.testing.assert_allclose(averages[5], 0.75 * averages[4] + 0.25 * kernels[5], atol=1e-6)
