import functools
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import load_config
from helpers import begun

from ali_jax import build, train
from ali_jax.errors import UserError
from ali_jax.models import Encoding, judgement
from ali_jax.run import devices
from ali_jax.terms import Players, Round, bind, needs_of
from ali_jax.terms.penalties import due, r1, r2, settled

KEY = jax.random.key(0)
X, Z = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0], [-1.0]])


def judge(x, z, key, slope=1.0):
    """s = slope (x1^2 + 3 x2 + 2 z): its slope is (2 x1, 3) in x and 2 in z."""
    return judgement((slope * (x[:, 0] ** 2 + 3 * x[:, 1] + 2 * z[:, 0]))[:, None])


def round_of(step=0):
    encoding = Encoding(jnp.asarray(Z), None, None)
    return Round(
        {}, jnp.asarray(X), None, jnp.asarray(Z), 2 * jnp.asarray(X), None, encoding, jnp.int32(step)
    )


def test_the_penalties_are_the_mean_squared_slopes_at_real_and_at_generated_pairs():
    players = Players(None, None, judge)
    real = np.mean(4 * X[:, 0] ** 2 + 9 + 4)
    generated = np.mean(4 * (2 * X[:, 0]) ** 2 + 9 + 4)
    np.testing.assert_allclose(r1(round_of(), players, KEY, gamma=0.2).d, 0.1 * real, rtol=1e-6)
    np.testing.assert_allclose(r2(round_of(), players, KEY, gamma=0.2).d, 0.1 * generated, rtol=1e-6)
    assert r1(round_of(), players, KEY).ge is None


@pytest.mark.parametrize("step", [0, 1, 4])
def test_applied_every_few_steps_the_penalty_is_as_many_times_as_heavy(step):
    players = Players(None, None, judge)
    each = r1(round_of(step), players, KEY, gamma=0.2).d
    seldom = r1(round_of(step), players, KEY, gamma=0.2, every=4).d
    np.testing.assert_allclose(seldom, 4 * each if step % 4 == 0 else 0.0, rtol=1e-6)


def test_without_an_encoder_the_penalties_are_of_x_alone():
    def judge_x(x, z, key):
        assert z is None
        return judge(x, 0 * x, key)

    players, round = Players(None, None, judge_x), round_of()._replace(encoding=None)
    real, generated = (np.mean(4 * (scale * X[:, 0]) ** 2 + 9) for scale in (1, 2))
    np.testing.assert_allclose(r1(round, players, KEY, gamma=0.2).d, 0.1 * real, rtol=1e-6)
    np.testing.assert_allclose(r2(round, players, KEY, gamma=0.2).d, 0.1 * generated, rtol=1e-6)


def test_the_penalties_play_in_a_plain_gan():
    config = load_config("mixture", "gan")
    config.terms = {"adversarial": {}, "r1": {}, "r2": {}}
    game = build.game(config)
    batch = {"x": jax.ShapeDtypeStruct((8, 2), jnp.float32)}
    assert {"loss_r1", "loss_r2"} < jax.eval_shape(game.step, game.shapes, batch)[1].keys()


@pytest.mark.parametrize("every", [0, 1.5])
def test_a_number_of_steps_that_is_none_is_named(every):
    with pytest.raises(UserError, match=f"every .* is {every}; it must be a whole number in \\[1, "):
        r1(round_of(), Players(None, None, judge), KEY, every=every)


@pytest.mark.parametrize("every", [1, 2])
def test_d_learns_of_its_own_slope(every):
    """d/da of gamma / 2 a^2 s^2 is gamma a s^2."""

    def loss(slope):
        return r1(
            round_of(),
            Players(None, None, lambda *of: judge(*of, slope=slope)),
            KEY,
            gamma=0.2,
            every=every,
        ).d

    np.testing.assert_allclose(
        jax.grad(loss)(2.0), every * 0.2 * 2 * np.mean(4 * X[:, 0] ** 2 + 13), rtol=1e-6
    )


def test_penalties_play_with_the_networks_and_leave_g_and_e_alone(tiny_config):
    """With R1 and R2 alone, D learns and nobody else does."""
    tiny_config.terms = {"r1": {"gamma": 1.0, "every": 2}, "r2": {"gamma": 1.0}}
    tiny_config.model.init_std = 0.3
    game, state, batch = begun(tiny_config)
    after, metrics = jax.jit(game.step)(state, batch)
    moved = jax.tree.map(lambda a, b: bool(np.any(a != b)), after.params, state.params)
    assert any(jax.tree.leaves(moved.discriminator))
    assert not any(jax.tree.leaves((moved.generator, moved.encoder)))
    assert metrics["loss_r1"] > 0 and metrics["loss_r2"] > 0
    _, metrics = jax.jit(game.step)(after, batch)
    assert metrics["loss_r1"] == 0 and metrics["loss_r2"] > 0


def test_seldom_penalties_play_where_numbers_are_float64_by_default(tiny_config):
    """As by JAX_ENABLE_X64: both branches give float32."""
    with jax.enable_x64(True):
        tiny_config.terms = {"adversarial": {}, "r1": {"every": 2}}
        game, state, batch = begun(tiny_config)
        _, metrics = jax.jit(game.step)(state, batch)
    assert metrics["loss_r1"] > 0 and metrics["loss_r1"].dtype == np.float32


def test_penalties_that_are_due_are_known_by_the_number_of_the_step():
    named = {"adversarial": {}, "r1": {"every": 4}, "r2": {"every": 2}}
    assert [due(named, step) for step in range(5)] == [("r1", "r2"), (), ("r2",), (), ("r1", "r2")]
    assert due(named, 0, count=20) is None
    assert due({"r1": {}, "r2": {"every": 1}}, 0) is due({"my_terms:pull": {"every": 2}}, 0) is None


@pytest.mark.parametrize("step", [0, 1, 4])
def test_where_the_step_is_known_the_penalty_is_the_same_without_a_branch(step):
    players, settings = Players(None, None, judge), {"r1": {"gamma": 0.2, "every": 4}, "r2": {}}
    terms = bind(settings)
    known = settled(terms, due(settings, step))
    assert needs_of(known) == needs_of(terms)

    def shares(terms, round):
        return [terms[name](round, players, KEY).d for name in terms]

    np.testing.assert_array_equal(shares(known, round_of(step)), shares(terms, round_of(step)))
    assert "cond" in str(jax.make_jaxpr(functools.partial(shares, terms))(round_of(step)))
    assert "cond" not in str(jax.make_jaxpr(functools.partial(shares, known))(round_of(step)))


def test_the_trainer_says_which_penalties_are_due(tiny_config):
    tiny_config.terms = {"adversarial": {}, "r1": {"every": 2}}
    tiny_config.num_steps, said = 4, []

    def run_steps(state, batches, due):
        said.append(due)
        return state, {}

    nothing = types.SimpleNamespace(
        preempted=lambda call: False,
        **dict.fromkeys(("save", "wait", "after", "before_save"), lambda *of: None),
    )
    batches = 4 * [{"x": np.zeros((2, 8, 8, 1), np.uint8)}]
    train.loop(tiny_config, run_steps, batches, devices.make_mesh(), 1, None, nothing, nothing)
    assert said == [(), ("r1",), ()]  # of the steps after 1, 2 and 3
