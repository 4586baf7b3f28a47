"""Real pairs against generated pairs."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from ali_jax.terms.game import Players, Round, Share, needs
from ali_jax.terms.means import known, mean_where


@needs(labels=lambda settings: settings.get("unlabelled", False))
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
    s_q, s_p = round.real.score, round.generated.score

    def over_q(values: jax.Array) -> jax.Array:
        return mean_where(1 - known(round.batch), values) if unlabelled else jnp.mean(values)

    loss_d, loss_ge = discriminator_loss(s_q, s_p, over_q), generator_encoder_loss(s_q, s_p, over_q)
    metrics = {
        "D_real": over_q(jax.nn.sigmoid(s_q)),
        "D_generated": jnp.mean(jax.nn.sigmoid(s_p)),
    }
    d_alone = isinstance(ge, int | float) and ge == 0  # a traced weight is never left out
    return Share(d * loss_d, None if d_alone else ge * loss_ge, metrics)


def discriminator_loss(s_q: jax.Array, s_p: jax.Array, over_q: Callable = jnp.mean) -> jax.Array:
    """-E_q[log D] - E_p[log(1 - D)] from logits s of any shape (Section 2), a scalar."""
    return over_q(jax.nn.softplus(-s_q)) + jnp.mean(jax.nn.softplus(s_p))


def generator_encoder_loss(s_q: jax.Array, s_p: jax.Array, over_q: Callable = jnp.mean) -> jax.Array:
    """-E_q[log(1 - D)] - E_p[log D]: the labels swapped in both terms (Section 2), a scalar.

    It is not minus the discriminator's loss (that saturates where D is sure), yet at s = 0 the gradients
    with respect to the logits are exactly opposite. G and E both descend this one scalar.
    """
    return over_q(jax.nn.softplus(s_q)) + jnp.mean(jax.nn.softplus(-s_p))
