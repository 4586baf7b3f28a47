"""Networks of one's own that do not fit are named before anything is trained."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from conftest import load_config

from ali_jax import build, inference, models
from ali_jax.errors import UserError
from ali_jax.models import Encoding, judgement
from ali_jax.models.rows import dense
from ali_jax.roles import Roles
from ali_jax.train_step import init_state, train_step
from ali_jax.transformer import EncoderFeatures

ADAM = optax.adam(1e-3)
BATCH = {"x": jnp.full((6, 8, 8, 1), 0.5)}


class Generator(nn.Module):
    latent_dim: int = 4
    flat: bool = False

    def sample_prior(self, key, count):
        return jax.random.normal(key, (count, self.latent_dim))

    def start_at_mean(self, params, x):
        return params

    @nn.compact
    def __call__(self, z, condition=None, *, train=False):
        x = nn.Dense(64)(z)
        return x if self.flat else x.reshape(-1, 8, 8, 1)


class Encoder(nn.Module):
    noise_dim: int = 4
    bare: bool = False

    @nn.compact
    def __call__(self, x, noise, condition=None, *, train=False):
        z = nn.Dense(self.noise_dim)(x.reshape(len(x), -1)) + noise
        return z if self.bare else Encoding(z, None, None)


class Discriminator(nn.Module):
    bare: bool = False

    @nn.compact
    def __call__(self, x, z, condition=None, *, train=False):
        logits = nn.Dense(1)(jnp.concatenate([x.reshape(len(x), -1), z], axis=1))
        return logits if self.bare else judgement(logits)


class OfNoPrior(nn.Module):
    latent_dim: int = 4


class WithDropout(Generator):
    @nn.compact
    def __call__(self, z, condition=None, *, train=False):
        return nn.Dropout(0.5, deterministic=not train)(nn.Dense(64)(z)).reshape(-1, 8, 8, 1)


class WithoutCondition(Generator):
    @nn.compact
    def __call__(self, z, *, train=False):
        return nn.Dense(64)(z).reshape(-1, 8, 8, 1)


class OfOneAxis(nn.Module):
    @nn.compact
    def __call__(self, x, z, condition=None, *, train=False):
        return judgement(nn.Dense(1)(z)[:, 0])


class InLowPrecision(Generator):
    @nn.compact
    def __call__(self, z, condition=None, *, train=False):
        return nn.sigmoid(nn.Dense(64, param_dtype=jnp.bfloat16)(z)).reshape(-1, 8, 8, 1)


def start(**others):
    networks = Roles(Generator(), Encoder(), Discriminator())._replace(**others)
    return init_state(jax.random.key(0), networks, Roles(ADAM, ADAM, ADAM), BATCH)


def test_networks_that_fit_are_begun():
    assert start().params.encoder


def test_an_encoder_of_ones_own_plays_with_any_D_from_rows_on_any_number_of_examples(tiny_config):
    tiny_config.model.packing = 4
    tiny_config.model.discriminator_x = (dense(12, norm=True),)
    tiny_config.model.norm_by_kind = ("discriminator_x",)
    networks = models.build(tiny_config.model)._replace(encoder=Encoder(tiny_config.model.latent_dim))
    assert init_state(jax.random.key(0), networks, Roles(ADAM, ADAM, ADAM), BATCH).params.encoder


@pytest.mark.parametrize(
    ("networks", "words"),
    [
        ({"generator": OfNoPrior()}, "The generator OfNoPrior has no sample_prior; add it"),
        ({"encoder": nn.Dense(4)}, "The encoder Dense has no noise_dim; add it"),
        (
            {"generator": Generator(flat=True)},
            r"of \(2, 64\); it must give x \(2, 8, 8, 1\)",
        ),
        ({"encoder": Encoder(bare=True)}, r"of \(2, 4\); it must give an Encoding whose z is \(2, 4\)"),
        ({"encoder": Encoder(5)}, r"Encoder gives Encoding of \(2, 5\); it must .* whose z is \(2, 4\)"),
        (
            {"discriminator": Discriminator(bare=True)},
            r"of \(2, 1\); it must give a judgement",
        ),
        ({"discriminator": OfOneAxis()}, r"D gives logits of shape \(1,\); of N pairs they must be \(N, K\)"),
        (
            {"generator": WithDropout()},
            'cannot be run .*needs PRNG for "dropout".*see docs/ext',
        ),
        (
            {"generator": WithoutCondition()},
            "cannot be run as a step runs them .*takes 2 positional",
        ),
    ],
)
def test_what_does_not_fit_is_named(networks, words):
    with pytest.raises(UserError, match=words):
        start(**networks)


def test_rows_that_do_not_fit_the_examples_are_told_in_a_loop_of_ones_own(tiny_config):
    tiny_config.model.x_shape = (6, 6, 1)
    with pytest.raises(UserError, match=r"G ends in \(64,\), and x_shape is \(6, 6, 1\)"):
        init_state(
            *(jax.random.key(0), models.build(tiny_config.model), Roles(ADAM, ADAM, ADAM)),
            {"x": np.zeros((4, 6, 6, 1), np.uint8)},
        )


def test_a_judgement_is_float32_whatever_D_works_in():
    made = judgement(jnp.full((2, 1), 1.2345, jnp.bfloat16), hidden=jnp.ones((2, 3), jnp.float16))
    assert made.joint.dtype == made.score.dtype == made.hidden.dtype == jnp.float32
    assert made.x is None


def test_the_average_of_parameters_in_low_precision_is_float32_from_the_first():
    """So a scan takes the state."""
    networks = Roles(InLowPrecision(), Encoder(), Discriminator())
    players = {"networks": networks, "optimizers": Roles(ADAM, ADAM, ADAM)}
    state = init_state(jax.random.key(0), batch=BATCH, keep_average=True, **players)
    kernel = state.params.generator["Dense_0"]["kernel"]
    assert kernel.dtype == jnp.bfloat16
    state, _ = jax.lax.scan(lambda s, _: train_step(s, BATCH, **players), state, length=2)
    average = state.average[0].generator["Dense_0"]["kernel"]
    assert average.dtype == jnp.float32 and not np.array_equal(average, kernel)


def test_inference_says_that_it_is_of_networks_made_of_rows():
    networks = Roles(Generator(), Encoder(), Discriminator())
    model = inference.of_state(networks, start())
    with pytest.raises(UserError, match="The generator is a Generator, which does not say its x_shape"):
        inference.encode(model, BATCH["x"])
    with pytest.raises(UserError, match="The generator is a Generator, which does not say its x_shape"):
        EncoderFeatures(model).transform(BATCH["x"])
    with pytest.raises(UserError, match="is a Discriminator, which does not say its joint_stack"):
        inference.class_probabilities(model, BATCH["x"])
    with pytest.raises(UserError, match="D tells no pairs 'xx' apart"):
        inference.compare(model, BATCH["x"], BATCH["x"])


def test_a_D_of_ones_own_beside_rows_is_told():
    rows = build.game(load_config("digits")).networks
    with pytest.raises(UserError, match="is a Discriminator, which does not say its z_stack"):
        inference.judge(
            inference.of_state(rows._replace(discriminator=Discriminator()), start()),
            BATCH["x"],
            np.zeros((2, 16)),
        )
