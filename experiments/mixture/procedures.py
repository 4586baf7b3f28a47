"""Training procedures to compare with ALI: a GAN with inference learned later, and a VAE.

Each is a step (state, batch) -> (state, metrics) on the state of the game, with one optimizer a role: what is
frozen has `optax.set_to_zero()`, and what has no part in a loss stays where it began.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from ali_jax import data, models
from ali_jax.inference import Model
from ali_jax.players import BoundNetworks
from ali_jax.roles import Roles
from ali_jax.train_step import TrainState, advance, apply_updates, train_step
from experiments.mixture import search

LEARNING_RATE, B1 = 1e-4, 0.5  # of what is trained here; ours, as the paper does not say
DECODER_STD = data.MIXTURES["mixture"].std  # of the VAE's p(x|z); ours


class Frozen(models.Generator):
    """A generator with the same parameters that runs with its running statistics in training too."""

    def __call__(self, z, condition=None, *, train: bool = False):
        return super().__call__(z, condition, train=False)

    @classmethod
    def of(cls, generator: models.Generator) -> "Frozen":
        """The same generator, frozen."""
        names = (
            field.name for field in dataclasses.fields(generator) if field.name not in ("parent", "name")
        )
        return cls(**{name: getattr(generator, name) for name in names})


class Procedure(NamedTuple):
    networks: Roles
    optimizers: Roles
    step: Callable  # (state, batch, networks=..., optimizers=...) -> (state, metrics)
    start: Callable  # state as from `init_state` -> state to train from


def procedures(config: ConfigDict, gan: Model) -> dict[str, Procedure]:
    """The columns (b), (c) and (d) of figure 8, and (d) with a learned standard deviation."""
    adam, still = optax.adam(LEARNING_RATE, b1=B1, b2=config.b2), optax.set_to_zero()
    joint, vae = search.build(config, "ali"), search.build(gaussian(config), "ali")
    frozen = joint._replace(generator=Frozen.of(joint.generator))
    take_over = functools.partial(with_generator, gan)

    def descent(loss: Callable, **options) -> Callable:
        return functools.partial(descent_step, loss=functools.partial(loss, **options))

    def of_vae(std: float | None) -> Procedure:
        return Procedure(vae, Roles(adam, adam, still), descent(negative_elbo, std=std), lambda s: s)

    return {
        "inverse_mapping": Procedure(frozen, Roles(still, adam, still), descent(inverse_mapping), take_over),
        "post_hoc": Procedure(frozen, Roles(still, adam, adam), train_step, take_over),
        "vae": of_vae(DECODER_STD),
        "vae_learned_std": of_vae(None),
    }


def gaussian(config: ConfigDict) -> ConfigDict:
    """The config with an encoder that gives mu and log sigma, and takes no noise as an input."""
    config = config.copy_and_resolve_references()
    config.model.posterior = "gaussian"
    config.model.encoder = tuple(row for row in config.model.encoder if row[0] != "noise")
    return config


def with_generator(model: Model, state: TrainState) -> TrainState:
    """The state with the model's generator."""
    params = state.params._replace(generator=model.params.generator)
    batch_stats = state.batch_stats._replace(generator=model.batch_stats.generator)
    return state._replace(params=params, batch_stats=batch_stats)


# --- Losses: (networks, params, batch_stats, x, key) -> (scalar, batch_stats) ----------------------


def inverse_mapping(networks: Roles, params: Roles, batch_stats: Roles, x, key: jax.Array):
    """E ||z - E(G(z))||^2 over z from the prior; of x only the number of points counts."""
    key_z, key_noise = jax.random.split(key)
    bound = BoundNetworks(networks, params, batch_stats)
    z = networks.generator.sample_prior(key_z, len(x))
    x_tilde, stats_g = bound.generate(z)
    encoding, stats_e = bound.encode(x_tilde, key_noise)
    loss = jnp.mean(jnp.sum(jnp.square(z - encoding.z), axis=1))
    return loss, batch_stats._replace(generator=stats_g, encoder=stats_e)


def negative_elbo(networks: Roles, params: Roles, batch_stats: Roles, x, key: jax.Array, *, std):
    """E_q[-log N(x; G(z), std^2 I)] + KL(q(z|x) || N(0, I)) of a Gaussian encoder, in nats a point.

    std None: the one of greatest likelihood for the batch, which has a closed form.
    """
    bound = BoundNetworks(networks, params, batch_stats)
    encoding, stats_e = bound.encode(x, key)
    x_hat, stats_g = bound.generate(encoding.z)
    squares = jnp.square(x - x_hat)
    variance = jnp.mean(squares) if std is None else jnp.square(std)
    surprise = 0.5 * jnp.sum(squares / variance + jnp.log(2 * jnp.pi * variance), axis=1)
    loss = jnp.mean(surprise + divergence_from_prior(encoding.mu, encoding.sigma))
    return loss, batch_stats._replace(generator=stats_g, encoder=stats_e)


def divergence_from_prior(mu: jax.Array, sigma: jax.Array) -> jax.Array:
    """KL(N(mu, sigma^2) || N(0, I)) of each row, (N, n) -> (N,)."""
    return 0.5 * jnp.sum(jnp.square(mu) + jnp.square(sigma) - 1 - 2 * jnp.log(sigma), axis=1)


def descent_step(state: TrainState, batch, *, loss: Callable, networks: Roles, optimizers: Roles):
    """One update of all roles on the gradient of one loss: what is no game."""

    def of_params(params: Roles):
        key = jax.random.fold_in(state.key, state.step)
        return loss(networks, params, state.batch_stats, batch["x"], key)

    (value, batch_stats), grads = jax.value_and_grad(of_params, has_aux=True)(state.params)
    params, opt_state = apply_updates(optimizers, grads, state)
    return advance(state, params, batch_stats, opt_state, average_rate=0.0), {"loss": value}
