"""D of (x, x) against (x, G(E(x))) and of (z, z) against (z, E(G(z)))."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import make_conditional_config, play, untrained

from ali_jax import build, inference
from ali_jax.errors import UserError
from ali_jax.models import Encoding, judgement
from ali_jax.roles import variables
from ali_jax.terms import Comparison, Players, Round, Share, bind, needs, play_for
from ali_jax.terms.twins import adversarial_cycle_x, adversarial_cycle_z, code

S_REAL, S_GENERATED = jnp.array([2.0, -1.0]), jnp.array([0.5, -3.0])
KEY = jax.random.key(0)


def players_that_record(seen):
    """G adds 1, E multiplies by 10 (mu) or by 11 (a draw), and D gives the logits above."""

    def compare(twins, v, v2, key):
        seen[twins] = v, v2
        real, generated = (judgement(s[:, None]) for s in (S_REAL, S_GENERATED))
        return Comparison(real, generated, {f"{twins}_stack": "statistics"})

    return Players(
        generate=lambda z: z + 1,
        encode=lambda x, key: Encoding(11 * x, 10 * x, None),
        judge=None,
        compare=compare,
    )


X, Z = jnp.array([[1.0], [2.0]]), jnp.array([[3.0], [4.0]])
ROUND = Round({}, X, None, Z, x_tilde=Z + 1, encoding=Encoding(11 * X, 10 * X, None))


@pytest.mark.parametrize(
    ("term", "twins", "v", "by_draw", "by_mu"),
    [
        (adversarial_cycle_x, "xx", X, [[12], [23]], [[11], [21]]),
        (adversarial_cycle_z, "zz", Z, [[44], [55]], [[40], [50]]),
    ],
)
def test_losses_equal_hand_computed_numbers(term, twins, v, by_draw, by_mu):
    for draw, expected in ((True, by_draw), (False, by_mu)):
        seen = {}
        share = term(ROUND, players_that_record(seen), KEY, weight=2.0, draw=draw)
        np.testing.assert_array_equal(seen[twins], (v, expected))
        # The sums of softplus in tests/terms/test_pairs.py.
        np.testing.assert_allclose([share.d, share.ge], [2 * 1.231427, 2 * 2.981427], atol=1e-5)
        np.testing.assert_allclose(share.metrics[f"D_{twins}_real"], (0.880797 + 0.268941) / 2, atol=1e-6)
        np.testing.assert_allclose(
            share.metrics[f"D_{twins}_generated"], (0.622459 + 0.047426) / 2, atol=1e-6
        )
        assert share.batch_stats == {f"{twins}_stack": "statistics"}


def test_an_implicit_encoder_has_no_mu():
    assert code(Encoding(X, None, None), True) is X
    with pytest.raises(UserError, match=r"draw = False, .* there is no mu"):
        code(Encoding(X, None, None), False)


BATCH = {"x": np.random.default_rng(0).integers(0, 256, (16, 8, 8, 1), dtype=np.uint8)}
TWO_ROWS = (("dense", 1, 1, 6, True, 0.0, "leaky_relu"), ("dense", 1, 1, 1, False, 0.0, "linear", "tied"))


@pytest.fixture
def twins_config(tiny_config):
    tiny_config.model.discriminator_xx = tiny_config.model.discriminator_zz = TWO_ROWS
    tiny_config.model.init_std = 0.3
    tiny_config.terms = {"adversarial": {}, "adversarial_cycle_x": {}, "adversarial_cycle_z": {}}
    return tiny_config


def fresh(config):
    game = build.game(config)
    return game, jax.jit(game.init)(KEY, batch=BATCH)


def test_both_kinds_are_judged_as_one_batch_by_the_twins_stack(twins_config):
    game, state = fresh(twins_config)
    outcome = play(game.networks, state.params, state, BATCH)
    x, x2 = outcome.round.x, outcome.round.x_tilde
    compared = outcome.players.compare("xx", x, x2, KEY)
    params, stats = state.params.discriminator["xx_stack"], state.batch_stats.discriminator["xx_stack"]

    # By hand: a matrix product, batch normalisation over all 32 pairs, leaky ReLU, a matrix product.
    pairs = np.concatenate([np.concatenate([x, x], -1), np.concatenate([x, x2], -1)]).reshape(32, -1)
    h = pairs @ np.asarray(params["layer_1"]["kernel"])
    mean, std = h.mean(0), np.sqrt(h.var(0) + 1e-4)
    h = (h - mean) / std
    h = np.where(h > 0, h, game.networks.discriminator.xx_stack.leak * h)
    logits = (h @ np.asarray(params["layer_2"]["kernel"]))[:, 0]
    np.testing.assert_allclose(compared.real.score, logits[:16], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(compared.generated.score, logits[16:], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(compared.generated.hidden, h[16:], rtol=1e-3, atol=1e-4)
    norm = compared.batch_stats["xx_stack"]["layer_1"]["norm"]
    np.testing.assert_allclose(
        norm["mean"], 0.95 * stats["layer_1"]["norm"]["mean"] + 0.05 * mean, rtol=1e-4, atol=1e-5
    )
    assert set(compared.batch_stats) == {"xx_stack"}


def test_a_step_keeps_the_statistics_of_the_twins_and_of_the_round(twins_config):
    game, state = fresh(twins_config)
    after, metrics = jax.jit(game.step)(state, BATCH)
    moved = jax.tree.map(lambda a, b: bool(np.any(a != b)), after.batch_stats, state.batch_stats)
    assert all(jax.tree.leaves(moved)) and {"xx_stack", "zz_stack", "x_stack"} <= moved.discriminator.keys()
    assert np.isfinite([*metrics.values()]).all()
    # Those of the round are the same as without the terms: further passes leave no trace in them.
    alone, _ = jax.jit(functools.partial(game.step, terms=bind({"adversarial": {}})))(state, BATCH)
    for role in ("generator", "encoder"):
        same = functools.partial(np.testing.assert_allclose, rtol=1e-6)
        jax.tree.map(same, getattr(after.batch_stats, role), getattr(alone.batch_stats, role))
    jax.tree.map(
        np.testing.assert_array_equal,
        alone.batch_stats.discriminator["xx_stack"],
        state.batch_stats.discriminator["xx_stack"],
    )


@pytest.mark.parametrize(("term", "twins"), [("adversarial_cycle_x", "xx"), ("adversarial_cycle_z", "zz")])
def test_only_the_twins_stack_learns_to_tell_and_G_and_E_learn_to_pass(twins_config, term, twins):
    game, state = fresh(twins_config)
    after, _ = jax.jit(functools.partial(game.step, terms=bind({term: {}})))(state, BATCH)
    moved = jax.tree.map(lambda a, b: bool(np.any(a != b)), after.params, state.params)
    of_d = {name: any(jax.tree.leaves(stack)) for name, stack in moved.discriminator.items()}
    assert of_d == {name: name == f"{twins}_stack" for name in of_d}
    assert all(jax.tree.leaves(moved.generator)) and all(jax.tree.leaves(moved.encoder))


def test_a_trained_run_compares_with_its_running_statistics(twins_config):
    """Many steps on one batch: inference says nearly what training says, and tells twins from others."""
    game, state = fresh(twins_config)
    step = jax.jit(game.step)
    for _ in range(150):
        state, _ = step(state, BATCH)
    model = inference.of_state(game.networks, state)
    x, other = BATCH["x"], BATCH["x"][::-1]
    same, different = inference.compare(model, x, x), inference.compare(model, x, other)
    assert same.score.shape == (16,) and same.hidden.shape == (16, 6)
    outcome = play(game.networks, state.params, state, BATCH)
    now = outcome.players.compare(
        "xx", outcome.round.x, outcome.players.generate(outcome.round.encoding.z), KEY
    )
    np.testing.assert_allclose(np.mean(same.score), np.mean(now.real.score), atol=0.25)
    assert np.mean(same.score) > np.mean(different.score)
    codes = inference.encode(model, x)
    assert inference.compare(model, codes, codes[::-1], twins="zz").score.shape == (16,)
    module = game.networks.discriminator
    of_d = variables(state.params, state.batch_stats, "discriminator")
    expected = module.apply(of_d, "xx", x / np.float32(255), other / np.float32(255), method="compare")
    np.testing.assert_allclose(different.score, expected.score, rtol=1e-4, atol=1e-5)


def test_a_model_without_the_stack_is_told_so(tiny_config):
    model = untrained(tiny_config, x=BATCH["x"])
    for twins in ("xx", "zz", "x"):
        with pytest.raises(
            UserError, match=f"no pairs '{twins}' apart.*discriminator_xx or discriminator_zz"
        ):
            inference.compare(model, BATCH["x"], BATCH["x"], twins=twins)


def test_twins_of_a_conditional_model_have_its_attributes():
    config = make_conditional_config(1, 1, 3)
    embed, head = config.model.discriminator_joint
    config.model.discriminator_xx = (embed, head)
    config.terms = {"adversarial": {}, "adversarial_cycle_x": {}}
    x, y = np.zeros((2, 1, 1, 3), np.uint8), np.eye(2, 40, dtype=np.uint8)
    game = build.game(config)
    batch = {"x": x, "attributes": y}
    state = jax.jit(game.init)(KEY, batch=batch)
    _, metrics = jax.jit(game.step)(state, batch)
    assert np.isfinite(metrics["loss_adversarial_cycle_x_d"])
    one, other = inference.compare(inference.of_state(game.networks, state), x, x, y).score
    assert one != other


@pytest.mark.parametrize(
    ("term", "words"),
    [
        (
            "adversarial_cycle_x",
            r"xx_stack is None; add config\.model\.discriminator_xx, rows that take twice the",
        ),
        (
            "adversarial_cycle_z",
            r"zz_stack is None; add config\.model\.discriminator_zz, rows that take twice the",
        ),
    ],
)
def test_a_config_without_the_rows_is_told_which(tiny_config, term, words):
    tiny_config.terms = {"adversarial": {}, term: {}}
    with pytest.raises(UserError, match=words):
        build.game(tiny_config)


def test_a_twins_stack_of_two_features_is_named(twins_config):
    twins_config.model.discriminator_zz = (("dense", 1, 1, 2, False, 0.0, "linear", "tied"),)
    with pytest.raises(UserError, match="discriminator_zz has 2 features; a score has 1"):
        build.game(twins_config)


def test_statistics_of_one_stack_from_two_terms_are_refused():
    @needs(heads=("xx",))
    def gives(round, players, key):
        return Share(d=jnp.zeros(()), batch_stats={"xx_stack": {}})

    kept = play_for({"one": gives}, Round({}, None, None), None, KEY)
    assert kept.batch_stats == {"xx_stack": {}}
    with pytest.raises(UserError, match="both give statistics of xx_stack"):
        play_for({"one": gives, "two": gives}, Round({}, None, None), None, KEY)
