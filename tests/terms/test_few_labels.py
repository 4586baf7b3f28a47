import functools
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ali_jax import build
from ali_jax import config as config_lib
from ali_jax.errors import UserError
from ali_jax.models import Encoding, judgement, layers
from ali_jax.models.rows import dense, embed, row
from ali_jax.terms import Round, play_for
from ali_jax.terms.few_labels import consistency, feature_matching, labels, mixup
from ali_jax.terms.pairs import adversarial

GAME = {
    "labels": labels,
    "adversarial": lambda *given: adversarial(*given, unlabelled=True),
}


def play(logits_q, logits_p, label, game=GAME):
    """The share of a semi-supervised game that D judged so."""

    @jax.jit
    def share(logits_q, logits_p, label):
        round_ = Round({"label": label}, None, judgement(logits_q), generated=judgement(logits_p))
        return play_for(game, round_, None, jax.random.key(0))

    return share(logits_q, logits_p, jnp.asarray(label))


def k_plus_one_by_the_book(logits_q, logits_p, label):
    """(L_D, L_GE) of the K + 1 game from probabilities of a softmax over K + 1 classes, in float64."""

    def probabilities(logits):
        e = np.exp(np.c_[np.asarray(logits, np.float64), np.zeros(len(logits))])
        return e / e.sum(1, keepdims=True)

    p_q, p_p = probabilities(logits_q), probabilities(logits_p)
    known = label >= 0
    real = 1 - p_q[:, -1]
    right = p_q[np.arange(len(label)), label][known] / real[known]  # given that the pair is the encoder's
    loss_d = -np.log(right).mean() - np.log(real[~known]).mean() - np.log(p_p[:, -1]).mean()
    loss_ge = -np.log(p_q[~known, -1]).mean() - np.log(1 - p_p[:, -1]).mean()
    return loss_d, loss_ge


def test_the_game_is_a_softmax_over_k_plus_one_classes():
    logits_q, logits_p = 3 * jax.random.normal(jax.random.key(0), (2, 6, 4))
    label = np.array([2, -1, 0, -1, -1, 3])
    share = play(logits_q, logits_p, label)
    np.testing.assert_allclose(
        [share.d, share.ge], k_plus_one_by_the_book(logits_q, logits_p, label), rtol=1e-5
    )
    right = np.argmax(logits_q, axis=1)[label >= 0] == label[label >= 0]
    np.testing.assert_allclose(share.metrics["accuracy_on_labels"], right.mean())
    np.testing.assert_allclose(
        share.d, share.metrics["loss_labels"] + share.metrics["loss_adversarial_d"], rtol=1e-6
    )


def test_without_labels_it_is_the_ordinary_game_on_logsumexp_logits():
    logits_q, logits_p = jax.random.normal(jax.random.key(1), (2, 5, 3))
    s_q, s_p = (jax.nn.logsumexp(logits, axis=1, keepdims=True) for logits in (logits_q, logits_p))
    nobody = jnp.full(5, -1)
    ours = play(logits_q, logits_p, nobody)
    ordinary = play(s_q, s_p, nobody, {"adversarial": adversarial})
    np.testing.assert_allclose([ours.d, ours.ge], [ordinary.d, ordinary.ge], rtol=1e-6)
    for name, value in ordinary.metrics.items():
        np.testing.assert_allclose(ours.metrics[name], value, rtol=1e-6)


def test_gradients_are_finite_where_a_kind_of_pairs_is_missing():
    logits = 200 * jax.random.normal(jax.random.key(2), (2, 4, 3))
    for label in (jnp.full(4, -1), jnp.arange(4) % 3):
        for player in (0, 1):
            grad = jax.grad(lambda logits, label=label, player=player: play(*logits, label)[player])(logits)
            assert jnp.all(jnp.isfinite(grad))


def test_labels_teach_only_the_discriminator():
    logits = jax.random.normal(jax.random.key(3), (4, 3))
    unlabelled = jnp.full(4, -1)
    one_known, another = unlabelled.at[0].set(1), unlabelled.at[0].set(2)
    grads = (jax.grad(lambda q, label=label: play(q, q, label).ge)(logits) for label in (one_known, another))
    np.testing.assert_array_equal(*grads)


def judged_again(first, second, **settings):
    """The share of `consistency` where D gives these logits, and those the second time."""
    players = types.SimpleNamespace(judge=lambda x, z, key, among, averaged: judgement(second))
    return consistency(Round({}, None, judgement(first)), players, None, **settings)


def test_consistency_is_the_distance_of_two_predictions():
    first, second = jnp.log(jnp.array([[[0.5, 0.5], [0.9, 0.1]], [[0.2, 0.8], [0.9, 0.1]]]))
    share = judged_again(first, second, weight=3.0)
    np.testing.assert_allclose(share.d, 3 * (2 * 0.3**2 + 0) / 2, rtol=1e-5)
    assert share.ge is None
    # What counts is which class, not how real the pair is.
    np.testing.assert_allclose(judged_again(first + 5, second - 7, weight=3.0).d, share.d, rtol=1e-5)


def test_consistency_moves_the_first_prediction_towards_the_second():
    first, second = 3 * jax.random.normal(jax.random.key(4), (2, 5, 3))
    gradients = jax.grad(lambda logits: judged_again(*logits).d)(jnp.stack([first, second]))
    assert jnp.all(gradients[1] == 0)
    assert judged_again(first - 0.1 * gradients[0], second).d < judged_again(first, second).d


