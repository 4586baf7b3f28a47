"""What D and G learn where a few examples have labels."""

from functools import partial

import jax
import jax.numpy as jnp

from ali_jax.errors import UserError
from ali_jax.models import Judgement
from ali_jax.terms.game import Players, Round, Share
from ali_jax.terms.means import known, mean_where
from ali_jax.terms.needs import needs


@needs(generated=False, labels=True)
def labels(round: Round, players: Players, key: jax.Array, *, weight: float = 1.0) -> Share:
    """Cross-entropy of the classes of labelled pairs, D's alone (Section 4.3; Salimans et al., 2016).

    That only D learns from labels is our choice.
    """
    label, logits = round.batch["label"], _of_classes("labels", round.real)
    labelled = known(round.batch)
    of_label = jnp.take_along_axis(logits, jnp.maximum(label, 0)[:, None], axis=-1)[:, 0]
    loss = mean_where(labelled, round.real.score - of_label)
    right = (jnp.argmax(logits, axis=-1) == label).astype(jnp.float32)
    return Share(d=weight * loss, metrics={"accuracy_on_labels": mean_where(labelled, right)})


@needs(generated=False, labels=True, unlabelled=True)
def consistency(
    round: Round, players: Players, key: jax.Array, *, weight: float = 1.0, averaged: bool = False
) -> Share:
    """D gives an example the classes that it gives it a second time (Sajjadi et al., 2016).

    The squared distance of two predictions for the same pairs, over other dropout, noise and disturbance, as
    the Pi-model has it (Laine & Aila, 2017), there with a weight that rises from 0, and Wei et al. (2018)
    beside a GAN. It needs no label, so that D learns from all examples. The second prediction is held fixed.
    Where D uses batch normalisation, the second is made in a batch with generated pairs, as the first is:
    over real pairs alone the statistics would be others, and the prediction poor while G is poor.

    Args:
      weight: of the sum over classes. The papers let theirs rise, to about 10 as counted here.
      averaged: whether the average of D's parameters over steps makes the second prediction, as the teacher
        of Tarvainen & Valpola (2017) does.
    """
    again = players.judge(round.x, _codes(round), key, among=_generated(round), averaged=averaged)
    first, second = (jax.nn.softmax(_of_classes("consistency", seen)) for seen in (round.real, again))
    distance = jnp.sum(jnp.square(first - jax.lax.stop_gradient(second)), axis=1)
    return Share(d=weight * jnp.mean(distance))


@needs(generated=False, labels=True, unlabelled=True)
def mixup(
    round: Round, players: Players, key: jax.Array, *, weight: float = 1.0, averaged: bool = False
) -> Share:
    """D gives the mixture of two pairs the same mixture of their classes (Zhang et al., 2018).

    The cross-entropy of D's classes of lambda (x_i, z_i) + (1 - lambda) (x_j, z_j), where j is another of the
    batch and lambda uniform from 1/2 to 1. An example without a label has the classes that D gives it, held
    fixed, so that D learns from all examples (Verma et al., 2019, by averaged parameters; Berthelot et al.,
    2019). A few labels are soon learned by heart, and their mixtures, each new, are not. Attributes are those
    of the larger part. Generated pairs are in the batch as in `consistency`.

    Args:
      averaged: whether the average of D's parameters over steps says what an example without a label is, as
        Verma et al. have it.
    """
    of_order, of_share, of_judging = jax.random.split(key, 3)
    order = jax.random.permutation(of_order, len(round.x))
    share = jax.random.uniform(of_share, (len(round.x),), minval=0.5)
    mixed = partial(_mixed, order, share)
    z, among, teacher = _codes(round), _generated(round), round.real
    if averaged:
        of_teacher = jax.random.fold_in(of_judging, 1)
        teacher = players.judge(round.x, z, of_teacher, among=among, averaged=True)
    judged = players.judge(mixed(round.x), None if z is None else mixed(z), of_judging, among=among)
    log_chances = jax.nn.log_softmax(_of_classes("mixup", judged))
    classes = mixed(_classes(round.batch["label"], teacher))
    return Share(d=-weight * jnp.mean(jnp.sum(classes * log_chances, axis=1)))


def _mixed(order: jax.Array, share: jax.Array, values: jax.Array) -> jax.Array:
    """(N, ...): of each of N values `share` (N,), and the rest of the one whose number stands in `order`."""
    share = share.reshape(-1, *(1 for _ in values.shape[1:])).astype(values.dtype)
    return share * values + (1 - share) * values[order]


def _codes(round: Round) -> jax.Array | None:
    """(M, n): E's draws from q(z|x), which do not learn; None in a game without E."""
    return None if round.encoding is None else jax.lax.stop_gradient(round.encoding.z)


def _classes(label: jax.Array, judgement: Judgement) -> jax.Array:
    """(M, K): chances of the classes of examples, by their labels or, without one, by D; held fixed."""
    logits = jax.lax.stop_gradient(judgement.joint)
    of_label = jax.nn.one_hot(label, logits.shape[-1], dtype=logits.dtype)
    return jnp.where((label >= 0)[:, None], of_label, jax.nn.softmax(logits))


def _generated(round: Round) -> tuple[jax.Array, jax.Array] | None:
    """The generated pairs among which D judges real ones again, where there are any."""
    return None if round.generated is None else (round.x_tilde, round.z)


@needs(labels=True, encoder=False, hidden=True)
def feature_matching(round: Round, players: Players, key: jax.Array, *, weight: float = 1.0) -> Share:
    """G matches the mean of D's last hidden layer over unlabelled examples (Salimans et al., 2016)."""
    of_real = mean_where(1 - known(round.batch)[:, None], round.real.hidden)
    difference = of_real - jnp.mean(round.generated.hidden, axis=0)
    return Share(ge=weight * jnp.mean(jnp.square(difference)))


def _of_classes(term: str, judgement: Judgement) -> jax.Array:
    """(M, K): D's logits, float32."""
    if judgement.joint.shape[-1] == 1:
        raise UserError(
            f"The term {term} asks D for a logit of each class, and D has one; let its last joint row have "
            "as many features as there are classes."
        )
    return judgement.joint.astype(jnp.float32)
