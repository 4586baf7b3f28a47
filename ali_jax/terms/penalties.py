"""Penalties on D's slope, which keep it from being sure of itself on what it was shown."""

import jax
import jax.numpy as jnp

from ali_jax.errors import UserError
from ali_jax.terms.game import Players, Round, Share, needs


@needs(encoder=True)
def r1(round: Round, players: Players, key: jax.Array, *, gamma: float = 0.1, every: int = 1) -> Share:
    """gamma / 2 times the squared slope of D's score at real pairs (Mescheder et al., 2018).

    Args:
      every: steps from one application to the next, each then as many times as heavy: it weighs the same, and
        costs less on an accelerator (Karras et al., 2020). Not on a CPU: what a step may leave out, XLA
        compiles without its fast convolutions, so that one in four takes longer there than all.
    """
    return _penalty(round, players, key, gamma, every, (round.x, round.encoding.z))


@needs(encoder=True)
def r2(round: Round, players: Players, key: jax.Array, *, gamma: float = 0.1, every: int = 1) -> Share:
    """`r1` at generated pairs (Mescheder et al., 2018)."""
    return _penalty(round, players, key, gamma, every, (round.x_tilde, round.z))


def _penalty(round, players, key, gamma, every, pairs) -> Share:
    if every < 1 or every != int(every):
        raise UserError(f"The setting every of a term of config.terms is {every}; it must be 1, 2, 3 ...")
    pairs = jax.lax.stop_gradient(tuple(pairs))  # D's affair alone

    def summed_scores(pairs):
        scores = players.judge(*pairs, key).score
        return jnp.sum(scores), len(scores)  # of each pair, or pack of pairs

    def penalty() -> jax.Array:
        # Each pair's score depends, but for batch normalisation, on that pair alone: the gradient of the sum
        # holds every pair's own.
        slopes, count = jax.grad(summed_scores, has_aux=True)(pairs)
        squares = sum(jnp.sum(jnp.square(slope)) for slope in slopes)
        return every * gamma / 2 * squares / count

    if every == 1:
        return Share(d=penalty())
    return Share(d=jax.lax.cond(round.step % every == 0, penalty, lambda: jnp.zeros(())))
