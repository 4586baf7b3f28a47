"""Measures of the 25-mode study: pure functions of arrays, to be jitted and vmapped at will.

Points that are not finite, as of a run that diverged, belong to no mode.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ali_jax import data
from ali_jax.roles import Roles, variables

NEAR = 3 * data.MIXTURE_STD  # how far from a mean a sample still is of high quality
ENOUGH = 20  # samples of high quality by which a mode is covered strictly: of 10,000, 400 belong to it
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


def of_model(networks: Roles, params: Roles, batch_stats: Roles, x):
    """(`observe`, `measure`) of a model, with the same noise each time."""
    points = observe(networks, params, batch_stats, x, jax.random.key(0))
    return points, measure(points, x)


def measure(points: Points, x: jax.Array) -> dict[str, jax.Array]:
    """Every measure of a model, scalars by name; x (N, 2) is what was reconstructed."""
    measures = {
        "modes_covered": modes_covered(points.samples),
        "modes_covered_strictly": modes_covered_strictly(points.samples),
        "high_quality_share": high_quality_share(points.samples),
        "diverged": ~jnp.all(jnp.isfinite(points.samples)),
    }
    if points.codes is not None:
        measures["reconstruction_error"] = reconstruction_error(x, points.reconstructions)
        measures["distance_to_prior"] = distance_to_prior(points.codes)
    return measures


def modes_covered(samples: jax.Array) -> jax.Array:
    """The paper's count: modes that are the most responsible one for at least one sample.

    Weights and covariances are equal, so the most responsible component is that of the nearest mean.
    """
    index, distance = nearest_mode(samples)
    return jnp.sum(_count(index, jnp.isfinite(distance)) >= 1)


def modes_covered_strictly(samples: jax.Array) -> jax.Array:
    """Our count: modes with at least ENOUGH samples within three standard deviations of their mean."""
    index, distance = nearest_mode(samples)
    return jnp.sum(_count(index, distance <= NEAR) >= ENOUGH)


def high_quality_share(samples: jax.Array) -> jax.Array:
    """Share of samples within three standard deviations of a mean (of the data: 0.989)."""
    return jnp.mean(nearest_mode(samples)[1] <= NEAR)


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


def nearest_mode(points: jax.Array) -> tuple[jax.Array, jax.Array]:
    """(index of the nearest mean, distance to it), each (N,); points that are not finite have no distance."""
    means = jnp.asarray(data.MIXTURE_MEANS, points.dtype)
    distances = jnp.linalg.norm(points[:, None] - means[None], axis=-1)  # (N, 25)
    return jnp.argmin(distances, axis=1), jnp.min(distances, axis=1)


def _count(index: jax.Array, counted: jax.Array) -> jax.Array:
    """How many of the counted samples each mode has, (25,)."""
    modes = jnp.arange(len(data.MIXTURE_MEANS))
    return jnp.sum((index[:, None] == modes[None]) & counted[:, None], axis=0)
