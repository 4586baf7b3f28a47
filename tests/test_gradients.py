"""Going through D once for both losses, or twice: ali_jax/gradients.py."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from conftest import load_config
from golden_games import small_maxout
from helpers import make_conditional_config

from ali_jax import build, gradients, terms
from ali_jax import config as config_lib
from ali_jax.models import Discriminator, layers
from ali_jax.models.rows import dense
from ali_jax.roles import Roles
from ali_jax.terms import Needs, Share, needs
from ali_jax.train_step import train_step

SGD = optax.trace(decay=0.0)  # its state is the gradient of the last step


def begun(config, scale=1.0):
    """A game, its first state under SGD, with D's last kernel times a scale, and a batch."""
    game, random = build.game(config), np.random.default_rng(0)
    batch = {
        name: random.integers(0, 2, (config.batch_size, *one.shape[1:])).astype(one.dtype)
        for name, one in game.example.items()
    }
    state = jax.jit(game.init)(jax.random.key(0), batch=batch)
    of_d = dict(state.params.discriminator)
    last = f"layer_{len(config.model.discriminator_joint)}"
    joint = of_d["joint_stack"]
    of_d["joint_stack"] = {**joint, last: jax.tree.map(lambda p: scale * p, joint[last])}
    params = state.params._replace(discriminator=of_d)
    return game, state._replace(params=params, opt_state=Roles(*(SGD.init(p) for p in params))), batch


def learned(game, state, batch, named):
    """The gradients of a step."""
    played = {
        name: term if callable(term) else terms.bind({name: term})[name] for name, term in named.items()
    }
    optimizers = Roles(SGD, SGD, SGD)
    step = functools.partial(train_step, networks=game.networks, optimizers=optimizers, terms=played)
    after, _ = jax.jit(step)(state, batch)
    return Roles(*(of_role.trace for of_role in after.opt_state))


def by_once_and_by_twice(monkeypatch, config, named, scale=1.0):
    """The gradients by either way."""
    game, state, batch = begun(config, scale)
    found = []
    for once in (True, False):
        monkeypatch.setattr(gradients, "through_d_once", lambda networks, needs, once=once: once)
        found.append(learned(game, state, batch, named))
    monkeypatch.undo()
    return found


def assert_once_is_twice(monkeypatch, config, named, scale=1.0):
    assert gradients.through_d_once(build.game(config).networks, terms.needs_of(terms.bind(named)))
    by_once, by_twice = by_once_and_by_twice(monkeypatch, config, named, scale)
    for one, other in zip(jax.tree.leaves(by_once), jax.tree.leaves(by_twice), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4 * np.abs(other).max())
    assert any(np.any(leaf) for leaf in jax.tree.leaves(by_once.generator))
    return by_once


@pytest.fixture
def config(tiny_config):
    """No batch normalisation in D; weights that tell pairs apart."""
    tiny_config.model.discriminator_x = (dense(12, dropout=0.2),)
    tiny_config.model.init_std = 0.3
    return tiny_config


@pytest.mark.parametrize(
    "named",
    [
        {"adversarial": {}},
        {"adversarial": {"d": 0.5, "ge": 3.0}, "cycle": {}, "latent_regression": {}, "r1": {}},
        {"hinge": {}},
        {"relativistic": {}, "contrast": {}},
    ],
    ids=lambda named: "-".join(named),
)
def test_once_is_twice(monkeypatch, config, named):
    assert_once_is_twice(monkeypatch, config, named)


def test_once_is_twice_for_packs_attributes_and_convolutions(monkeypatch):
    conditional = make_conditional_config(1, 1, 3)
    conditional.batch_size = 8
    conditional.model.packing, conditional.model.init_std = 2, 0.3
    assert_once_is_twice(monkeypatch, conditional, {"adversarial": {}})
    convolutions = small_maxout()
    convolutions.batch_size, convolutions.model.init_std = 4, 0.1
    assert_once_is_twice(monkeypatch, convolutions, {"adversarial": {}})


@pytest.mark.parametrize("named", [{"adversarial": {}}, {"hinge": {}}], ids=lambda named: "".join(named))
def test_G_and_E_learn_as_much_where_D_is_sure(monkeypatch, config, named):
    """Logits of hundreds: D's own loss has slopes of zero, and theirs do not."""
    grads = assert_once_is_twice(monkeypatch, config, named, scale=3000.0)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(grads))


