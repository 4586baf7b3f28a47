"""Real pairs against generated pairs."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from ali_jax.errors import UserError
from ali_jax.terms.game import Players, Round, Share
from ali_jax.terms.means import known, mean_where
from ali_jax.terms.needs import needs


def _if_unlabelled(settings: Mapping[str, Any]) -> bool:
    return settings.get("unlabelled", False)


@needs(labels=_if_unlabelled)
def adversarial(
    round: Round,
    players: Players,
    key: jax.Array,
    *,
    d: float = 1.0,
    ge: float = 1.0,
    unlabelled: bool = False,
) -> Share:
    """The game of the paper (Section 2, Algorithm 1): real pairs against generated pairs.

    With a logit for each class, D's probability that a pair is the encoder's is that of any class
    (Section 4.3; Salimans et al., 2016).

    Args:
      d: weight of D's share.
      ge: weight of the share of G and E; 0: D alone plays.
      unlabelled: whether pairs of examples whose label is known take no part.
    """
    s_q, s_p, over_q = round.real.score, round.generated.score, _over_real(round, unlabelled)
    loss_d, loss_ge = discriminator_loss(s_q, s_p, over_q), generator_encoder_loss(s_q, s_p, over_q)
    metrics = {
        "D_real": over_q(jax.nn.sigmoid(s_q)),
        "D_generated": jnp.mean(jax.nn.sigmoid(s_p)),
    }
    d_alone = isinstance(ge, int | float) and ge == 0  # a traced weight is never left out
    return Share(d * loss_d, None if d_alone else ge * loss_ge, metrics)


@needs()
def hinge(round: Round, players: Players, key: jax.Array, *, d: float = 1.0, ge: float = 1.0) -> Share:
    """In place of `adversarial`: the hinge (Lim & Ye, 2017), as BigBiGAN (Donahue & Simonyan, 2019)."""
    loss_d, loss_ge = hinge_losses(round.real.score, round.generated.score)
    return Share(d * loss_d, ge * loss_ge, _chances(round))


@needs()
def relativistic(round: Round, players: Players, key: jax.Array, *, d: float = 1.0, ge: float = 1.0) -> Share:
    """In place of `adversarial`: D says which of two pairs is the encoder's (Jolicoeur-Martineau, 2019).

    -log sigmoid(s_q - s_p) for D, -log sigmoid(s_p - s_q) for G and E; with `r1` and `r2` the loss of R3GAN
    (Huang et al., 2024).
    """
    difference = round.real.score - round.generated.score
    loss_d, loss_ge = (jnp.mean(jax.nn.softplus(sign * difference)) for sign in (-1, 1))
    return Share(d * loss_d, ge * loss_ge, _chances(round))


@needs(heads=("x",), labels=_if_unlabelled)
def unary_x(
    round: Round,
    players: Players,
    key: jax.Array,
    *,
    weight: float = 1.0,
    hinge: bool = False,
    unlabelled: bool = False,
) -> Share:
    """The game of D's score of x alone, beside the pair's (BigBiGAN, Donahue & Simonyan, 2019).

    Args:
      hinge: the losses of the term hinge in place of those of adversarial.
      unlabelled: as of adversarial.
    """
    return _unary(weight, hinge, round.real.x, round.generated.x, _over_real(round, unlabelled))


@needs(encoder=True, heads=("z",), labels=_if_unlabelled)
def unary_z(
    round: Round,
    players: Players,
    key: jax.Array,
    *,
    weight: float = 1.0,
    hinge: bool = False,
    unlabelled: bool = False,
) -> Share:
    """`unary_x` of z: codes of images against draws from the prior."""
    return _unary(weight, hinge, round.real.z, round.generated.z, _over_real(round, unlabelled))


def _unary(
    weight: float, hinge: bool, s_q: jax.Array | None, s_p: jax.Array | None, over_q: Callable
) -> Share:
    if s_q is None or s_p is None:  # of a D that is not of `models`
        raise UserError(
            "A term plays with D's score of x or of z alone, and D's Judgement has none; let it give both x "
            "and z, or drop unary_x and unary_z."
        )
    if hinge:
        d, ge = hinge_losses(s_q, s_p, over_q)
    else:
        d, ge = discriminator_loss(s_q, s_p, over_q), generator_encoder_loss(s_q, s_p, over_q)
    return Share(weight * d, weight * ge)


def _over_real(round: Round, unlabelled: bool) -> Callable:
    """The mean over real pairs, or over those of examples whose label is not known."""
    return functools.partial(mean_where, 1 - known(round.batch)) if unlabelled else jnp.mean


def _chances(round: Round) -> dict[str, jax.Array]:
    """What sigmoid(s) is on average, to log."""
    judged = {"D_real": round.real, "D_generated": round.generated}
    return {name: jnp.mean(jax.nn.sigmoid(judgement.score)) for name, judgement in judged.items()}


def hinge_losses(s_q: jax.Array, s_p: jax.Array, over_q: Callable = jnp.mean) -> tuple[jax.Array, jax.Array]:
    """(loss of D, loss of G and E): E_q max(0, 1 - s) + E_p max(0, 1 + s), and E_q s - E_p s."""
    of_d = over_q(jax.nn.relu(1 - s_q)) + jnp.mean(jax.nn.relu(1 + s_p))
    return of_d, over_q(s_q) - jnp.mean(s_p)


def discriminator_loss(s_q: jax.Array, s_p: jax.Array, over_q: Callable = jnp.mean) -> jax.Array:
    """-E_q[log D] - E_p[log(1 - D)] from logits s of any shape (Section 2), a scalar."""
    return over_q(jax.nn.softplus(-s_q)) + jnp.mean(jax.nn.softplus(s_p))


def generator_encoder_loss(s_q: jax.Array, s_p: jax.Array, over_q: Callable = jnp.mean) -> jax.Array:
    """-E_q[log(1 - D)] - E_p[log D]: the labels swapped in both terms (Section 2), a scalar.

    It is not minus the discriminator's loss (that saturates where D is sure), yet at s = 0 the gradients
    with respect to the logits are exactly opposite. G and E both descend this one scalar.
    """
    return over_q(jax.nn.softplus(s_q)) + jnp.mean(jax.nn.softplus(-s_p))
