"""What a member has to say of examples, from one pass of its networks."""

import functools
from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ali_jax import inference
from ali_jax.inference.chunks import each_chunk
from ali_jax.models import unit_interval

DRAWS = 8  # of z, of each example; even
CHUNK = 1024  # examples of a pass, always, also where there are fewer


class Evidence(NamedTuple):
    """Of N examples of F values; float32 arrays."""

    residual: jax.Array  # (N, F): x - G(mu)
    mu: jax.Array  # (N, Z): the mean of q(z|x)
    error: jax.Array  # (N,): |x - G(z)|^2, a mean over draws of z from q(z|x)
    divergence: jax.Array  # (N,): KL of q(z|x) from the prior N(0, 1)
    joint: jax.Array  # (N,): D's logit of (x, mu), high for the encoder's pairs
    moved: jax.Array  # (N,): L1 distance of D's last hidden layer at (x, mu) from that at (G(mu), mu)
    # Of a D that tells twins apart, else None:
    twins_moved: jax.Array | None = None  # (N,): the same of D_xx, at (x, x) and at (x, G(mu))
    twins: jax.Array | None = None  # (N,): logit of D_xx at (x, G(mu)), high for twins


def chunks(model: inference.Model, x: np.ndarray) -> Iterator[Evidence]:
    """The evidence of x (N, ...), scaled, CHUNK examples at a time.

    What is said of an example does not depend on the others: networks run with running statistics, and passes
    have one size.
    """
    noise = _noise(model.networks.encoder.noise_dim)
    variables = tuple(model.variables(role) for role in ("generator", "encoder", "discriminator"))
    return each_chunk(functools.partial(_pass, model.networks, variables, noise=noise), x, size=CHUNK)


@functools.partial(jax.jit, static_argnums=0)
def _pass(networks, variables, x, noise) -> Evidence:
    of_g, of_e, of_d = variables
    x = unit_interval(x)
    none = jnp.zeros((len(x), networks.encoder.noise_dim))
    mu, _, sigma = networks.encoder.apply(of_e, x, none)  # a draw without noise is the mean
    x_hat = networks.generator.apply(of_g, mu).astype(jnp.float32)

    def draw(noise):
        if networks.encoder.posterior == "gaussian":
            return mu + sigma * noise[None]
        return networks.encoder.apply(of_e, x, jnp.broadcast_to(noise[None], none.shape)).z

    def error(noise):  # of one draw
        x_tilde = networks.generator.apply(of_g, draw(noise))
        return jnp.sum(jnp.square(x - x_tilde).reshape(len(x), -1), axis=1)

    pair, reconstructed = (networks.discriminator.apply(of_d, v, mu) for v in (x, x_hat))
    squares = jnp.square(mu) if sigma is None else jnp.square(mu) + jnp.square(sigma) - 1 - 2 * jnp.log(sigma)
    twins_moved = twins = None
    if networks.discriminator.xx_stack is not None:
        same, like = (networks.discriminator.apply(of_d, "xx", x, v, method="compare") for v in (x, x_hat))
        twins_moved, twins = _distance(same.hidden, like.hidden), like.score
    return Evidence(
        residual=(x - x_hat).reshape(len(x), -1),
        mu=mu,
        error=jnp.mean(jax.lax.map(error, noise), axis=0),
        divergence=jnp.sum(squares, axis=1) / 2,
        joint=pair.score,
        moved=_distance(pair.hidden, reconstructed.hidden),
        twins_moved=twins_moved,
        twins=twins,
    )


def _noise(dim: int) -> np.ndarray:
    """(DRAWS, dim): the same for every example, so that scores are comparable, and in opposite pairs."""
    half = np.random.default_rng(0).standard_normal((DRAWS // 2, dim)).astype(np.float32)
    return np.concatenate([half, -half])


def _distance(first: jax.Array, second: jax.Array) -> jax.Array:
    return jnp.sum(jnp.abs(first - second), axis=1)
