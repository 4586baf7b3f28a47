import jax
import jax.numpy as jnp
import pytest

from ali_jax import config as config_lib
from ali_jax import models, recipes
from ali_jax.models.rows import Row, conv, mean
from ali_jax.roles import Roles, variables


def test_small_layers_by_hand():
    """32 -> 15 -> 6 -> 1 and 64 -> 15 -> 6 -> 1 pixels a side."""
    assert recipes.small_layers(32, 32) == [(32, 4, 2), (64, 5, 2), (256, 6, 1)]
    assert recipes.small_layers(64, 16) == [(16, 8, 4), (32, 5, 2), (128, 6, 1)]


def test_layers_cover_every_size_exactly_and_end_in_one_pixel():
    for side in range(16, 131):
        left = side
        for _, kernel, stride in recipes.small_layers(side, 32):
            assert (left - kernel) % stride == 0, side
            left = (left - kernel) // stride + 1
        assert left == 1, side


def test_classifying_rows_by_hand():
    """32 -> 30 -> 14 -> 12 -> 5 -> 3 pixels a side, and the mean of these 9."""
    norm = {"norm": True}
    assert recipes.classifying_rows(32, 64) == (
        conv(64, 3, **norm),
        conv(64, 4, stride=2, **norm),
        conv(128, 3, dropout=0.2, **norm),
        conv(128, 4, stride=2, **norm),
        conv(256, 3, dropout=0.2, **norm),
        conv(256, **norm),
        mean(256),
    )


def test_classifying_rows_cover_every_size_exactly():
    for side in range(8, 131):
        *convolutions, average = recipes.classifying_rows(side, 4)
        left = side
        for row in convolutions:
            assert (left - row.kernel) % row.stride == 0, side
            left = (left - row.kernel) // row.stride + 1
            assert 1 <= left <= 61, side
        assert left <= 5 and average.operation == "mean", side


def test_a_classifier_sees_images_moved_and_in_a_mirror_where_that_says_nothing():
    seen = {}
    for kind in ("signs", "mirrored", "strokes"):
        config = config_lib.default()
        config.model.update(x_shape=(32, 32, 3), discriminator_joint=())
        recipes.make_classifying(config, kind, width=2)
        seen[kind] = tuple(config.disturbance[name] for name in ("translation", "mirror", "colour"))
    assert seen == {"signs": (1 / 8, 0, 0.5), "mirrored": (1 / 8, 0.5, 0), "strokes": (1 / 14, 0, 0)}


@pytest.mark.parametrize("game", ["ali", "ali_mixup", "consistency"])
def test_beside_labels_the_game_weighs_half_in_what_d_learns(game):
    config = config_lib.default()
    joint = (conv(1, nonlinearity="linear"),)
    config.model.update(x_shape=(32, 32, 3), discriminator_joint=joint, encoder=(), discriminator_z=())
    recipes.teach(config, game, num_classes=3, labelled=4, unlabelled=6, width=2)
    d = config.terms.adversarial.d if "adversarial" in config.terms else None
    assert d == (None if game == "consistency" else 0.5) and "labels" in config.terms
    assert config.model.discriminator_joint[-1].features == 3
    assert (config.labelled_batch_size, config.batch_size) == (4, 10)


@pytest.mark.parametrize("side", [28, 64])
def test_small_networks_map_images_to_codes_and_back(side):
    config = config_lib.default()
    config.model.update(x_shape=(side, side, 3), posterior="gaussian", leak=0.1, init_std=0.1, latent_dim=0)
    embed = Row("embed", 1, 1, 8, False, 0.0, "linear", "tied")
    config.model.update(num_attributes=5, encoder=(embed,), generator=(embed,), discriminator_joint=(embed,))
    config.model.update(discriminator_x=(), discriminator_z=())
    recipes.make_small(config.model, latent_dim=6, width=4)
    networks = models.build(config.model)
    assert all(Row(*config.model[stack][at]) == embed for stack, at in (("encoder", -2), ("generator", 0)))

    def there_and_back(key):
        x, condition = jnp.zeros((2, side, side, 3)), jnp.zeros((2, 5))
        of_role = models.initialize(networks, Roles(key, key, key), x, condition)
        noise = jnp.zeros((2, networks.encoder.noise_dim))
        z = networks.encoder.apply(variables(*of_role, "encoder"), x, noise, condition, train=False).z
        return z, networks.generator.apply(variables(*of_role, "generator"), z, condition, train=False)

    z, x = jax.eval_shape(there_and_back, jax.random.key(0))
    assert z.shape == (2, 6) and x.shape == (2, side, side, 3)
