import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import begun, play

from ali_jax import augmentation
from ali_jax.errors import UserError
from ali_jax.models import Encoding
from ali_jax.terms import Players, Round, contrast

KEY = jax.random.key(0)


def test_chances_by_hand():
    """Two codes, (0, 0) and (2, 0); copies at (0, 0) and (1, 0): squared distances 0, 4 and 1, 1."""
    z, copy = jnp.array([[0.0, 0.0], [2.0, 0.0]]), jnp.array([[0.0, 0.0], [1.0, 0.0]])
    found = contrast.log_chances_of_a_match(z, copy, temperature=0.5)
    far = np.exp(-4 / np.sqrt(2) / 0.5)
    np.testing.assert_allclose(found, [-np.log(1 + far), -np.log(2)], rtol=1e-4)


def loss_of(encode, x, **settings):
    round_ = Round({}, x, None, None, None, None, encode(x, KEY))
    return contrast.contrast(round_, Players(None, encode, None), KEY, **settings)


def test_an_encoder_that_a_change_does_not_touch_loses_least():
    """Images of one bright pixel, moved by up to one place: E of the sum does not see that.

    By hand: the codes of the images are 0, 10, 20 and 30, and so are those of the copies: the loss is 0.
    """
    heights = jnp.arange(4.0) * 10
    x = jnp.zeros((4, 8, 8, 1)).at[:, 4, 4, 0].set(heights)

    def of_the_sum(x, key):
        mu = jnp.sum(x, axis=(1, 2, 3))[:, None]
        return Encoding(mu, mu, jnp.ones_like(mu))

    def of_a_corner(x, key):
        mu = x[:, 4, 4]
        return Encoding(mu, mu, jnp.ones_like(mu))

    blind, sharp = (loss_of(encode, x, translation=1 / 8).ge for encode in (of_the_sum, of_a_corner))
    np.testing.assert_allclose(blind, 0, atol=1e-6)
    assert sharp > 10
    np.testing.assert_allclose(
        loss_of(of_a_corner, x, translation=1 / 8, weight=3.0).ge, 3 * sharp, rtol=1e-6
    )


def test_an_implicit_encoder_is_taken_at_its_draw():
    x = jax.random.uniform(KEY, (3, 8, 8, 1))
    implicit = lambda x, key: Encoding(x[:, 0, 0], None, None)  # noqa: E731
    explicit = lambda x, key: Encoding(x[:, 1, 1], x[:, 0, 0], None)  # noqa: E731
    assert loss_of(implicit, x).ge == loss_of(explicit, x).ge


@pytest.mark.parametrize(("share", "compared"), [(0.01, 1), (0.5, 2), (0.6, 2), (1.0, 4)])
def test_a_share_compares_the_first_dimensions_alone(share, compared):
    """The loss is that of an encoder which has these dimensions and no others."""
    x = jax.random.uniform(KEY, (3, 8, 8, 1))

    def first(count):
        return lambda x, key: Encoding(None, x.reshape(len(x), -1)[:, :count], None)

    some = loss_of(first(4), x, share=share).ge
    np.testing.assert_allclose(some, loss_of(first(compared), x).ge, rtol=1e-6)
    assert compared == 4 or some != loss_of(first(4), x).ge


def test_changes_are_those_of_the_disturbance():
    x = jax.random.uniform(KEY, (3, 8, 8, 3))
    np.testing.assert_array_equal(
        contrast.changed(KEY, x, translation=0.0, colour=0.5, cutout=0.0),
        augmentation.colour(jax.random.split(KEY, 1)[0], x, 0.5),
    )
    with pytest.raises(UserError, match="set one of them above 0"):
        contrast.changed(KEY, x, translation=0.0, colour=0.0)
    with pytest.raises(UserError, match="are no images"):
        contrast.changed(KEY, x[:, 0, 0], translation=0.1)


def test_recognition_by_hand():
    """Codes 0 and 2; G multiplies by a, E reads off what it sees: 0, and 2 a.

    The first is 0 from its own code and 4 from the other; the second (2 a - 2)^2 and (2 a)^2, 8 a - 4 more.
    """
    z = jnp.array([[0.0], [2.0]])
    round_ = Round({}, z, None, encoding=Encoding(z, z, None))

    def loss(a):
        players = Players(lambda z: a * z, lambda x, key, frozen: Encoding(x, x, None), None)
        return contrast.recognition(round_, players, KEY, weight=2.0).ge

    np.testing.assert_allclose(loss(2.0), np.log1p(np.exp(-4)) + np.log1p(np.exp(-12)), rtol=1e-5)
    np.testing.assert_allclose(jax.grad(loss)(1.0), -8 / (1 + np.exp(4)), rtol=1e-5)


@pytest.mark.parametrize("draw", [True, False])
def test_recognition_learns_by_the_reconstruction_and_not_by_the_code_that_is_looked_for(draw):
    """Codes 0 and 2, the draws at mu; G and the E that looks change nothing.

    By hand: of an image's loss, c^2 + log(exp(-c^2) + exp(-(c - 2)^2)) for the first, the slope in its
    reconstruction c is 4 p at 0, and -4 p at 2 for the second, where p = 1 / (1 + e^4) is the chance of the
    wrong code.
    """
    codes = jnp.array([[0.0], [2.0]])
    players = Players(lambda z: z, lambda x, key, frozen: Encoding(x, x, None), None)

    def loss(z, mu):
        round_ = Round({}, codes, None, encoding=Encoding(z, mu, None))
        return contrast.recognition(round_, players, KEY, weight=2.0, draw=draw).ge

    of_z, of_mu = jax.grad(loss, (0, 1))(codes, codes)
    through, aside = (of_z, of_mu) if draw else (of_mu, of_z)
    np.testing.assert_allclose(through[:, 0], np.array([4, -4]) / (1 + np.exp(4)), rtol=1e-5)
    np.testing.assert_array_equal(aside, 0)


def test_recognition_holds_the_e_that_looks_and_teaches_g_and_the_e_that_writes(tiny_config):
    game, state, batch = begun(tiny_config)

    def loss(params, writer_is_fixed):
        outcome = play(game.networks, params, state, batch)
        round_ = outcome.round
        if writer_is_fixed:
            round_ = round_._replace(encoding=jax.lax.stop_gradient(round_.encoding))
        return contrast.recognition(round_, outcome.players, KEY).ge

    grads = jax.jit(jax.grad(loss), static_argnums=1)
    both, of_g_alone = grads(state.params, False), grads(state.params, True)
    assert any(np.any(g) for g in jax.tree.leaves(both.generator))
    assert any(np.any(g) for g in jax.tree.leaves(both.encoder))
    assert not any(np.any(g) for g in jax.tree.leaves(of_g_alone.encoder))
    assert not any(np.any(g) for g in jax.tree.leaves(both.discriminator))
