import functools
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from conftest import load_config
from helpers import make_conditional_config, moved, play
from jax.flatten_util import ravel_pytree

from ali_jax import build, models, terms
from ali_jax.errors import UserError
from ali_jax.models import unit_interval
from ali_jax.roles import Roles
from ali_jax.terms.pairs import adversarial, discriminator_loss, generator_encoder_loss
from ali_jax.train_step import init_state, train_step


def leaves_equal(a, b, **tolerance):
    jax.tree.map(functools.partial(np.testing.assert_allclose, **tolerance), a, b)


@pytest.fixture
def game(tiny_config):
    """(state, batch, keyword arguments of train_step), parameters far enough from zero to matter."""
    tiny_config.model.init_std = 0.3
    built = build.game(tiny_config)
    players = {"networks": built.networks, "optimizers": built.optimizers}
    x = np.random.default_rng(0).integers(0, 256, (16, 8, 8, 1), dtype=np.uint8)
    init = jax.jit(functools.partial(init_state, **players))
    return init(jax.random.key(0), batch={"x": x}), {"x": x}, players


def test_one_optimizer_for_all_is_refused(game):
    _, batch, players = game
    adam = optax.adam(1e-3)
    for wrong in ({"generator": adam}, (adam, adam)):
        with pytest.raises(UserError, match=r"optimizers is of type (dict|tuple); pass one for each role"):
            init_state(jax.random.key(0), players["networks"], wrong, batch)
    init = functools.partial(init_state, networks=players["networks"], optimizers=[adam, adam, adam])
    jax.eval_shape(init, jax.random.key(0), batch=batch)
    with pytest.raises(UserError, match="optimizers is a single one"):
        init_state(jax.random.key(0), batch=batch, networks=players["networks"], optimizers=optax.adam(1e-3))


def test_what_else_a_state_is_not_made_of_is_named(game):
    _, batch, players = game
    networks, others = players["networks"], {"optimizers": players["optimizers"], "batch": batch}
    with pytest.raises(UserError, match=r"networks is a tuple; pass Roles"):
        init_state(jax.random.key(0), tuple(networks), **others)
    with pytest.raises(UserError, match=r"key is a int; pass a key of JAX's"):
        init_state(0, networks, **others)
    with pytest.raises(UserError, match=r"key is a \w+ of shape \(2,\); pass a key of JAX's"):
        init_state(jax.random.split(jax.random.key(0)), networks, **others)
    for x in (batch["x"].astype(np.float32), np.full(batch["x"].shape, np.nan, np.float32)):
        with pytest.raises(UserError, match="G ends in a sigmoid; pass uint8"):
            init_state(jax.random.key(0), networks, players["optimizers"], {**batch, "x": x})


def test_a_network_without_an_optimizer_is_refused(game):
    adam = optax.adam(1e-3)
    _, batch, players = game
    with pytest.raises(UserError, match=r"The encoder has no optimizer; pass one, or optax\.set_to_zero"):
        init_state(jax.random.key(0), players["networks"], Roles(adam, None, adam), batch)


def test_conditional_networks_without_attributes_are_told():
    game = build.game(make_conditional_config(4, 4, 3))
    with pytest.raises(UserError, match=r'got none; add batch\["attributes"\], \(M, A\)'):
        game.init(jax.random.key(0), batch={"x": np.zeros((2, 4, 4, 3), np.uint8)})


def test_losses_of_other_dtypes_are_learned_from_in_float32(tiny_config):
    def bright(round, players, key):
        return terms.Share(ge=jnp.mean(round.x_tilde), metrics={"half": jnp.bfloat16(0.5)})

    tiny_config.dtype = "bfloat16"
    game = build.game(tiny_config)
    batch = {"x": np.zeros((4, 8, 8, 1), np.uint8)}
    state = jax.jit(game.init)(jax.random.key(0), batch=batch)
    played = {**terms.bind({"adversarial": {"ge": 0.0}}), "bright": bright}
    optimizers = Roles(*[optax.sgd(1.0)] * 3)
    state = state._replace(
        opt_state=Roles(*(o.init(p) for o, p in zip(optimizers, state.params, strict=True)))
    )
    step = functools.partial(train_step, networks=game.networks, optimizers=optimizers, terms=played)
    after, metrics = jax.jit(step)(state, batch)
    assert {value.dtype for value in metrics.values()} == {np.dtype("float32")}
    assert moved(state.params, after.params) == (True, False, True)


