import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ali_jax.models import judgement
from ali_jax.terms import Needs, Round, bind, needs_of
from ali_jax.terms.pairs import (
    adversarial,
    discriminator_loss,
    generator_encoder_loss,
    hinge,
    relativistic,
    unary_x,
    unary_z,
)

S_Q = jnp.array([2.0, -1.0])
S_P = jnp.array([0.5, -3.0])


def round_of(logits_q, logits_p, label=None):
    """A round that D judged so; the rest of it does not matter here."""
    batch = {} if label is None else {"label": jnp.asarray(label)}
    return Round(batch, None, real=judgement(logits_q), generated=judgement(logits_p))


def test_losses_equal_hand_computed_numbers():
    # softplus(-2) = 0.126928, softplus(1) = 1.313262, softplus(0.5) = 0.974077, softplus(-3) = 0.048587
    np.testing.assert_allclose(discriminator_loss(S_Q, S_P), 1.231427, atol=1e-6)
    # softplus(2) = 2.126928, softplus(-1) = 0.313262, softplus(-0.5) = 0.474077, softplus(3) = 3.048587
    np.testing.assert_allclose(generator_encoder_loss(S_Q, S_P), 2.981427, atol=1e-6)


def test_at_zero_logits_both_are_2_log_2_with_opposite_gradients():
    zero = jnp.zeros(5)
    loss_d, grads_d = jax.value_and_grad(discriminator_loss, (0, 1))(zero, zero)
    loss_ge, grads_ge = jax.value_and_grad(generator_encoder_loss, (0, 1))(zero, zero)
    np.testing.assert_allclose([loss_d, loss_ge], 2 * np.log(2), rtol=1e-6)
    np.testing.assert_allclose(grads_d[0], -0.1 * np.ones(5), rtol=1e-6)  # -sigmoid(0) / 5
    np.testing.assert_array_equal(grads_d, -np.asarray(grads_ge))


@pytest.mark.parametrize("size", [1e3, -1e3])
def test_it_stays_finite_where_the_discriminator_is_sure(size):
    def share(logits):
        return adversarial(round_of(logits, -logits), None, None)

    (d, ge, metrics, _), vjp = jax.vjp(share, jnp.full((4, 1), size))
    assert np.isfinite([d, ge, *metrics.values()]).all()
    zeros = {name: jnp.zeros(()) for name in metrics}
    assert np.isfinite(vjp(type(share(jnp.zeros((4, 1))))(jnp.ones(()), jnp.ones(()), zeros))[0]).all()


def test_it_reports_what_D_thinks():
    metrics = adversarial(round_of(S_Q[:, None], S_P[:, None]), None, None).metrics
    np.testing.assert_allclose(metrics["D_real"], (0.880797 + 0.268941) / 2, atol=1e-6)
    np.testing.assert_allclose(metrics["D_generated"], (0.622459 + 0.047426) / 2, atol=1e-6)


def test_each_share_has_a_weight_and_D_can_play_alone():
    round_ = round_of(S_Q[:, None], S_P[:, None])
    share = adversarial(round_, None, None, d=3.0, ge=0.5)
    np.testing.assert_allclose([share.d, share.ge], [3 * 1.231427, 0.5 * 2.981427], atol=1e-5)
    assert adversarial(round_, None, None, ge=0.0).ge is None


def test_pairs_whose_label_is_known_take_no_part_where_asked():
    logits_q, logits_p = jax.random.normal(jax.random.key(1), (2, 5, 1))
    label = np.array([-1, 3, -1, 0, -1])
    share = adversarial(round_of(logits_q, logits_p, label), None, None, unlabelled=True)
    of_them = logits_q[label < 0, 0]
    np.testing.assert_allclose(share.d, discriminator_loss(of_them, logits_p[:, 0]), rtol=1e-6)
    np.testing.assert_allclose(share.ge, generator_encoder_loss(of_them, logits_p[:, 0]), rtol=1e-6)
    np.testing.assert_allclose(share.metrics["D_real"], jax.nn.sigmoid(of_them).mean(), rtol=1e-6)
    # By default labels do not count, though a batch may hold them.
    everyone = adversarial(round_of(logits_q, logits_p, label), None, None)
    np.testing.assert_allclose(everyone.d, discriminator_loss(logits_q, logits_p), rtol=1e-6)


def judged(label=None, **heads):
    """Pairs judged S_Q and S_P, with the scores that D gives x or z alone: (real, generated) each."""
    real, generated = ({name: values[i] for name, values in heads.items()} for i in (0, 1))
    pairs = {"real": judgement(S_Q[:, None], **real), "generated": judgement(S_P[:, None], **generated)}
    return Round({"label": label}, None, **pairs)


def test_the_hinge_by_hand():
    share = hinge(judged(), None, None, d=2.0, ge=3.0)
    # D: max(0, 1 - 2) = 0 and max(0, 1 + 1) = 2; max(0, 1 + 1/2) = 1.5 and max(0, 1 - 3) = 0.
    np.testing.assert_allclose(share.d, 2 * ((0 + 2) / 2 + (1.5 + 0) / 2), rtol=1e-6)
    np.testing.assert_allclose(share.ge, 3 * (0.5 - -1.25), rtol=1e-6)


def test_relativistic_pairs_by_hand():
    share = relativistic(judged(), None, None)
    # Differences 1.5 and 2: softplus(-1.5) = 0.201413, softplus(-2) = 0.126928, and these plus 1.5 and 2.
    np.testing.assert_allclose(share.d, (0.201413 + 0.126928) / 2, atol=1e-6)
    np.testing.assert_allclose(share.ge, (1.701413 + 2.126928) / 2, atol=1e-6)


@pytest.mark.parametrize(("term", "head"), [(unary_x, "x"), (unary_z, "z")])
def test_scores_of_x_and_of_z_alone_play_the_game_of_the_pair(term, head):
    round_ = judged(**{head: (S_Q, S_P)})
    plain, hinged = (term(round_, None, None, weight=0.5, hinge=on) for on in (False, True))
    np.testing.assert_allclose([plain.d, plain.ge], [0.5 * 1.231427, 0.5 * 2.981427], atol=1e-6)
    pair = hinge(round_, None, None)
    np.testing.assert_allclose([hinged.d, hinged.ge], [0.5 * pair.d, 0.5 * pair.ge], rtol=1e-6)


@pytest.mark.parametrize("hinged", [False, True])
@pytest.mark.parametrize(("term", "head"), [(unary_x, "x"), (unary_z, "z")])
def test_scores_of_labelled_examples_take_no_part_where_asked(term, head, hinged):
    of_all = judged(np.array([-1, 4]), **{head: (S_Q, S_P)})
    of_first = judged(**{head: (S_Q[:1], S_P)})
    asked = term(of_all, None, None, hinge=hinged, unlabelled=True)
    alone = term(of_first, None, None, hinge=hinged)
    np.testing.assert_allclose([asked.d, asked.ge], [alone.d, alone.ge], rtol=1e-6)
    assert needs_of(bind({f"unary_{head}": {"unlabelled": True}})).labels


def test_a_score_alone_needs_its_head_and_that_of_z_an_encoder():
    assert needs_of(bind({"unary_x": {}})) == Needs(heads=("x",))
    assert needs_of(bind({"unary_x": {}, "unary_z": {}})) == Needs(encoder=True, heads=("x", "z"))
