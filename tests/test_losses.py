import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ali_jax import terms

S_Q = jnp.array([2.0, -1.0])
S_P = jnp.array([0.5, -3.0])


def test_losses_equal_hand_computed_numbers():
    # softplus(-2) = 0.126928, softplus(1) = 1.313262, softplus(0.5) = 0.974077, softplus(-3) = 0.048587
    np.testing.assert_allclose(terms.discriminator_loss(S_Q, S_P), 1.231427, atol=1e-6)
    # softplus(2) = 2.126928, softplus(-1) = 0.313262, softplus(-0.5) = 0.474077, softplus(3) = 3.048587
    np.testing.assert_allclose(terms.generator_encoder_loss(S_Q, S_P), 2.981427, atol=1e-6)


def test_losses_are_the_logarithms_of_the_paper():
    d_q, d_p = jax.nn.sigmoid(S_Q), jax.nn.sigmoid(S_P)
    np.testing.assert_allclose(
        terms.discriminator_loss(S_Q, S_P),
        -jnp.mean(jnp.log(d_q)) - jnp.mean(jnp.log(1 - d_p)),
        rtol=1e-6,
    )
    np.testing.assert_allclose(
        terms.generator_encoder_loss(S_Q, S_P),
        -jnp.mean(jnp.log(1 - d_q)) - jnp.mean(jnp.log(d_p)),
        rtol=1e-6,
    )


def test_at_zero_logits_both_are_2_log_2_with_opposite_gradients():
    zero = jnp.zeros(5)
    loss_d, grads_d = jax.value_and_grad(terms.discriminator_loss, (0, 1))(zero, zero)
    loss_ge, grads_ge = jax.value_and_grad(terms.generator_encoder_loss, (0, 1))(zero, zero)
    np.testing.assert_allclose([loss_d, loss_ge], 2 * np.log(2), rtol=1e-6)
    np.testing.assert_allclose(grads_d[0], -0.1 * np.ones(5), rtol=1e-6)  # -sigmoid(0) / 5
    np.testing.assert_array_equal(grads_d, -np.asarray(grads_ge))


@pytest.mark.parametrize("size", [1e3, -1e3])
def test_losses_stay_finite_where_the_discriminator_is_sure(size):
    logits = jnp.full((4, 1), size)
    (loss_d, loss_ge, metrics), vjp = jax.vjp(lambda q: terms.joint_adversarial(q, -q, {}), logits)
    assert np.isfinite([loss_d, loss_ge, *metrics.values()]).all()
    zeros = {name: jnp.zeros(()) for name in metrics}
    assert np.isfinite(vjp((jnp.ones(()), jnp.ones(()), zeros))[0]).all()


def test_joint_adversarial_reports_what_D_thinks():
    _, _, metrics = terms.joint_adversarial(S_Q[:, None], S_P[:, None], {})
    np.testing.assert_allclose(metrics["D_real"], (0.880797 + 0.268941) / 2, atol=1e-6)
    np.testing.assert_allclose(metrics["D_generated"], (0.622459 + 0.047426) / 2, atol=1e-6)


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


def test_semi_supervised_game_is_a_softmax_over_k_plus_one_classes():
    logits_q, logits_p = 3 * jax.random.normal(jax.random.key(0), (2, 6, 4))
    label = np.array([2, -1, 0, -1, -1, 3])
    loss_d, loss_ge, metrics = terms.semi_supervised(logits_q, logits_p, {"label": jnp.asarray(label)})
    np.testing.assert_allclose(
        [loss_d, loss_ge], k_plus_one_by_the_book(logits_q, logits_p, label), rtol=1e-5
    )
    right = np.argmax(logits_q, axis=1)[label >= 0] == label[label >= 0]
    np.testing.assert_allclose(metrics["accuracy_on_labels"], right.mean())


def test_the_game_weighs_in_the_loss_of_the_discriminator_alone():
    logits_q, logits_p = jax.random.normal(jax.random.key(4), (2, 6, 4))
    batch = {"label": jnp.array([2, -1, 0, -1, -1, 3])}
    none, one, three = (terms.semi_supervised(logits_q, logits_p, batch, weight) for weight in (0, 1, 3))
    np.testing.assert_allclose(none[0], none[2]["loss_labels"])
    np.testing.assert_allclose(three[0] - none[0], 3 * (one[0] - none[0]), rtol=1e-5)
    np.testing.assert_allclose(three[1], one[1])


def test_without_labels_it_is_the_ordinary_game_on_logsumexp_logits():
    logits_q, logits_p = jax.random.normal(jax.random.key(1), (2, 5, 3))
    batch = {"label": jnp.full(5, -1)}
    s_q, s_p = (jax.nn.logsumexp(logits, axis=1, keepdims=True) for logits in (logits_q, logits_p))
    ours, ordinary = (
        terms.semi_supervised(logits_q, logits_p, batch),
        terms.joint_adversarial(s_q, s_p, batch),
    )
    np.testing.assert_allclose(ours[:2], ordinary[:2], rtol=1e-6)
    for name, value in ordinary[2].items():
        np.testing.assert_allclose(ours[2][name], value, rtol=1e-6)


def test_semi_supervised_gradients_are_finite_where_a_kind_of_pairs_is_missing():
    logits = 200 * jax.random.normal(jax.random.key(2), (2, 4, 3))

    def loss(logits, label, player):
        return terms.semi_supervised(*logits, {"label": label})[player]

    for label in (jnp.full(4, -1), jnp.arange(4) % 3):
        for player in (0, 1):
            assert jnp.all(jnp.isfinite(jax.grad(loss)(logits, label, player)))


def test_labels_teach_only_the_discriminator():
    def loss_ge(logits, label):
        return terms.semi_supervised(logits, logits, {"label": label})[1]

    logits = jax.random.normal(jax.random.key(3), (4, 3))
    unlabelled = jnp.full(4, -1)
    one_known, another = unlabelled.at[0].set(1), unlabelled.at[0].set(2)
    np.testing.assert_array_equal(*(jax.grad(loss_ge)(logits, label) for label in (one_known, another)))


def test_feature_matching_compares_means_of_unlabelled_features():
    logits = jnp.zeros((3, 2))
    features_q = jnp.array([[1.0, 2.0], [3.0, 4.0], [100.0, 100.0]])
    features_p = jnp.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]])
    outputs_q, outputs_p = (jnp.concatenate([logits, f], axis=1) for f in (features_q, features_p))
    batch = {"label": jnp.array([-1, -1, 1])}
    loss_d, loss_g, _ = terms.feature_matching(outputs_q, outputs_p, batch, num_classes=2)
    np.testing.assert_allclose(loss_g, ((2 - 1) ** 2 + (3 - 1) ** 2) / 2)
    np.testing.assert_allclose(loss_d, terms.semi_supervised(logits, logits, batch)[0])
