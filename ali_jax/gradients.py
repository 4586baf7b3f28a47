"""Each player's gradient of its own loss, all at the same parameters.

A step is three functions in a row: G and E make pairs, D judges them, and the terms make losses of the
judgement. Going back through D is the expensive part, because both losses need it.

One backward pass through D is enough where each pair i gets a single score s_i that does not depend on the
other pairs. For either loss L

    dL / dpair_i = dL / ds_i * ds_i / dpair_i,

so that what G and E learn through D is what D's own loss leaves at its input, times a factor for each pair.
With batch normalisation in D scores depend on other pairs, and a score of x alone is a second number: then
both losses go back through D.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from ali_jax.models import Judgement, scores_each_alone
from ali_jax.roles import Roles
from ali_jax.rounds import ForwardPass, Made
from ali_jax.terms import Needs

# (parameters, what was made, its judgement) -> ((the loss of D, the loss of G and E), auxiliary output)
Losses = Callable[[Roles, Made, Judgement], tuple[tuple[jax.Array, jax.Array], Any]]

# Replaces a derivative of D's loss by a score that is zero or nearly, as where D is sure of a pair, since the
# loss of G and E is divided by it. What goes back through D has it as a factor, so for G and E it cancels.
# Too small for D to learn of it, and large enough that float32, which ends at 1e-38, still holds it times D's
# derivative by its input: some 1e-8 where weights are small, and far less.
FLAT = 1e-20


def gradients(forward: ForwardPass, losses: Losses, params: Roles) -> tuple[Roles, Roles, Any]:
    """D's gradient of its loss, and those of G and E of theirs.

    Returns:
      The gradients; the running statistics after the pass; the auxiliary output of `losses`.
    """
    made, pull_made, (stats_g, stats_e) = jax.vjp(forward.make, params, has_aux=True)
    judged, pull_judged, stats_d = jax.vjp(forward.judge, params, made.shown, has_aux=True)
    _, pull_losses, other = jax.vjp(losses, params, made, judged, has_aux=True)

    # "d" is of D's loss, "ge" of that of G and E; "ct" is a cotangent: the derivative by what is named.
    one, zero = jnp.float32(1), jnp.float32(0)
    d_direct, _, ct_judged_d = pull_losses((one, zero))
    ge_direct, ct_made_ge, ct_judged_ge = pull_losses((zero, one))
    # Also a custom D that says so of itself: with a logit for each class a pair has no single score.
    if through_d_once(forward.bound.networks, forward.needs) and judged.joint.shape[-1] == 1:
        by_score_d, by_score_ge = _by_score(ct_judged_d), _by_score(ct_judged_ge)
        by_score_d = jnp.where(jnp.abs(by_score_d) < FLAT, FLAT, by_score_d)
        d_through_d, ct_shown_d = pull_judged(_of_score(ct_judged_d, by_score_d))
        ct_shown_ge = jax.tree.map(lambda ct: _scaled(ct, by_score_ge / by_score_d), ct_shown_d)
    else:
        # Each player keeps its own part, and XLA drops the halves that nobody keeps.
        (d_through_d, _), (_, ct_shown_ge) = pull_judged(ct_judged_d), pull_judged(ct_judged_ge)
    (ge_through_pairs,) = pull_made(ct_made_ge._replace(shown=ct_shown_ge))

    of_d = jax.tree.map(jnp.add, d_direct, d_through_d)
    of_ge = jax.tree.map(jnp.add, ge_direct, ge_through_pairs)
    grads = Roles(of_ge.generator, of_ge.encoder, of_d.discriminator)
    return grads, Roles(stats_g, stats_e, stats_d), other


def through_d_once(networks: Roles, needs: Needs) -> bool:
    """Whether all that terms see of a pair, or pack of pairs, is one score, which others do not change."""
    others = needs.hidden or {"x", "z"} & {*needs.heads}
    return needs.generated and not others and scores_each_alone(networks.discriminator)


def _by_score(ct_judged: Judgement) -> jax.Array:
    """(N,): the derivative of a loss by each score, which is D's only logit too."""
    return ct_judged.joint[:, 0] + ct_judged.score


def _of_score(ct_judged: Judgement, by_score: jax.Array) -> Judgement:
    """A cotangent like this one, whose derivatives by the scores are `by_score` (N,)."""
    return ct_judged._replace(joint=by_score[:, None], score=jnp.zeros_like(by_score))


def _scaled(ct_shown: jax.Array, factors: jax.Array) -> jax.Array:
    """The cotangent of N pairs, or of N packs of several pairs each, times a factor (N,) of each."""
    of_examples = jnp.repeat(factors, len(ct_shown) // len(factors))
    return (ct_shown * of_examples.reshape(-1, *(1,) * (ct_shown.ndim - 1))).astype(ct_shown.dtype)
