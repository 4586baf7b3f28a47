"""What a pass hands to D."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import make_conditional_config, play

from ali_jax import build
from ali_jax.errors import UserError
from ali_jax.models import judgement
from ali_jax.players import BoundNetworks


@pytest.mark.parametrize("m", [1, 2])
def test_D_sees_both_pairs_of_an_example_with_its_attributes(m):
    """Packs of m pairs (x_i, E(x_i)) and of m pairs (G(z_i), z_i) are in turn: each m attribute vectors come
    twice in a row.
    """
    config = make_conditional_config(1, 1, 3)
    random = np.random.default_rng(0)
    x = random.random((4, 1, 1, 3), dtype=np.float32)
    attributes = random.integers(2, size=(4, 40), dtype=np.uint8)
    batch = {"x": x, "attributes": attributes}
    game = build.game(config)
    state = jax.jit(game.init)(jax.random.key(0), batch=batch)
    given = {}

    class Records:
        packing = m

        def apply(self, variables, x, z, condition, **kwargs):
            given.update(x=x, z=z, condition=condition)
            logits = jnp.zeros((len(x) // m, 1))
            return judgement(logits, hidden=logits), {}

    networks = game.networks
    with jax.disable_jit():  # it records arrays
        play(networks._replace(discriminator=Records()), state.params, state, batch)

    def of_kind(name, which):
        packs = given[name].reshape(-1, 2, m, *given[name].shape[1:])
        return packs[:, which].reshape(-1, *given[name].shape[1:])

    for which in (0, 1):
        np.testing.assert_array_equal(of_kind("condition", which), attributes)
    np.testing.assert_array_equal(of_kind("x", 0), x)
    # G made each of its images from the z and the attributes that D sees beside it.
    z = of_kind("z", 1)
    from_z = networks.generator.apply({"params": state.params.generator}, z, attributes)
    np.testing.assert_allclose(of_kind("x", 1), from_z, rtol=1e-5)
    assert not np.allclose(from_z[0], from_z[1])


def test_the_average_judges_and_does_not_learn(tiny_config):
    """With its own statistics of the batch and the dropout of the key, as the parameters themselves do."""
    game = build.game(tiny_config)
    x, key = jax.random.uniform(jax.random.key(2), (4, 8, 8, 1)), jax.random.key(3)
    z = jax.random.normal(key, (4, 3))
    first, second = (jax.jit(game.init)(jax.random.key(seed), batch={"x": x}) for seed in range(2))
    statistics, first, second = first.batch_stats, first.params, second.params

    @functools.partial(jax.jit, static_argnames="averaged")
    def score(params, average=None, averaged=False):
        bound = BoundNetworks(game.networks, params, statistics, average=average)
        return bound.players().judge(x, z, key, among=(1 - x, -z), averaged=averaged).score

    of_average = score(first, second, averaged=True)
    np.testing.assert_array_equal(of_average, score(second))
    assert not np.allclose(of_average, score(first, second))
    learned = jax.grad(lambda params: score(params, second, averaged=True).sum())(first)
    assert all(np.all(leaf == 0) for leaf in jax.tree.leaves(learned))
    # As where parameters are bfloat16, whose average is float32.
    halves = jax.tree.map(lambda p: p.astype(jnp.bfloat16), first)
    assert score(halves, second, averaged=True).dtype == score(halves).dtype
    with pytest.raises(UserError, match=r"averaged parameters, and none are kept; set config\.average_rate"):
        score(first, averaged=True)
