"""Measures of mixtures of Gaussians: pure functions of arrays, to be vmapped at will.

Points that are not finite, as of a run that diverged, belong to no mode.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ali_jax.data import Gaussians
from ali_jax.roles import Roles, variables

NEAR = 3  # standard deviations from a mean within which a sample is of high quality
ENOUGH = 20  # such samples by which a mode is covered strictly: of 10,000 and 25 modes, 400 are its own
PROJECTIONS = 32


class Points(NamedTuple):
    """Prior draws, and what a model makes of them and of test points; each (N, 2)."""

    prior: jax.Array
    samples: jax.Array
    codes: jax.Array | None  # None: a plain GAN
    reconstructions: jax.Array | None


def observe(networks: Roles, params: Roles, batch_stats: Roles, x, key: jax.Array) -> Points:
    """Samples, codes and reconstructions of x (N, 2), as many samples; codes are draws from q(z|x)."""
    key_z, key_noise = jax.random.split(key)

    def run(role: str, *inputs):
        return getattr(networks, role).apply(variables(params, batch_stats, role), *inputs)

    prior = networks.generator.sample_prior(key_z, len(x))
    samples = run("generator", prior)
    if networks.encoder is None:
        return Points(prior, samples, None, None)
    noise = jax.random.normal(key_noise, (len(x), networks.encoder.noise_dim))
    codes = run("encoder", x, noise).z
    return Points(prior, samples, codes, run("generator", codes))


@functools.partial(jax.jit, static_argnums=0)
def of_model(networks: Roles, params: Roles, batch_stats: Roles, x, mixture: Gaussians):
    """(`observe`, `measure`) of a model, with the same noise each time."""
    points = observe(networks, params, batch_stats, x, jax.random.key(0))
    return points, measure(points, x, mixture)


@jax.jit
def measure(points: Points, x: jax.Array, mixture: Gaussians) -> dict[str, jax.Array]:
    """Every measure of a model, scalars by name; x (N, 2), of the mixture, is what was reconstructed."""
    measures = {
        "modes_covered": modes_covered(points.samples, mixture),
        "modes_covered_strictly": modes_covered_strictly(points.samples, mixture),
        "high_quality_share": high_quality_share(points.samples, mixture),
        "inception_score": inception_score(points.samples, mixture),
        "diverged": ~jnp.all(jnp.isfinite(points.samples)),
    }
    if points.codes is not None:
        measures["reconstruction_error"] = reconstruction_error(x, points.reconstructions)
        measures["distance_to_prior"] = distance_to_prior(points.codes)
    return measures


def modes_covered(samples: jax.Array, mixture: Gaussians) -> jax.Array:
    """The paper's count: modes that are the most responsible one for at least one sample.

    Weights and covariances are equal, so the most responsible component is that of the nearest mean.
    """
    index, distance = nearest_mode(samples, mixture)
    return jnp.sum(_count(index, jnp.isfinite(distance), mixture) >= 1)


def modes_covered_strictly(samples: jax.Array, mixture: Gaussians) -> jax.Array:
    """Our count: modes with at least ENOUGH samples within three standard deviations of their mean."""
    index, distance = nearest_mode(samples, mixture)
    return jnp.sum(_count(index, distance <= NEAR * mixture.std, mixture) >= ENOUGH)


def high_quality_share(samples: jax.Array, mixture: Gaussians) -> jax.Array:
    """Share of samples within three standard deviations of a mean (of the data: 0.989)."""
    return jnp.mean(nearest_mode(samples, mixture)[1] <= NEAR * mixture.std)


def inception_score(samples: jax.Array, mixture: Gaussians) -> jax.Array:
    """exp(E KL(p(y | x) || p(y))) of samples x, where y is the component: at most as many as there are.

    ALICE's "ICP" on its toy data, with the true p(y | x) in place of a classifier. All components shall be
    there and no samples halfway between two; how near they are to a mean does not count.
    """
    squares = jnp.square(distances(samples, mixture))
    of_each = jax.nn.softmax(-squares / (2 * mixture.std**2))  # (N, modes)
    surprise = jax.scipy.special.entr
    return jnp.exp(jnp.sum(surprise(jnp.mean(of_each, 0))) - jnp.mean(jnp.sum(surprise(of_each), 1)))


def reconstruction_error(x: jax.Array, reconstructions: jax.Array) -> jax.Array:
    """Root of the mean squared distance between points (N, 2) and their reconstructions."""
    return jnp.sqrt(jnp.mean(jnp.sum(jnp.square(x - reconstructions), axis=1)))


def distance_to_prior(codes: jax.Array) -> jax.Array:
    """Sliced 2-Wasserstein distance between codes (N, 2) and N(0, I).

    Every projection of the prior is N(0, 1), whose quantiles are known: no draws from it are needed.
    """
    count = len(codes)
    angles = np.pi * np.arange(PROJECTIONS) / PROJECTIONS
    directions = jnp.asarray(np.stack([np.cos(angles), np.sin(angles)]), codes.dtype)
    projected = jnp.sort((codes @ directions).T, axis=1)  # (PROJECTIONS, N)
    quantiles = jax.scipy.special.ndtri((jnp.arange(count) + 0.5) / count)
    return jnp.sqrt(jnp.mean(jnp.square(projected - quantiles[None])))


def nearest_mode(points: jax.Array, mixture: Gaussians) -> tuple[jax.Array, jax.Array]:
    """(index of the nearest mean, distance to it), each (N,); points that are not finite have no distance."""
    of_each = distances(points, mixture)
    return jnp.argmin(of_each, axis=1), jnp.min(of_each, axis=1)


def distances(points: jax.Array, mixture: Gaussians) -> jax.Array:
    """Of points (N, 2) to all means: (N, modes)."""
    means = jnp.asarray(mixture.means, points.dtype)
    return jnp.linalg.norm(points[:, None] - means[None], axis=-1)


def _count(index: jax.Array, counted: jax.Array, mixture: Gaussians) -> jax.Array:
    """How many of the counted samples each mode has, (modes,)."""
    modes = jnp.arange(len(mixture.means))
    return jnp.sum((index[:, None] == modes[None]) & counted[:, None], axis=0)
