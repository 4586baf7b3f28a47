"""Each player's gradient of its own loss, all at the same parameters.

A step is three functions in a row: G and E make pairs, D judges them, and the terms make losses of the
judgement. On the way back D is the dear one, as both losses have to go through it.

Once will do where D gives a pair i a single number s_i, in which other pairs have no say. For either loss L

    dL / dpair_i = dL / ds_i * ds_i / dpair_i,

so that what G and E learn through D is what D's own loss leaves at its input, times a factor for each pair.
Batch normalisation in D gives other pairs a say, and a score of x alone is a second number: there both losses
go through D.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from ali_jax.models import Judgement, scores_each_alone
from ali_jax.roles import Roles
from ali_jax.rounds import Made, Pass
from ali_jax.terms import Needs

# Of parameters, what was made, and its judgement: the losses of D, and of G and E; and what else there is.
Losses = Callable[[Roles, Made, Judgement], tuple[tuple[jax.Array, jax.Array], Any]]

# Stands for a slope of D's loss that is zero or nearly, as where D is sure of a pair: too small for D to
# learn of it, and large enough that float32, which ends at 1e-38, still holds it times the slopes of all of
# D's layers, of which a D with small weights has some 1e-8 and far less.
FLAT = 1e-20


def gradients(game: Pass, losses: Losses, params: Roles) -> tuple[Roles, Roles, Any]:
    """D's gradient of its loss, and those of G and E of theirs.

    Returns:
      The gradients; the running statistics after the pass; what the losses gave beside themselves.
    """
    made, pull_made, (stats_g, stats_e) = jax.vjp(game.make, params, has_aux=True)
    judged, pull_judged, stats_d = jax.vjp(game.judge, params, made.shown, has_aux=True)
    _, pull_losses, other = jax.vjp(losses, params, made, judged, has_aux=True)

    one, zero = jnp.float32(1), jnp.float32(0)
    (of_d, _, judged_d), (of_ge, made_ge, judged_ge) = pull_losses((one, zero)), pull_losses((zero, one))
    # Also a D of one's own that says so of itself: with a logit of each class a pair has no single number.
    if through_d_once(game.networks, game.needs) and judged.joint.shape[-1] == 1:
        slope_d, slope_ge = slope(judged_d), slope(judged_ge)
        slope_d = jnp.where(jnp.abs(slope_d) < FLAT, FLAT, slope_d)
        by_d, shown_d = pull_judged(of_slope(judged_d, slope_d))
        shown_ge = jax.tree.map(lambda shown: times(slope_ge / slope_d, shown), shown_d)
    else:
        # Two pullbacks; each player keeps its own part, and XLA drops the halves that nobody keeps.
        (by_d, _), (_, shown_ge) = pull_judged(judged_d), pull_judged(judged_ge)
    (by_ge,) = pull_made(made_ge._replace(shown=shown_ge))

    of_d, of_ge = (jax.tree.map(jnp.add, *two) for two in ((of_d, by_d), (of_ge, by_ge)))
    grads = Roles(of_ge.generator, of_ge.encoder, of_d.discriminator)
    return grads, Roles(stats_g, stats_e, stats_d), other


def through_d_once(networks: Roles, needs: Needs) -> bool:
    """Whether all that terms see of a pair, or pack of pairs, is one number, in which others have no say."""
    others = needs.hidden or {"x", "z"} & {*needs.heads}
    return needs.generated and not others and scores_each_alone(networks.discriminator)


def slope(cotangent: Judgement) -> jax.Array:
    """(N,): the slope of a loss by the score, which is D's only logit too."""
    return cotangent.joint[:, 0] + cotangent.score


def of_slope(cotangent: Judgement, wanted: jax.Array) -> Judgement:
    """A cotangent like this one, whose `slope` is the one that is wanted (N,)."""
    return cotangent._replace(joint=wanted[:, None], score=jnp.zeros_like(wanted))


def times(factors: jax.Array, shown: jax.Array) -> jax.Array:
    """What was shown in N pairs, or packs of as many pairs each, times a factor (N,) of each."""
    of_examples = jnp.repeat(factors, len(shown) // len(factors))
    return (shown * of_examples.reshape(-1, *(1,) * (shown.ndim - 1))).astype(shown.dtype)
