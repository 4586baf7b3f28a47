import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ali_jax import losses

S_Q = jnp.array([2.0, -1.0])
S_P = jnp.array([0.5, -3.0])


def test_losses_equal_hand_computed_numbers():
    # softplus(-2) = 0.126928, softplus(1) = 1.313262, softplus(0.5) = 0.974077, softplus(-3) = 0.048587
    np.testing.assert_allclose(losses.discriminator_loss(S_Q, S_P), 1.231427, atol=1e-6)
    # softplus(2) = 2.126928, softplus(-1) = 0.313262, softplus(-0.5) = 0.474077, softplus(3) = 3.048587
    np.testing.assert_allclose(losses.generator_encoder_loss(S_Q, S_P), 2.981427, atol=1e-6)


def test_losses_are_the_logarithms_of_the_paper():
    d_q, d_p = jax.nn.sigmoid(S_Q), jax.nn.sigmoid(S_P)
    np.testing.assert_allclose(
        losses.discriminator_loss(S_Q, S_P),
        -jnp.mean(jnp.log(d_q)) - jnp.mean(jnp.log(1 - d_p)),
        rtol=1e-6,
    )
    np.testing.assert_allclose(
        losses.generator_encoder_loss(S_Q, S_P),
        -jnp.mean(jnp.log(1 - d_q)) - jnp.mean(jnp.log(d_p)),
        rtol=1e-6,
    )


def test_at_zero_logits_both_are_2_log_2_with_opposite_gradients():
    zero = jnp.zeros(5)
    loss_d, grads_d = jax.value_and_grad(losses.discriminator_loss, (0, 1))(zero, zero)
    loss_ge, grads_ge = jax.value_and_grad(losses.generator_encoder_loss, (0, 1))(zero, zero)
    np.testing.assert_allclose([loss_d, loss_ge], 2 * np.log(2), rtol=1e-6)
    np.testing.assert_allclose(grads_d[0], -0.1 * np.ones(5), rtol=1e-6)  # -sigmoid(0) / 5
    np.testing.assert_array_equal(grads_d, -np.asarray(grads_ge))


@pytest.mark.parametrize("size", [1e3, -1e3])
def test_losses_stay_finite_where_the_discriminator_is_sure(size):
    logits = jnp.full((4, 1), size)
    (loss_d, loss_ge, metrics), vjp = jax.vjp(lambda q: losses.joint_adversarial(q, -q, {}), logits)
    assert np.isfinite([loss_d, loss_ge, *metrics.values()]).all()
    zeros = {name: jnp.zeros(()) for name in metrics}
    assert np.isfinite(vjp((jnp.ones(()), jnp.ones(()), zeros))[0]).all()


def test_joint_adversarial_reports_what_D_thinks():
    _, _, metrics = losses.joint_adversarial(S_Q[:, None], S_P[:, None], {})
    np.testing.assert_allclose(metrics["D_real"], (0.880797 + 0.268941) / 2, atol=1e-6)
    np.testing.assert_allclose(metrics["D_generated"], (0.622459 + 0.047426) / 2, atol=1e-6)