def test_a_step_is_of_a_state(game):
    _, batch, arguments = game
    with pytest.raises(UserError, match="The state is a NoneType; pass a TrainState"):
        train_step(None, batch, **arguments)


@pytest.mark.parametrize("dtype", [np.int32, np.uint16])
def test_integers_that_are_not_uint8_are_refused(game, dtype):
    """Taken as floats they would be images of up to 255 times white."""
    state, batch, arguments = game
    with pytest.raises(UserError, match=f"x holds {np.dtype(dtype)}; pass images as uint8"):
        train_step(state, {"x": batch["x"].astype(dtype)}, **arguments)
    with pytest.raises(UserError, match="pass images as uint8"):
        init_state(jax.random.key(0), batch={"x": batch["x"].astype(dtype)}, **arguments)


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ({"unary_x": {}}, r"its x_head is None; add config\.model\.discriminator_x_head"),
        ({"adversarial_cycle_z": {}}, "its zz_stack is None"),
        ({"adversarial": {"unlabelled": True}}, "the batch has none"),
        ({"labels": {}, "adversarial": {}}, "the batch has none"),
    ],
)
def test_a_game_that_asks_for_what_is_not_there_is_told(game, named, words):
    state, batch, arguments = game
    with pytest.raises(UserError, match=words):
        train_step(state, batch, terms=terms.bind(named), **arguments)


def test_labels_of_a_discriminator_with_one_logit_are_told(game):
    state, batch, arguments = game
    batch = batch | {"label": np.arange(16, dtype=np.int32)}
    step = functools.partial(train_step, terms=terms.bind({"labels": {}, "adversarial": {}}), **arguments)
    with pytest.raises(UserError, match="asks D for a logit of each class, and D has one"):
        jax.eval_shape(step, state, batch)


