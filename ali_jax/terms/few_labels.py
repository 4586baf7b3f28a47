"""What D and G learn where a few examples have labels."""

import jax
import jax.numpy as jnp

from ali_jax.errors import UserError
from ali_jax.terms.game import Players, Round, Share, needs
from ali_jax.terms.means import known, mean_where


@needs(generated=False, labels=True)
def labels(round: Round, players: Players, key: jax.Array, *, weight: float = 1.0) -> Share:
    """Cross-entropy of the classes of labelled pairs, D's alone (Section 4.3; Salimans et al., 2016).

    That only D learns from labels is our choice.
    """
    label, logits = round.batch["label"], round.real.joint
    if logits.shape[-1] == 1:
        raise UserError(
            "The term labels asks D for a logit of each class, and D has one; let its last joint row have as "
            "many features as there are classes."
        )
    labelled = known(round.batch)
    of_label = jnp.take_along_axis(logits, jnp.maximum(label, 0)[:, None], axis=-1)[:, 0]
    loss = mean_where(labelled, round.real.score - of_label)
    right = (jnp.argmax(logits, axis=-1) == label).astype(jnp.float32)
    return Share(d=weight * loss, metrics={"accuracy_on_labels": mean_where(labelled, right)})


@needs(labels=True, encoder=False)
def feature_matching(round: Round, players: Players, key: jax.Array, *, weight: float = 1.0) -> Share:
    """G matches the mean of D's last hidden layer over unlabelled examples (Salimans et al., 2016)."""
    of_real = mean_where(1 - known(round.batch)[:, None], round.real.hidden)
    difference = of_real - jnp.mean(round.generated.hidden, axis=0)
    return Share(ge=weight * jnp.mean(jnp.square(difference)))
