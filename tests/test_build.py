import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import load_config

from ali_jax import build
from ali_jax.errors import UserError
from ali_jax.models.rows import conv, dense, mean, row
from ali_jax.terms import Share, needs


def test_the_learning_rate_decays_to_zero_after_its_share_of_the_steps(tiny_config):
    tiny_config.learning_rate, tiny_config.num_steps, tiny_config.decay_after = 0.1, 10, 0.6
    adam = build.optimizers(tiny_config).generator
    params, sizes = jnp.zeros(()), []
    state = adam.init(params)
    for _ in range(11):  # Adam's step on a constant gradient is the rate itself.
        update, state = adam.update(jnp.ones(()), state, params)
        sizes.append(-float(update))
    np.testing.assert_allclose(sizes, [0.1] * 7 + [0.075, 0.05, 0.025, 0], atol=1e-6)


@pytest.mark.parametrize(
    ("field", "value"), [("learning_rate", -1.0), ("disturbance.translation", 3.0), ("b1", 2.0)]
)
def test_values_that_no_run_can_use_build_no_game(tiny_config, field, value):
    tiny_config.update_from_flattened_dict({field: value})
    with pytest.raises(UserError, match=f"config.{field} is {value}"):
        build.game(tiny_config)


@pytest.mark.parametrize("share", [0.999, 1 - 1e-9])
def test_a_rate_that_decays_at_all_does_so_at_the_last_step(tiny_config, share):
    """A share so close to 1 that it would round to no decay at all."""
    tiny_config.learning_rate, tiny_config.num_steps, tiny_config.decay_after = 0.1, 10, share
    adam = build.optimizers(tiny_config).generator
    state = adam.init(jnp.zeros(()))
    for rate in [0.1] * 10 + [0.0]:
        update, state = adam.update(jnp.ones(()), state, jnp.zeros(()))
        np.testing.assert_allclose(-update, rate, atol=1e-6)


def sizes_of_steps(optimizer, count):
    """Of Adam's steps on a constant gradient: the rate itself."""
    state, sizes = optimizer.init(jnp.zeros(())), []
    for _ in range(count):
        update, state = optimizer.update(jnp.ones(()), state, jnp.zeros(()))
        sizes.append(-float(update))
    return sizes


def test_each_role_learns_at_its_own_rate(tiny_config):
    tiny_config.learning_rate, tiny_config.num_steps, tiny_config.decay_after = 0.1, 4, 0.5
    tiny_config.rate_of.encoder, tiny_config.rate_of.discriminator = 10.0, 0.5
    for optimizer, factor in zip(build.optimizers(tiny_config), (1, 10, 0.5), strict=True):
        np.testing.assert_allclose(
            sizes_of_steps(optimizer, 4), factor * np.array([0.1, 0.1, 0.1, 0.05]), rtol=1e-5
        )


def test_g_learns_no_more_after_its_share_of_the_steps(tiny_config):
    tiny_config.learning_rate, tiny_config.num_steps, tiny_config.freeze_generator_after = 0.1, 4, 0.5
    generator, *others = build.optimizers(tiny_config)
    sizes = sizes_of_steps(generator, 4)
    np.testing.assert_allclose(sizes, [0.1, 0.1, 0, 0], rtol=1e-5)
    assert sizes[2:] == [0, 0]  # not a little: frozen parameters stay to the bit
    for optimizer in others:
        np.testing.assert_allclose(sizes_of_steps(optimizer, 4), 0.1, rtol=1e-5)


def test_weight_decay_adds_the_kernel_to_its_gradient_and_nothing_else(tiny_config):
    """Adam's first step is the rate in the direction of what it is given."""
    tiny_config.learning_rate, tiny_config.weight_decay = 0.1, 0.5
    adam = build.optimizers(tiny_config).encoder
    params = jnp.array([4.0, -4.0, 4.0])
    params = {"layer_1": {"kernel": params, "bias": params, "norm": {"scale": params, "shift": params}}}
    gradient = jax.tree.map(lambda _: jnp.array([0.0, 0.0, -2.0]), params)
    update, _ = adam.update(gradient, adam.init(params), params)
    np.testing.assert_allclose(update["layer_1"].pop("kernel"), [-0.1, 0.1, 0.0], atol=1e-6)
    for of_others in jax.tree.leaves(update):
        np.testing.assert_allclose(of_others, [0.0, 0.0, 0.1], atol=1e-6)


@pytest.mark.parametrize("weight_norm", [(), ("generator", "encoder", "discriminator_z")])
def test_a_fresh_state_has_the_types_of_a_trained_one(tiny_config, weight_norm):
    """Else the second step would be compiled anew: also where a type was merely left to JAX ("weak")."""
    tiny_config.model.weight_norm = weight_norm
    game = build.game(tiny_config)
    after, _ = jax.eval_shape(game.step, game.shapes, game.example)
    types = [
        [(leaf.shape, leaf.dtype, leaf.weak_type) for leaf in jax.tree.leaves(s)]
        for s in (game.shapes, after)
    ]
    assert types[0] == types[1]


