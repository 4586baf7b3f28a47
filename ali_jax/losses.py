"""Objectives of the game: functions of logits.

An objective maps (logits_q, logits_p, batch) to (loss of D, loss of G and E, metrics). The logits are
float32 (M, K): D's judgement of the encoder's pairs (x, E(x)), drawn from q(x, z), and of the generator's
pairs (G(z), z), drawn from p(x, z). K is 1 here; D's probability that a pair is the encoder's is
sigmoid(logit).
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp


def discriminator_loss(s_q: jax.Array, s_p: jax.Array) -> jax.Array:
    """-E_q[log D] - E_p[log(1 - D)] from logits s of any shape (Section 2), a scalar."""
    return jnp.mean(jax.nn.softplus(-s_q)) + jnp.mean(jax.nn.softplus(s_p))


def generator_encoder_loss(s_q: jax.Array, s_p: jax.Array) -> jax.Array:
    """-E_q[log(1 - D)] - E_p[log D]: the labels swapped in both terms (Section 2), a scalar.

    It is not minus the discriminator's loss (that saturates where D is sure), yet at s = 0 the gradients
    with respect to the logits are exactly opposite. G and E both descend this one scalar.
    """
    return jnp.mean(jax.nn.softplus(s_q)) + jnp.mean(jax.nn.softplus(-s_p))


def joint_adversarial(
    logits_q: jax.Array, logits_p: jax.Array, batch: Mapping[str, jax.Array]
) -> tuple[jax.Array, jax.Array, dict[str, jax.Array]]:
    """The game of the paper (Section 2, Algorithm 1): one logit, real pairs against generated pairs."""
    del batch  # Only objectives with labels look at it.
    s_q, s_p = logits_q[:, 0], logits_p[:, 0]
    metrics = {
        "D_real": jnp.mean(jax.nn.sigmoid(s_q)),
        "D_generated": jnp.mean(jax.nn.sigmoid(s_p)),
    }
    return discriminator_loss(s_q, s_p), generator_encoder_loss(s_q, s_p), metrics
