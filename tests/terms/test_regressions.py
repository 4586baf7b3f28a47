import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import begun, play

from ali_jax import build
from ali_jax.errors import UserError
from ali_jax.models import Encoding
from ali_jax.terms import Players, Round
from ali_jax.terms.regressions import cycle, latent_regression

KEY = jax.random.key(0)


def players_of(mu_slope=2.0, sigma=0.5, generator_slope=3.0):
    """E: mu = a x and a given sigma, its draw one sigma above; G: x = b z; slopes are what they learn."""

    def encode(x, key, frozen=False):
        mu = mu_slope * x
        return Encoding(mu + sigma, mu, jnp.full_like(mu, sigma))

    def generate(z, frozen=False):
        slope = jax.lax.stop_gradient(generator_slope) if frozen else generator_slope
        return slope * z

    return Players(generate, encode, None)


def round_of(x=((1.0, 2.0),), z=((0.5, 0.25),), x_tilde=((1.0, 0.0),), encoding=None):
    x, z, x_tilde = (jnp.asarray(values) for values in (x, z, x_tilde))
    return Round({}, x, None, z, x_tilde, None, encoding)


def test_latent_regression_is_the_negative_log_density_of_z():
    """By hand: mu = (2, 0), sigma = 1/2: deviations of -3 and 1/2, log sigma = -log 2."""
    share = latent_regression(round_of(), players_of(), KEY, weight=2.0)
    by_hand = (3**2 / 2 + 0.5**2 / 2) / 2 - np.log(2)
    np.testing.assert_allclose(share.ge, 2 * by_hand, rtol=1e-6)
    assert share.d is None


def test_without_sigma_it_is_half_the_squared_distance():
    players = players_of()._replace(encode=lambda x, key: Encoding(2 * x, 2 * x, None))
    share = latent_regression(round_of(), players, KEY)
    np.testing.assert_allclose(share.ge, (1.5**2 + 0.25**2) / 2 / 2, rtol=1e-6)


@pytest.mark.parametrize("generator", [True, False])
def test_the_latent_regression_reaches_g_where_it_shall(generator):
    def loss(x_tilde):
        return latent_regression(
            round_of(x_tilde=((x_tilde, 0.0),)), players_of(), KEY, generator=generator
        ).ge

    # d/dx of ((z - 2x) / sigma)^2 / 2 over two values, at x = 1, z = 1/2: 2 * (1.5 / 0.25) / 2.
    np.testing.assert_allclose(jax.grad(loss)(1.0), 6.0 if generator else 0.0, rtol=1e-6)


@pytest.mark.parametrize(
    ("settings", "by_hand"),
    [
        ({}, (2.0**2 + 2.5**2)),  # the draw (1, 1.5): G makes (3, 4.5)
        ({"power": 1}, 2.0 + 2.5),
        ({"draw": False}, (0.5**2 + 1.0**2)),  # mu = (1/2, 1): G makes (3/2, 3)
    ],
)
def test_the_cycle_is_a_distance_over_the_root_of_the_size(settings, by_hand):
    mu = jnp.asarray(((0.5, 1.0),))
    round_ = round_of(encoding=Encoding(mu + 0.5, mu, jnp.full_like(mu, 0.5)))
    share = cycle(round_, players_of(), KEY, weight=0.5, **settings)
    np.testing.assert_allclose(share.ge, 0.5 * by_hand / np.sqrt(2), rtol=1e-6)


@pytest.mark.parametrize("generator", [True, False])
def test_the_cycle_reaches_g_where_it_shall_and_e_always(generator):
    def loss(slope, z):
        encoding = Encoding(jnp.full((1, 2), z), None, None)
        round_ = round_of(encoding=encoding)
        return cycle(round_, players_of(generator_slope=slope), KEY, weight=1.0, generator=generator).ge

    of_g, of_e = jax.grad(loss, argnums=(0, 1))(3.0, 1.0)
    # x = (1, 2), G(z) = (3, 3): d/dslope of (1 - 3)^2 + (2 - 3)^2 is 2 (2 + 1), d/dz three times that.
    np.testing.assert_allclose(of_g, 6 / np.sqrt(2) if generator else 0.0, rtol=1e-6)
    np.testing.assert_allclose(of_e, 18 / np.sqrt(2), rtol=1e-6)


@pytest.mark.parametrize("posterior", ["gaussian", "deterministic", "noise"])
def test_every_kind_of_encoder_plays_all_and_the_contrast(tiny_config, posterior):
    tiny_config.model.posterior = posterior
    if posterior == "noise":
        tiny_config.model.encoder = (
            ("noise", 1, 1, 2, False, 0.0, "linear"),
            *tiny_config.model.encoder,
        )
    tiny_config.terms = {
        "adversarial": {},
        "latent_regression": {},
        "cycle": {"generator": False},
        "contrast": {},
        "recognition": {},
    }
    game = build.game(tiny_config)
    batch = {"x": np.random.default_rng(0).integers(0, 256, (16, 8, 8, 1), dtype=np.uint8)}
    _, metrics = jax.jit(game.step)(jax.jit(game.init)(KEY, batch=batch), batch)
    assert np.isfinite([*metrics.values()]).all()
    wanted = {"loss_latent_regression", "loss_cycle", "loss_contrast", "loss_recognition"}
    assert wanted <= metrics.keys()


def test_a_frozen_player_passes_gradients_on_and_learns_nothing(tiny_config):
    game, state, batch = begun(tiny_config)

    def loss(params, frozen):
        outcome = play(game.networks, params, state, batch)
        return cycle(outcome.round, outcome.players, KEY, generator=not frozen).ge

    grads = jax.jit(jax.grad(loss), static_argnums=1)
    learned, frozen = grads(state.params, False), grads(state.params, True)
    assert any(np.any(g) for g in jax.tree.leaves(learned.generator))
    assert not any(np.any(g) for g in jax.tree.leaves(frozen.generator))
    for a, b in zip(jax.tree.leaves(learned.encoder), jax.tree.leaves(frozen.encoder), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-8)


def test_a_power_that_is_neither_is_named():
    encoding = Encoding(jnp.ones((1, 2)), None, None)
    with pytest.raises(UserError, match=r"power of the term cycle .* is 3; .* whole number in \[1, 2\]"):
        cycle(round_of(encoding=encoding), players_of(), KEY, power=3)