def test_gradients_equal_two_separate_grads(game):
    """SGD of rate 1 shows the gradients; the reference differentiates each loss by itself."""
    state, batch, arguments = game
    sgd = optax.sgd(1.0)
    networks, optimizers = arguments["networks"], Roles(sgd, sgd, sgd)
    opt_state = Roles(*(sgd.init(p) for p in state.params))
    step = jax.jit(functools.partial(train_step, networks=networks, optimizers=optimizers))
    after, metrics = step(state._replace(opt_state=opt_state), batch)

    def loss(player, params):
        round_ = play(networks, params, state, batch).round
        return player(round_.real.joint[:, 0], round_.generated.joint[:, 0])

    (loss_d, of_d), (loss_ge, of_ge) = (
        jax.jit(jax.value_and_grad(functools.partial(loss, player)))(state.params)
        for player in (discriminator_loss, generator_encoder_loss)
    )
    expected = Roles(of_ge.generator, of_ge.encoder, of_d.discriminator)
    stepped = jax.tree.map(jnp.subtract, state.params, after.params)
    leaves_equal(stepped, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(metrics["loss_discriminator"], loss_d, rtol=1e-6)
    np.testing.assert_allclose(metrics["loss_generator_encoder"], loss_ge, rtol=1e-6)


@pytest.mark.parametrize("silent", [0, 1])
def test_each_role_gets_nothing_from_the_other_loss(game, silent):
    """With one loss held at zero, only the players of the other one move."""
    state, batch, arguments = game

    game = {"adversarial": functools.partial(adversarial, **{("d", "ge")[silent]: jnp.zeros(())})}
    after, _ = jax.jit(functools.partial(train_step, terms=game, **arguments))(state, batch)
    players_of_ge = silent == 0
    assert moved(state.params, after.params) == (players_of_ge, players_of_ge, not players_of_ge)


def test_jit_changes_nothing(tiny_config):
    """With this epsilon Adam's steps are of the gradient's size; by default every gradient gives the same."""
    tiny_config.model.init_std = 0.3
    adam = optax.adam(1.0, b1=0.5, eps=1.0)
    arguments = {"networks": build.game(tiny_config).networks, "optimizers": Roles(adam, adam, adam)}
    batch = {"x": np.random.default_rng(0).integers(0, 256, (16, 8, 8, 1), dtype=np.uint8)}
    state = jax.jit(functools.partial(init_state, **arguments))(jax.random.key(0), batch=batch)
    plain, metrics = train_step(state, batch, **arguments)
    jitted, metrics_jitted = jax.jit(functools.partial(train_step, **arguments))(state, batch)
    leaves_equal(metrics, metrics_jitted, rtol=1e-4, atol=1e-5)
    leaves_equal(plain.batch_stats, jitted.batch_stats, rtol=1e-4, atol=1e-5)
    leaves_equal(plain.params, jitted.params, rtol=1e-4, atol=1e-5)
    assert int(jitted.step) == 1 and np.isfinite(jax.tree.leaves(metrics)).all()


def test_scan_equals_step_by_step(game):
    state, batch, arguments = game
    step = jax.jit(functools.partial(train_step, **arguments))
    one_by_one, each = state, []
    for _ in range(3):
        one_by_one, metrics = step(one_by_one, batch)
        each.append(metrics["loss_discriminator"])
    stacked = jax.tree.map(lambda a: np.stack([a] * 3), batch)
    scanned, metrics = jax.jit(functools.partial(jax.lax.scan, step))(state, stacked)
    np.testing.assert_allclose(metrics["loss_discriminator"], each, rtol=1e-3)
    assert int(scanned.step) == 3
    assert len(set(map(float, each))) == 3  # every step draws its own noise


def test_vmap_over_seeds_and_hyperparameters(game, tiny_config):
    """Runs with traced learning rate, b1 and initial scale side by side equal the runs one by one."""
    _, batch, _ = game
    # Without a maxout: of two pieces that are nearly equal, rounding decides which gets the gradient.
    tiny_config.model.discriminator_z = (("dense", 1, 1, 12, False, 0.2, "linear", "tied"),)

    def run(seed, learning_rate, b1, init_std):
        networks = models.build(tiny_config.model, init_std=init_std)
        # With this epsilon, steps are of the gradient's size.
        adam = optax.inject_hyperparams(optax.adam)(learning_rate=learning_rate, b1=b1, eps=1.0)
        arguments = {"networks": networks, "optimizers": Roles(adam, adam, adam)}
        state = first = init_state(jax.random.key(seed), batch=batch, **arguments)
        state, each = jax.lax.scan(lambda s, _: train_step(s, batch, **arguments), state, length=2)
        metrics = jax.tree.map(lambda values: values[-1], each)
        change = jax.tree.map(jnp.subtract, state.params, first.params)
        return ravel_pytree(change)[0], metrics

    values = (
        jnp.array([0, 1]),
        jnp.array([0.1, 0.01]),
        jnp.array([0.5, 0.1]),
        jnp.array([0.1, 0.3]),
    )
    together, metrics = jax.jit(jax.vmap(run))(*values)
    for i in range(2):
        alone, metrics_alone = jax.jit(run)(*(v[i] for v in values))
        leaves_equal(jax.tree.map(lambda a, i=i: a[i], metrics), metrics_alone, rtol=2e-3, atol=1e-4)
        assert jnp.linalg.norm(together[i] - alone) < 1e-3 * jnp.linalg.norm(alone)
    assert not np.allclose(metrics["loss_discriminator"][0], metrics["loss_discriminator"][1])


def test_a_role_is_frozen_by_its_optimizer(game):
    state, batch, arguments = game
    frozen = optax.set_to_zero()
    optimizers = arguments["optimizers"]._replace(generator=frozen)
    opt_state = state.opt_state._replace(generator=frozen.init(state.params.generator))
    step = jax.jit(functools.partial(train_step, **arguments | {"optimizers": optimizers}))
    after, _ = step(state._replace(opt_state=opt_state), batch)
    assert moved(state.params, after.params) == (False, True, True)


def test_statistics_of_D_are_of_the_mixture_of_real_and_generated(game):
    """D's first layer is batch-normalised: its running mean moves by 0.05 of the mean over both halves."""
    state, batch, arguments = game
    networks = arguments["networks"]
    drop_nothing = tuple(r._replace(dropout=0.0) for r in networks.discriminator.x_stack.rows)
    x_stack = networks.discriminator.x_stack.clone(rows=drop_nothing)
    networks = networks._replace(discriminator=networks.discriminator.clone(x_stack=x_stack))
    x_tilde = np.random.default_rng(1).random((16, 8, 8, 1), dtype=np.float32)

    class Constant:
        sample_prior = networks.generator.sample_prior

        def apply(self, variables, z, *inputs, **kwargs):
            return jnp.asarray(x_tilde), {}

    networks = networks._replace(generator=Constant())
    running = jax.jit(lambda: play(networks, state.params, state, batch).batch_stats.discriminator)()
    running = running["x_stack"]["layer_1"]["norm"]["mean"]
    kernel = state.params.discriminator["x_stack"]["layer_1"]["kernel"]
    both = np.concatenate([unit_interval(jnp.asarray(batch["x"])), x_tilde]).reshape(32, -1)
    np.testing.assert_allclose(running, 0.05 * (both @ kernel).mean(0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", ["uint8", "float32", "bfloat16", "float16"])
def test_generator_starts_at_the_mean_image(tiny_config, dtype):
    tiny_config.model.init_std = 1e-6
    networks = build.game(tiny_config).networks
    x = np.random.default_rng(0).integers(0, 256, (50, 8, 8, 1), dtype=np.uint8)
    x[:, 0, 0], x[:, 0, 1] = 0, 255  # pixels whose log-odds are not finite unless clipped
    if dtype != "uint8":
        x = jnp.asarray(x / 255, dtype)
    state = init_state(jax.random.key(0), networks, build.optimizers(tiny_config), {"x": x})
    variables = {
        "params": state.params.generator,
        "batch_stats": state.batch_stats.generator,
    }
    image = networks.generator.apply(variables, jnp.zeros((1, 3)))[0]
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(state.params))
    np.testing.assert_allclose(image, unit_interval(jnp.asarray(x)).mean(0, dtype=jnp.float32), atol=1e-5)


def test_a_generator_of_any_numbers_starts_at_the_mean_and_not_at_its_log_odds(tiny_config):
    last = models.Row(*tiny_config.model.generator[-1])._replace(nonlinearity="linear")
    tiny_config.model.generator = (*tiny_config.model.generator[:-1], last)
    generator = build.game(tiny_config).networks.generator
    params = {"stack": {f"layer_{len(tiny_config.model.generator)}": {"bias": jnp.zeros((8, 8, 1))}}}
    x = np.random.default_rng(0).normal(size=(50, 8, 8, 1)).astype(np.float32)
    [bias] = jax.tree.leaves(generator.start_at_mean(params, x))
    np.testing.assert_allclose(bias, x.mean(0), rtol=1e-5, atol=1e-6)


def test_plain_gan_has_no_encoder_nor_needs_its_optimizer_and_a_D_blind_to_z():
    adam = optax.adam(1e-3)
    networks = build.game(load_config("mixture", "gan")).networks
    players = {"networks": networks, "optimizers": Roles(adam, None, adam)}
    batch = {"x": np.random.default_rng(0).normal(size=(8, 2)).astype(np.float32)}
    state = jax.jit(functools.partial(init_state, **players))(jax.random.key(0), batch=batch)
    after, metrics = jax.jit(functools.partial(train_step, **players))(state, batch)
    assert after.params.encoder == {}
    assert moved(state.params, after.params).generator
    assert "mu_mean" not in metrics and "z_hat_mean" not in metrics


def test_the_step_needs_no_config_and_no_data():
    """A loop of one's own imports jax, flax and optax with it, and nothing that reads files."""
    command = [sys.executable, "-c", "import sys, ali_jax.train_step; print(*sys.modules)"]
    loaded = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert "ali_jax.terms" in loaded
    assert not {"ml_collections", "ali_jax.config", "ali_jax.data"} & {*loaded}
