"""Objectives of the game: functions of logits.

An objective maps (logits_q, logits_p, batch) to (loss of D, loss of G and E, metrics). The logits are
float32 (M, K): D's judgement of the encoder's pairs (x, E(x)), drawn from q(x, z), and of the generator's
pairs (G(z), z), drawn from p(x, z). With one logit, D's probability that a pair is the encoder's is
sigmoid(logit); with a logit for each of K classes it is sigmoid(logsumexp(logits)).
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


def semi_supervised(
    logits_q: jax.Array,
    logits_p: jax.Array,
    batch: Mapping[str, jax.Array],
    unsupervised_weight: float = 1.0,
) -> tuple[jax.Array, jax.Array, dict[str, jax.Array]]:
    """The game of K + 1 classes (Section 4.3; Salimans et al., 2016): the last class is "generated".

    Its logit is fixed at 0, so that the K others say both which class a pair is of (softmax) and whether it
    is the encoder's (sigmoid of their logsumexp). Labelled pairs teach D their class, unlabelled ones that
    they are of any of the K. G and E play the game of `joint_adversarial` with D's logsumexp. That only D
    learns from labels is our choice.

    Args:
      logits_q: (M, K).
      logits_p: (M, K).
      batch: "label" (M,) int32 of the encoder's pairs, -1 where it is not known.
      unsupervised_weight: of the game in D's loss, beside the labels'.
    """
    label = batch["label"]
    labelled = (label >= 0).astype(jnp.float32)
    s_q, s_p = jax.nn.logsumexp(logits_q, axis=-1), jax.nn.logsumexp(logits_p, axis=-1)
    of_label = jnp.take_along_axis(logits_q, jnp.maximum(label, 0)[:, None], axis=-1)[:, 0]
    loss_labels = mean_where(labelled, s_q - of_label)
    right = (jnp.argmax(logits_q, axis=-1) == label).astype(jnp.float32)

    unlabelled = 1 - labelled
    loss_pairs = mean_where(unlabelled, jax.nn.softplus(-s_q)) + jnp.mean(jax.nn.softplus(s_p))
    loss_ge = mean_where(unlabelled, jax.nn.softplus(s_q)) + jnp.mean(jax.nn.softplus(-s_p))
    metrics = {
        "D_real": mean_where(unlabelled, jax.nn.sigmoid(s_q)),
        "D_generated": jnp.mean(jax.nn.sigmoid(s_p)),
        "loss_labels": loss_labels,
        "accuracy_on_labels": mean_where(labelled, right),
    }
    return loss_labels + unsupervised_weight * loss_pairs, loss_ge, metrics


def feature_matching(
    outputs_q: jax.Array,
    outputs_p: jax.Array,
    batch: Mapping[str, jax.Array],
    num_classes: int,
    unsupervised_weight: float = 1.0,
) -> tuple[jax.Array, jax.Array, dict[str, jax.Array]]:
    """The baseline of Salimans et al. (2016): D as in `semi_supervised`, G matches the mean of D's features.

    Args:
      outputs_q: (M, K + F), the logits of the classes and, after them, features of D's.
      outputs_p: likewise.
      batch: as for `semi_supervised`.
      num_classes: K.
      unsupervised_weight: likewise.
    """
    logits_q, features_q = outputs_q[:, :num_classes], outputs_q[:, num_classes:]
    logits_p, features_p = outputs_p[:, :num_classes], outputs_p[:, num_classes:]
    loss_d, _, metrics = semi_supervised(logits_q, logits_p, batch, unsupervised_weight)
    unlabelled = (batch["label"] < 0).astype(jnp.float32)
    difference = mean_where(unlabelled[:, None], features_q) - jnp.mean(features_p, axis=0)
    return loss_d, jnp.mean(jnp.square(difference)), metrics


def mean_where(weights: jax.Array, values: jax.Array) -> jax.Array:
    """Mean over the first axis of the values of weight 1, not of weight 0; zero where there is none."""
    return jnp.sum(weights * values, axis=0) / jnp.maximum(jnp.sum(weights), 1.0)
