import jax
import jax.numpy as jnp
import numpy as np

from ali_jax import from_config


def test_the_learning_rate_decays_to_zero_after_its_share_of_the_steps(tiny_config):
    tiny_config.learning_rate, tiny_config.num_steps, tiny_config.decay_after = 0.1, 10, 0.6
    adam = from_config.optimizers(tiny_config).generator
    params, sizes = jnp.zeros(()), []
    state = adam.init(params)
    for _ in range(11):  # Adam's step on a constant gradient is the rate itself.
        update, state = adam.update(jnp.ones(()), state, params)
        sizes.append(-float(update))
    np.testing.assert_allclose(sizes, [0.1] * 7 + [0.075, 0.05, 0.025, 0], atol=1e-6)


def test_the_average_is_the_mean_of_few_steps_and_an_exponential_one_of_many(tiny_config):
    tiny_config.average_rate = 0.25
    x = jax.random.uniform(jax.random.key(0), (16, 8, 8, 1))
    state = from_config.init(tiny_config)(jax.random.key(1), batch={"x": x})
    step, kernels, averages = jax.jit(from_config.step(tiny_config)), [], []
    for _ in range(6):
        state, _ = step(state, {"x": x})
        for kept, params in ((kernels, state.params), (averages, state.average[0])):
            kept.append(np.asarray(params.encoder["stack"]["layer_1"]["kernel"]))
    np.testing.assert_allclose(averages[3], np.mean(kernels[:4], axis=0), atol=1e-6)
    np.testing.assert_allclose(averages[5], 0.75 * averages[4] + 0.25 * kernels[5], atol=1e-6)
