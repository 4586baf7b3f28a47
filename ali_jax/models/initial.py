"""The parameters and running statistics that training starts from."""

from typing import Any

import jax
import jax.numpy as jnp

from ali_jax.models.discriminator import packing_of
from ali_jax.models.networks import any_stack
from ali_jax.roles import Roles


def initialize(
    networks: Roles, keys: Roles, x: jax.Array, attributes: jax.Array | None
) -> tuple[Roles, Roles]:
    """(parameters, running statistics) of fresh networks.

    Args:
      networks: as from `models.build`.
      keys: a key for each role.
      x: floats (M, ...): shapes of the examples; G starts at their mean (see `Generator.start_at_mean`), and
        units of a weight-normalised E or D with standard deviation 1 over them and, with a bias, mean 0.
      attributes: (M, A) where the networks are conditional.
    """
    one_z = jnp.zeros((1, networks.generator.latent_dim))
    generator = dict(networks.generator.init(keys.generator, one_z, first(attributes, 1)))
    generator["params"] = networks.generator.start_at_mean(generator["params"], x)
    encoder = {}
    if networks.encoder is not None:
        encoder = _encoder(networks.encoder, keys.encoder, x, attributes)
    made = Roles(generator, encoder, _discriminator(networks, keys.discriminator, x, attributes))
    params = Roles(*(of_role.get("params", {}) for of_role in made))
    return params, Roles(*(of_role.get("batch_stats", {}) for of_role in made))


def _encoder(encoder: Any, key: jax.Array, x: jax.Array, attributes: jax.Array | None):
    """The variables of E. One that starts on data sees x as in training, without a noise of its own."""
    on_data = starts_on_data(encoder)
    count = len(x) if on_data else 1
    noise = jnp.zeros((count, encoder.noise_dim))
    return encoder.init(key, x[:count], noise, first(attributes, count), train=on_data)


def _discriminator(networks: Roles, key: jax.Array, x: jax.Array, attributes: jax.Array | None):
    """The variables of D. One that starts on data sees x with its noise and dropout, and z from the prior."""
    generator, discriminator = networks.generator, networks.discriminator
    packing = packing_of(discriminator)
    if not starts_on_data(discriminator) or len(x) < packing:
        one = x[:1], jnp.zeros((1, generator.latent_dim)), first(attributes, 1)
        return discriminator.init(key, *(_repeat(a, packing) for a in one))
    count = len(x) - len(x) % packing
    key, key_z, key_noise = jax.random.split(key, 3)
    pairs = x[:count], generator.sample_prior(key_z, count), first(attributes, count)
    return discriminator.init({"params": key, "dropout": key_noise}, *pairs, train=True)


def starts_on_data(network: Any) -> bool:
    """Whether the start of a network depends on the examples, as weight normalisation's does."""
    return any_stack(network, "weight_norm")


def first(values: jax.Array | None, count: int) -> jax.Array | None:
    return None if values is None else values[:count]


def _repeat(one: jax.Array | None, count: int) -> jax.Array | None:
    return one if one is None or count == 1 else jnp.repeat(one, count, axis=0)