def test_G_and_E_learn_as_much_where_D_learns_nothing_and_its_slopes_are_tiny(monkeypatch, config):
    """D's slopes are zero, as it has no loss, and those of its score by a pair about 1e-9."""
    config.model.discriminator_joint = (*[dense(12)] * 4, dense(1, nonlinearity="linear"))
    config.model.init_std = 0.01
    by_once, by_twice = by_once_and_by_twice(monkeypatch, config, {"adversarial": {"d": 0.0}})
    for role in ("generator", "encoder"):
        of_role = (jax.tree.leaves(getattr(grads, role)) for grads in (by_once, by_twice))
        for one, other in zip(*of_role, strict=True):
            assert np.any(other)
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4 * np.abs(other).max())
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(by_twice.discriminator))
    assert max(np.abs(leaf).max() for leaf in jax.tree.leaves(by_once.discriminator)) < 1e-18


def test_a_D_with_a_logit_of_each_class_is_passed_twice_whatever_it_says_of_itself(config):
    class Classifier(Discriminator):
        scores_each_alone = True

    config_lib.make_semi_supervised(config, "ali", num_classes=4, labelled=4, unlabelled=4)
    config.num_labels = 4
    game, state, batch = begun(config)
    ours = game.networks.discriminator
    stacks = {field: getattr(ours, field) for field in ("x_stack", "z_stack", "joint_stack")}
    says_so = game._replace(networks=game.networks._replace(discriminator=Classifier(**stacks)))
    grads = [learned(of, state, batch, {"adversarial": {}, "labels": {}}) for of in (game, says_so)]
    jax.tree.map(np.testing.assert_array_equal, *grads)


def test_D_is_passed_twice_where_a_pair_has_more_than_a_number_of_its_own(config):
    def asked(config, **needed):
        return gradients.through_d_once(build.game(config).networks, Needs(**needed))

    assert asked(config) and asked(config, heads=("xx",))
    assert not asked(config, heads=("x",)) and not asked(config, hidden=True)
    assert not asked(config, generated=False)
    config.model.discriminator_z = (dense(12, norm=True),)
    assert not asked(config)  # other pairs have a say
    assert asked(load_config("cifar10")) and asked(load_config("mixture")) and not asked(load_config("svhn"))
    assert not asked(load_config("cifar10_semi_supervised"))  # a logit of each class


def test_once_is_not_twice_where_other_pairs_have_a_say(monkeypatch, config):
    """What `through_d_once` is there to see."""
    config.model.discriminator_x = (dense(12, norm=True),)
    by_once, by_twice = by_once_and_by_twice(monkeypatch, config, {"adversarial": {}})
    of_g, expected = (jax.tree.leaves(grads.generator)[0] for grads in (by_once, by_twice))
    assert np.abs(of_g - expected).max() > 0.01 * np.abs(expected).max()


def test_D_is_passed_twice_where_an_operation_may_look_at_other_examples(monkeypatch, config):
    operations = layers.OPERATIONS | {"deviation": lambda layer, h: h - h.mean(0, keepdims=True)}
    monkeypatch.setattr(layers, "OPERATIONS", operations)
    monkeypatch.setattr("ali_jax.models.OPERATIONS", operations)
    assert gradients.through_d_once(build.game(config).networks, Needs())
    config.model.discriminator_x = (
        *config.model.discriminator_x,
        ("deviation", 1, 1, 12, False, 0.0, "linear", "none"),
    )
    assert not gradients.through_d_once(build.game(config).networks, Needs())


def test_a_D_of_ones_own_is_passed_once_where_it_says_so(config):
    class OwnD:
        pass

    networks = build.game(config).networks._replace(discriminator=OwnD())
    assert not gradients.through_d_once(networks, Needs())
    OwnD.scores_each_alone = True
    assert gradients.through_d_once(networks, Needs())

    class Made(Discriminator):
        """May do anything with what it inherits."""

    ours = build.game(config).networks.discriminator
    made = Made(**{field: getattr(ours, field) for field in ("x_stack", "z_stack", "joint_stack")})
    assert not gradients.through_d_once(networks._replace(discriminator=made), Needs())


def test_a_term_sees_of_a_judgement_what_it_says_that_it_needs(config):
    seen = {}

    def looks(round, players, key):
        seen["plain"] = round.real
        return Share(ge=jnp.mean(round.generated.score))

    @needs(hidden=True)
    def looks_deep(round, players, key):
        seen["deep"] = round.real
        return Share(ge=jnp.mean(round.generated.hidden))

    game, state, batch = begun(config)
    learned(game, state, batch, {"adversarial": {}, "looks": looks})
    assert seen["plain"].hidden is None and seen["plain"].score is not None
    by_both = learned(game, state, batch, {"adversarial": {}, "looks": looks_deep})
    assert seen["deep"].hidden is not None
    alone = learned(game, state, batch, {"adversarial": {}})
    same = [np.allclose(a, b) for a, b in zip(*map(jax.tree.leaves, (by_both, alone)), strict=True)]
    assert not all(same)  # G learns of the hidden layer
