import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import begun

from ali_jax import augmentation, disturbance
from ali_jax import config as config_lib
from ali_jax.errors import UserError
from ali_jax.models import judgement
from ali_jax.terms import Share
from ali_jax.train_step import train_step

KEY = jax.random.key(0)


def settings(**values):
    return config_lib.default().disturbance.to_dict() | values


def test_a_config_that_disturbs_nothing_leaves_the_game_as_it_is():
    assert disturbance.of_settings(settings(), 100) is None
    assert disturbance.of_settings({}, 100) is None


def test_a_setting_that_is_left_out_is_as_by_default_and_one_that_is_misspelt_is_told():
    x = jnp.ones((4, 8, 8, 1))
    by_name, of_all = (disturbance.of_settings(given, 100) for given in ({"shear": 0.5}, settings(shear=0.5)))
    np.testing.assert_array_equal(by_name(KEY, 0, x, None)[0], of_all(KEY, 0, x, None)[0])
    with pytest.raises(UserError, match=r"no disturbance\.shaer; is it disturbance\.shear"):
        disturbance.of_settings({"shaer": 0.5}, 100)


@pytest.mark.parametrize(("step", "std"), [(0, 0.5), (25, 0.25), (50, 0.0), (80, 0.0)])
def test_noise_falls_to_0_linearly(step, std):
    disturb = disturbance.of_settings(settings(noise_x=0.5, noise_z=1.0), 100)  # until half of the run
    x, z = disturb(KEY, jnp.int32(step), jnp.zeros((500, 8)), jnp.zeros((500, 8)))
    np.testing.assert_allclose([jnp.std(x), jnp.std(z)], [std, 2 * std], rtol=0.05)
    assert std == 0 or not np.allclose(2 * x, z)


def test_a_plain_gan_has_no_z_to_disturb():
    disturb = disturbance.of_settings(settings(noise_x=0.5, noise_z=1.0), 100)
    assert disturb(KEY, jnp.int32(0), jnp.zeros((5, 8)), None)[1] is None


def test_real_and_generated_pairs_go_through_it_and_e_and_g_learn_through_it(tiny_config):
    tiny_config.disturbance.update(noise_x=0.5, translation=0.25, cutout=0.5, colour=1.0, mirror=0.5)
    game, state, batch = begun(tiny_config)
    after, metrics = jax.jit(game.step)(state, batch)
    assert np.isfinite([*metrics.values()]).all()
    moved = jax.tree.map(lambda a, b: bool(np.any(a != b)), after.params, state.params)
    assert all(jax.tree.leaves(moved.generator)) and any(jax.tree.leaves(moved.encoder))


@pytest.mark.parametrize("change", augmentation.CHANGES)
def test_each_change_alone_is_made_of_the_image_and_not_of_the_code(change):
    disturb = disturbance.of_settings(settings(**{change: 0.5}), 100)
    image = jnp.tile(jax.random.uniform(KEY, (1, 8, 8, 3)), (50, 1, 1, 1))
    x, z = disturb(KEY, jnp.int32(0), image, jnp.ones((50, 8)))
    same = jnp.all(x == image, axis=(1, 2, 3))
    assert not same.all() and (z == 1).all()
    of_a_share = {"mirror": image[:, :, ::-1], "negative": 1 - image}
    if change in of_a_share:
        assert 10 < same.sum() < 40 and (x[~same] == of_a_share[change][~same]).all()


def test_what_d_is_shown_is_what_the_function_gives(tiny_config):
    """A disturbance that makes all pairs one pair leaves D nothing to tell apart."""
    game, state, batch = begun(tiny_config)

    def same(key, step, x, z):
        return jnp.zeros_like(x), jnp.zeros_like(z)

    after, _ = jax.jit(lambda *of: game.step(*of, disturb=same))(state, batch)
    moved = jax.tree.map(lambda a, b: bool(np.any(a != b)), after.params, state.params)
    assert not any(jax.tree.leaves((moved.generator, moved.encoder)))


def test_every_pass_of_every_step_is_disturbed_by_a_key_of_its_own(tiny_config):
    """The round's pass and a term's further one, in two steps that differ by number alone."""
    game, state, batch = begun(tiny_config)

    class Echoes:
        def apply(self, variables, x, z, condition, **kwargs):
            return judgement(x[:, 0, 0]), {}

    def draw(key, step, x, z):
        return jnp.full_like(x, jax.random.uniform(key)), z

    def looks_again(round, players, key):
        again = players.judge(round.x, round.z, key)
        return Share(metrics={"once": round.real.joint[0, 0], "again": again.joint[0, 0]})

    networks = game.networks._replace(discriminator=Echoes())
    own = {"networks": networks, "optimizers": game.optimizers, "terms": {"twice": looks_again}}
    step = jax.jit(lambda *of: train_step(*of, disturb=draw, **own)[1])
    both = [step(state._replace(step=jnp.int32(number)), batch) for number in (0, 1)]
    assert len({float(metrics[name]) for metrics in both for name in ("once", "again")}) == 4


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("cutout", 1.5, r"disturbance.cutout is 1.5; it must be in \[0, 1\]"),
        ("noise_z", -1.0, "disturbance.noise_z is -1.0; it must be at least 0"),
        ("noise_until", 0.0, r"disturbance.noise_until is 0.0; it must be in \(0, 1\]"),
    ],
)
def test_a_value_that_cannot_be_is_named(tiny_config, field, value, words):
    tiny_config.disturbance[field] = value
    with pytest.raises(UserError, match=words):
        config_lib.check(tiny_config)


def test_what_is_no_image_is_not_changed_in_a_loop_of_ones_own():
    disturb = disturbance.of_settings({"colour": 0.5, "mirror": 0.5}, 100)
    with pytest.raises(UserError, match=r"colour and mirror is of images, and x is \(8, 2\); leave it out"):
        disturb(KEY, jnp.int32(0), jnp.ones((8, 2)), None)


def test_points_are_not_augmented(tiny_config):
    tiny_config.disturbance.cutout = 0.5
    tiny_config.model.x_shape = (2,)
    with pytest.raises(UserError, match="cutout is of images"):
        config_lib.check(tiny_config)