def mixed(label, first, second, of_average=None, **settings):
    """(share of `mixup`, how much of each example is in each mixture) where D gives these logits."""
    count, seen = len(label), {}

    def judge(x, z, key, among, averaged=False):
        if averaged:
            np.testing.assert_array_equal(x, jnp.eye(count))
            return judgement(of_average)
        seen.update(x=x, z=z, among=among)
        return judgement(second)

    x, z = jnp.eye(count), jax.random.normal(jax.random.key(6), (count, 3))
    round_ = Round({"label": label}, x, judgement(first), encoding=Encoding(z, None, None))
    share = mixup(round_, types.SimpleNamespace(judge=judge), jax.random.key(7), **settings)
    np.testing.assert_allclose(seen["z"], seen["x"] @ z, rtol=1e-5)  # of pairs, and so of both by one share
    return share, seen["x"]


def test_mixup_asks_for_the_classes_of_what_was_mixed():
    first, second = 3 * jax.random.normal(jax.random.key(5), (2, 12, 3))
    label = jnp.array([0, 1, 2, 1, *[-1] * 8])
    share, parts = mixed(label, first, second, weight=2.0)
    classes = np.concatenate([np.eye(3)[label[:4]], jax.nn.softmax(first[4:])])
    expected = -np.sum((parts @ classes) * jax.nn.log_softmax(second), axis=1).mean()
    np.testing.assert_allclose(share.d, 2 * expected, rtol=1e-5)
    assert share.ge is None


def test_an_average_of_d_says_what_is_mixed():
    first, second, of_average = 3 * jax.random.normal(jax.random.key(5), (3, 12, 3))
    label = jnp.array([0, 1, 2, 1, *[-1] * 8])
    share, _ = mixed(label, first, second, of_average, averaged=True)
    np.testing.assert_array_equal(share.d, mixed(label, of_average, second)[0].d)
    assert share.d != mixed(label, first, second)[0].d


def test_mixup_mixes_two_of_a_batch_and_says_most_of_the_first():
    logits = jnp.zeros((50, 2))
    _, parts = mixed(jnp.full(50, -1), logits, logits)
    np.testing.assert_allclose(parts.sum(axis=1), 1, rtol=1e-6)
    assert np.all(np.count_nonzero(parts, axis=1) <= 2)
    own = np.diagonal(parts)
    assert np.all(own >= 0.5) and np.ptp(own[own < 1]) > 0.4


def test_mixup_holds_fixed_what_d_says_of_examples_alone():
    first, second = jax.random.normal(jax.random.key(4), (2, 5, 3))
    label = jnp.array([1, -1, -1, 0, -1])
    of_first, of_second = jax.grad(lambda logits: mixed(label, *logits)[0].d)(jnp.stack([first, second]))
    assert np.all(of_first == 0) and np.any(of_second != 0)


def spread(layer, h):
    """As minibatch discrimination: to each example, how much those of its batch differ."""
    return jnp.concatenate([h, jnp.full((len(h), 1), jnp.std(h, axis=0).mean())], axis=1)


@pytest.mark.parametrize(("attributes", "operation"), [(0, None), (2, None), (0, spread)])
def test_a_d_that_nothing_disturbs_is_consistent(tiny_config, monkeypatch, attributes, operation):
    """Also where pairs have a say in each other's, as both predictions are made among generated pairs."""
    config_lib.make_semi_supervised(tiny_config, "ali", num_classes=3, labelled=4, unlabelled=4)
    tiny_config.terms = config_lib.as_terms(tiny_config.terms.to_dict() | {"consistency": {}})
    model = tiny_config.model
    model.discriminator_x = (dense(12, norm=True),)
    model.discriminator_z, model.discriminator_joint = (dense(12),), (dense(3, nonlinearity="linear"),)
    model.num_attributes = attributes
    if attributes:
        model.discriminator_joint = (embed(2), *model.discriminator_joint)
    if operation:
        monkeypatch.setitem(layers.OPERATIONS, "spread", operation)
        model.discriminator_x = (dense(12),)
        of_joint = row("spread", 25, bias="none", nonlinearity="linear")
        model.discriminator_joint = (of_joint, *model.discriminator_joint)
    tiny_config.num_labels = 6
    game = build.game(tiny_config)
    x = jax.random.uniform(jax.random.key(0), (8, 8, 8, 1))
    batch = {"x": x, "label": jnp.arange(8) % 3, "attributes": jnp.ones((8, 2)) if attributes else None}
    batch = {name: values for name, values in batch.items() if values is not None}
    state = jax.jit(game.init)(jax.random.key(1), batch=batch)
    _, metrics = jax.jit(game.step)(state, batch)
    assert metrics["loss_consistency"] < 1e-10 < metrics["loss_labels"]


def test_classes_of_one_logit_are_refused():
    one = jnp.zeros((2, 1))
    for term, play in (("consistency", judged_again), ("mixup", functools.partial(mixed, jnp.zeros(2)))):
        with pytest.raises(UserError, match=rf"The term {term} asks D for a logit of each class"):
            play(one, one)


def test_feature_matching_compares_means_of_unlabelled_features():
    logits, batch = jnp.zeros((3, 2)), {"label": jnp.array([-1, -1, 1])}
    features_q = jnp.array([[1.0, 2.0], [3.0, 4.0], [100.0, 100.0]])
    features_p = jnp.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]])
    real, generated = (judgement(logits, hidden=f) for f in (features_q, features_p))
    share = feature_matching(Round(batch, None, real, generated=generated), None, None, weight=2.0)
    np.testing.assert_allclose(share.ge, 2 * ((2 - 1) ** 2 + (3 - 1) ** 2) / 2)
    assert share.d is None
