"""Penalties on D's slope, which keep it from being sure of itself on what it was shown.

A penalty of every so many steps is a branch of the step's program. Where the number of the step is known when
the program is made (`due`, `settled`), it is in the program or is not: on a CPU, XLA compiles what is in a
branch without its fast convolutions, so that one penalty in eight steps took longer there than eight.
"""

from collections.abc import Collection, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from ali_jax.ranges import SETTINGS, require
from ali_jax.terms.game import Players, Round, Share, Term
from ali_jax.terms.needs import need_of, needs


@needs(one_kind=True)
def r1(round: Round, players: Players, key: jax.Array, *, gamma: float = 0.1, every: int = 1) -> Share:
    """gamma / 2 times the mean, over real pairs, of |d score / d (x, z_hat)|^2 (Mescheder et al., 2018).

    For D alone: x and z_hat are held fixed. The derivative is by the pair before the game's disturbance, with
    D's dropout as in training, and its batch normalisation over real pairs alone. Where D packs pairs, the
    mean is over packs.

    Args:
      every: steps from one application to the next, each then as many times as heavy: it weighs the same, and
        costs less (Karras et al., 2020); on a CPU, in the trainer with one step a call.
    """
    z_hat = None if round.encoding is None else round.encoding.z
    return _penalty(round, players, key, gamma, every, (round.x, z_hat))


@needs(one_kind=True)
def r2(round: Round, players: Players, key: jax.Array, *, gamma: float = 0.1, every: int = 1) -> Share:
    """`r1` at generated pairs (x_tilde, z) (Mescheder et al., 2018)."""
    z = None if round.encoding is None else round.z  # which D of a plain GAN does not see
    return _penalty(round, players, key, gamma, every, (round.x_tilde, z))


def _penalty(round, players, key, gamma, every, pairs) -> Share:
    require("The setting every of a term of config.terms", every, SETTINGS["every"])
    pairs = jax.lax.stop_gradient(tuple(pairs))  # D's affair alone

    def summed_scores(pairs):
        scores = players.judge(*pairs, key).score
        return jnp.sum(scores), len(scores)  # of each pair, or pack of pairs

    def penalty() -> jax.Array:
        # Each pair's score depends, but for batch normalisation, on that pair alone: the gradient of the sum
        # holds every pair's own.
        slopes, count = jax.grad(summed_scores, has_aux=True)(pairs)
        squares = sum(jnp.sum(jnp.square(slope.astype(jnp.float32))) for slope in jax.tree.leaves(slopes))
        return every * gamma / 2 * squares / count

    applied = every == 1 or round.step % every == 0
    if isinstance(applied, bool):  # known while the program is made
        return Share(d=penalty() if applied else jnp.float32(0))
    return Share(d=jax.lax.cond(applied, penalty, lambda: jnp.float32(0)))


def seldom(named: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """The penalties among config.terms that are not of every step, each with its number of steps."""
    every = {name: named[name].get("every", 1) for name in PENALTIES if name in named}
    return {name: steps for name, steps in every.items() if steps > 1}


def due(named: Mapping[str, Mapping[str, Any]], step: int, count: int = 1) -> tuple[str, ...] | None:
    """Which of the penalties with `every` above 1 the step after `step` steps applies: their names, maybe ().

    None where config.terms has no such penalty, or where a call runs a `count` of several steps, so that the
    compiled program must decide by itself.
    """
    if count > 1 or not (every := seldom(named)):
        return None
    return tuple(name for name, steps in every.items() if step % steps == 0)


def settled(terms: Mapping[str, Term], due: Collection[str]) -> dict[str, Term]:
    """The game at a step that applies, of the penalties with `every` above 1, those that are `due`.

    So the compiled program needs no branch, which XLA runs badly on a CPU.
    """
    # Told that no step was done yet a penalty is applied; told that one was, only if it is of every step.
    known = {name: _after(int(name not in due), term) for name, term in terms.items() if name in PENALTIES}
    return {**terms, **known}


def _after(step: int, term: Term) -> Term:
    """A term as it is after so many steps, whatever the round says."""

    @needs(**need_of(term)._asdict())
    def then(round: Round, players: Players, key: jax.Array) -> Share:
        return term(round._replace(step=step), players, key)

    return then


PENALTIES = ("r1", "r2")
