import jax
import jax.numpy as jnp
import pytest

from ali_jax import config as config_lib
from ali_jax import models, recipes
from ali_jax.models.rows import Row
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
