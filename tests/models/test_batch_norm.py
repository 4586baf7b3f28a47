import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ali_jax import build
from ali_jax.errors import UserError
from ali_jax.models.batch_norm import BatchNorm
from ali_jax.models.rows import dense


def batch_norm(h, variables=None, train=True, **options):
    norm = BatchNorm(**options)
    variables = variables or norm.init(jax.random.key(0), h, False)
    return jax.jit(lambda v, h: norm.apply(v, h, train, mutable=["batch_stats"]))(variables, h)


def test_batch_norm_normalises_with_epsilon_inside_the_root():
    h = jnp.array([[0.0, 1.0], [2.0, 1.0], [4.0, 1.0], [6.0, 1.0]])
    out, _ = batch_norm(h)
    # mean 3, biased variance 5; the second channel does not vary
    np.testing.assert_allclose(out[:, 0], (h[:, 0] - 3) / np.sqrt(5 + 1e-4), rtol=1e-5)
    np.testing.assert_allclose(out[:, 1], 0, atol=1e-5)


def test_running_statistics_average_the_standard_deviation_not_the_variance():
    h = jnp.array([[0.0], [2.0], [4.0], [6.0]])
    _, once = batch_norm(h)
    np.testing.assert_allclose(once["batch_stats"]["mean"], [0.05 * 3], rtol=1e-6)
    std = 0.95 * 1 + 0.05 * np.sqrt(5 + 1e-4)
    np.testing.assert_allclose(once["batch_stats"]["std"], [std], rtol=1e-6)


def test_running_statistics_are_used_without_adding_epsilon():
    variables = {
        "params": {"scale": jnp.array([3.0]), "shift": jnp.array([1.0])},
        "batch_stats": {"mean": jnp.array([2.0]), "std": jnp.array([1e-3])},
    }
    out, after = batch_norm(jnp.array([[2.001]]), variables, train=False)
    np.testing.assert_allclose(out, [[3 * 1 + 1]], rtol=1e-3)
    np.testing.assert_array_equal(after["batch_stats"]["mean"], [2.0])


def test_statistics_are_float32_in_bfloat16():
    """256 values near 300 differ by less than bfloat16 resolves in their sum."""
    h = jnp.asarray(300 + 2 * (jnp.arange(4096) % 2), jnp.bfloat16)[:, None]
    out, after = batch_norm(h)
    assert out.dtype == jnp.bfloat16
    assert after["batch_stats"]["mean"].dtype == jnp.float32
    np.testing.assert_allclose(after["batch_stats"]["mean"], [0.05 * 301], rtol=1e-4)


def test_without_a_scale_and_a_shift_nothing_is_learned():
    h = jax.random.normal(jax.random.key(0), (6, 3))
    assert "params" not in BatchNorm(plain=True).init(jax.random.key(0), h, True)
    np.testing.assert_allclose(batch_norm(h, plain=True)[0], batch_norm(h)[0], rtol=1e-3)
    hardly = 5 + 1e-3 * h
    np.testing.assert_allclose(np.std(batch_norm(hardly, plain=True)[0], axis=0), 1, atol=0.02)
    assert np.std(batch_norm(hardly)[0], axis=0).max() < 0.2


@pytest.mark.parametrize("shape", [(6, 2), (6, 3, 3, 2)])
def test_each_kind_is_normalised_by_statistics_of_its_own(shape):
    """Rows take turns: those of the second kind lie elsewhere, and spread more."""
    h = jax.random.normal(jax.random.key(0), shape)
    h = h.at[1::2].set(5 + 3 * h[1::2])
    out, after = batch_norm(h, kinds=2)
    alone = [batch_norm(h[kind::2]) for kind in (0, 1)]
    for kind, (expected, _) in enumerate(alone):
        np.testing.assert_allclose(out[kind::2], expected, rtol=1e-5, atol=1e-6)
    for name in ("mean", "std"):
        both = [of_kind["batch_stats"][name] for _, of_kind in alone]
        np.testing.assert_allclose(after["batch_stats"][name], np.mean(both, axis=0), rtol=1e-5)
    # Of both together they are others.
    assert np.abs(batch_norm(h)[0] - out).max() > 0.5


def game_of(tiny_config, **model):
    tiny_config.model.update(model)
    return build.game(tiny_config)


def test_a_game_keeps_its_kinds_apart_where_it_is_asked_to(tiny_config):
    """D's judgement of real pairs does not depend on the generated ones, and no scale is learned."""
    joint = tuple(
        (*row[:4], number == 0, *row[5:7], "none")
        for number, row in enumerate(tiny_config.model.discriminator_joint)
    )
    game = game_of(
        tiny_config,
        discriminator_joint=joint,
        plain_norm=("discriminator_joint",),
        norm_by_kind=("discriminator_x", "discriminator_joint"),
    )
    x = jax.random.uniform(jax.random.key(0), (16, 8, 8, 1))
    state = jax.jit(game.init)(jax.random.key(1), batch={"x": x})
    assert "norm" not in state.params.discriminator["joint_stack"]["layer_1"]
    z = jax.random.normal(jax.random.key(2), (16, tiny_config.model.latent_dim))
    variables = {"params": state.params.discriminator, "batch_stats": state.batch_stats.discriminator}

    @jax.jit
    def scores(others):
        pairs = jnp.stack([x, others], axis=1).reshape(32, 8, 8, 1), jnp.repeat(z, 2, axis=0)
        rngs = {"dropout": jax.random.key(3)}
        judged, _ = game.networks.discriminator.apply(
            variables, *pairs, None, train=True, mutable=["batch_stats"], rngs=rngs
        )
        return judged.score[::2]

    np.testing.assert_allclose(scores(x), scores(1 - x / 2), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("terms", "names", "words"),
    [
        ({}, ("encoder",), "names encoder, which sees one kind"),
        (
            {"r1": {}},
            ("discriminator_joint",),
            r"config\.terms is adversarial, r1\. These terms show D one kind",
        ),
        ({"adversarial": {"unlabelled": True}}, ("discriminator_joint",), "and whoever asks for classes"),
    ],
)
def test_stacks_that_see_one_kind_are_refused(tiny_config, terms, names, words):
    *hidden, head = tiny_config.model.discriminator_joint
    tiny_config.model.discriminator_joint = (*hidden, dense(8, norm=True), head)
    with tiny_config.ignore_type():
        tiny_config.terms.update(terms)
    with pytest.raises(UserError, match=words):
        game_of(tiny_config, norm_by_kind=names)


@pytest.mark.parametrize("norm", ["plain_norm", "norm_by_kind"])
def test_a_stack_without_batch_normalisation_is_not_named_in_vain(tiny_config, norm):
    with pytest.raises(UserError, match=f"{norm} names discriminator_z, of which no row is batch normal"):
        game_of(tiny_config, **{norm: ("discriminator_z",)})


def test_nor_is_one_that_has_nothing_else_for_weight_normalisation(tiny_config):
    tiny_config.model.discriminator_z = (dense(8, norm=True),)
    with pytest.raises(UserError, match="weight_norm names discriminator_z, of which all rows are batch"):
        game_of(tiny_config, weight_norm=("discriminator_z",))