def test_the_average_spans_a_fifth_of_few_steps_and_is_an_exponential_one_of_many(tiny_config):
    tiny_config.average_rate = 0.6
    x = jax.random.uniform(jax.random.key(0), (16, 8, 8, 1))
    game = build.game(tiny_config)
    state = jax.jit(game.init)(jax.random.key(1), batch={"x": x})
    step, kernels, averages = jax.jit(game.step), [], []
    for _ in range(6):
        state, _ = step(state, {"x": x})
        for kept, params in ((kernels, state.params), (averages, state.average[0])):
            kept.append(np.asarray(params.encoder["stack"]["layer_1"]["kernel"]))
    np.testing.assert_allclose(averages[0], kernels[0], atol=1e-6)
    np.testing.assert_allclose(averages[2], (2 * averages[1] + 5 * kernels[2]) / 7, atol=1e-6)
    np.testing.assert_allclose(averages[5], 0.4 * averages[4] + 0.6 * kernels[5], atol=1e-6)


LABELS = {"labels": {}}
FEW = {"labels": {}, "adversarial": {"unlabelled": True}}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"terms": {"adversarial": {"unlabelled": True}}}, "config.num_labels is 0"),
        ({"terms": FEW}, "config.num_labels is 0; config.terms .* needs labels"),
        ({"num_labels": 20}, "no term of config.terms .adversarial. learns from labels"),
        ({"labelled_batch_size": 4}, "labelled_batch_size is 4, but no term .* learns from labels"),
        ({"terms": FEW, "num_labels": 20, "labelled_batch_size": 16}, "must be from 1 to 15"),
        ({"terms": LABELS, "num_labels": 20, "labelled_batch_size": 8}, "without an encoder"),
        ({"terms": {"feature_matching": {}, **FEW}, "num_labels": 20}, "without an encoder"),
        (
            {"terms": {"test_build:scores_of_z": {}}},
            r"scores_of_z\. .* z_head is None; add config\.model\.discriminator_z_head, rows that end in one",
        ),
        (
            {"terms": FEW, "num_labels": 20, "classes": (3, 7)},
            r"classes is \(3, 7\), .* of all classes",
        ),
        ({"model.num_attributes": 5}, "num_attributes is 5, and of the networks' rows none embeds"),
    ],
)
def test_terms_that_do_not_fit_the_rest_are_named(tiny_config, changes, words):
    tiny_config.update_from_flattened_dict(changes)
    with pytest.raises(UserError, match=words):
        build.game(tiny_config)


@needs(heads=("z",))
def scores_of_z(round, players, key):
    return Share(d=jnp.mean(round.real.z))


def no_share(round, players, key):  # of tests/test_main.py
    return 1.0


@needs(encoder=True)
def wants_codes(round, players, key):
    return Share(ge=jnp.mean(round.encoding.z))


def test_a_term_that_needs_an_encoder_is_refused_to_a_plain_gan():
    config = load_config("mixture", "gan")
    config.terms = {"adversarial": {}, "test_build:wants_codes": {}}
    words = r"wants_codes\. A term needs an encoder, and networks\.encoder is None; .* config\.model\.encoder"
    with pytest.raises(UserError, match=words):
        build.game(config)


def test_a_head_of_more_than_one_feature_is_named(tiny_config):
    tiny_config.model.discriminator_x_head = (("dense", 1, 1, 2, False, 0.0, "linear", "tied"),)
    with pytest.raises(UserError, match="discriminator_x_head has 2 features"):
        build.game(tiny_config)


MAP_OF_CODES = (conv(4, 4, stride=2), conv(6, nonlinearity="linear"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"discriminator_joint": (conv(1, 1, nonlinearity="linear"),)},
            r"D ends in \(3, 3, 1\), and not in the 1",
        ),
        ({"discriminator_x_head": (conv(1, 1, nonlinearity="linear"),)}, r"a head of D ends in \(3, 3, 1\)"),
        ({"discriminator_joint": (dense(5), row("identity", 1, nonlinearity="linear"))}, r"D ends in \(5,\)"),
        ({"discriminator_joint": (dense(5), mean(1))}, "mean: the row says 1 features, and its input has 5"),
        ({"encoder": MAP_OF_CODES}, "E ends in 54 numbers; z has 3, which takes 6"),
        ({"encoder": MAP_OF_CODES, "posterior": "deterministic"}, "E ends in 27 numbers; .* takes 3"),
    ],
)
def test_networks_that_end_in_something_else_are_named(tiny_config, changes, words):
    tiny_config.model.discriminator_x = (conv(4, 4, stride=2),)  # of 8x8 leaves 3x3
    tiny_config.model.discriminator_z = ()
    tiny_config.model.discriminator_joint = (dense(1, nonlinearity="linear"),)
    build.game(tiny_config)
    tiny_config.model.update(changes)
    with pytest.raises(UserError, match=f"do not fit each other.*{words}"):
        build.game(tiny_config)


def test_more_logits_than_one_need_a_term_with_labels(tiny_config):
    tiny_config.model.discriminator_joint = (("dense", 1, 1, 10, False, 0.2, "linear", "tied"),)
    with pytest.raises(UserError, match="has 10 features; without a term that learns from labels"):
        build.game(tiny_config)


def test_dropout_outside_of_D_is_refused(tiny_config):
    row, *rows = tiny_config.model.encoder
    tiny_config.model.encoder = ((*row[:5], 0.2, *row[6:]), *rows)
    with pytest.raises(UserError, match=r"Row 1 of config\.model\.encoder has dropout"):
        build.game(tiny_config)
