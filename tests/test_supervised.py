import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ali_jax import build
from ali_jax import config as config_lib
from ali_jax.supervised import supervised_step


@pytest.fixture
def players_and_state(tiny_config):
    config_lib.make_semi_supervised(tiny_config, "supervised", num_classes=10, labelled=8, unlabelled=0)
    batch = {"x": jax.random.uniform(jax.random.key(0), (8, 8, 8, 1)), "label": jnp.arange(8)}
    return (
        build.players(tiny_config),
        build.init(tiny_config)(jax.random.key(1), batch=batch),
        batch,
    )


def test_a_step_descends_the_cross_entropy_of_the_discriminator(players_and_state):
    players, state, batch = players_and_state
    players["optimizers"] = players["optimizers"]._replace(discriminator=optax.sgd(1.0))
    opt_state = state.opt_state._replace(
        discriminator=players["optimizers"].discriminator.init(state.params.discriminator)
    )
    state = state._replace(opt_state=opt_state)
    after, metrics = supervised_step(state, batch, **players)

    def cross_entropy(params):
        variables = {"params": params, "batch_stats": state.batch_stats.discriminator}
        key = jax.random.fold_in(state.key, state.step)
        logits, _ = players["networks"].discriminator.apply(
            variables, batch["x"], None, train=True, mutable=["batch_stats"], rngs={"dropout": key}
        )
        return -jnp.mean(jax.nn.log_softmax(logits)[jnp.arange(8), batch["label"]])

    loss, grad = jax.value_and_grad(cross_entropy)(state.params.discriminator)
    np.testing.assert_allclose(metrics["loss_discriminator"], loss, rtol=1e-6)
    expected = jax.tree.map(lambda p, g: p - g, state.params.discriminator, grad)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), after.params.discriminator, expected
    )


def test_the_generator_stays_as_it_is(players_and_state):
    players, state, batch = players_and_state
    after, _ = supervised_step(state, batch, **players)
    jax.tree.map(np.testing.assert_array_equal, after.params.generator, state.params.generator)
    assert int(after.step) == 1
