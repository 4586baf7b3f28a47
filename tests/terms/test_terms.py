import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import make_tiny_config
from helpers import begun, play

from ali_jax import config as config_lib
from ali_jax import models, terms
from ali_jax.errors import UserError
from ali_jax.terms import Needs, Round, Share, bind, needs, needs_of, play_for
from ali_jax.terms.few_labels import labels
from ali_jax.train_step import init_state


def noise(round, players, key):
    return Share(ge=jax.random.normal(key), metrics={"drawn": jnp.ones(())})


def other(round, players, key, *, weight=1.0):
    return Share(d=weight * jax.random.normal(key))


def asks(round, players, key, margin):
    return Share()


def play_of(game):
    return play_for(game, Round({}, None, None), None, jax.random.key(0))


def test_a_term_more_leaves_the_noise_of_the_others_as_it_was():
    alone, both = play_of({"noise": noise}), play_of({"a_first_one": other, "noise": noise, "z_last": other})
    assert alone.ge == both.ge == both.metrics["loss_noise"]
    assert alone.metrics.keys() == {"drawn"}
    assert both.metrics["loss_a_first_one"] != both.metrics["loss_z_last"]
    np.testing.assert_allclose(both.d, both.metrics["loss_a_first_one"] + both.metrics["loss_z_last"])


def test_the_order_in_a_config_does_not_matter():
    game = {"noise": noise, "other": other, "third": other}
    turned = dict(reversed(game.items()))
    assert play_of(game).d == play_of(turned).d


def test_two_metrics_of_one_name_are_refused():
    with pytest.raises(UserError, match="metric drawn"):
        play_of({"noise": noise, "again": noise})
    with pytest.raises(UserError, match="metric step"):
        play_of({"noise": lambda *given: Share(ge=jnp.zeros(()), metrics={"step": jnp.zeros(())})})


@pytest.mark.parametrize(
    ("gives", "words"),
    [
        ({"ge": 1.0}, "returned dict, not a Share"),
        (Share(metrics=None), "metrics of the term .* is a NoneType; let Share have a mapping there"),
        (Share(ge=jnp.zeros(3)), r"ge .* has the shape \(3,\)"),
        (Share(ge=jnp.float32(1), metrics={"m": {"n": 1.0}}), "m of the term mine .* is a dict; .* a scalar"),
        (Share(ge=[1.0]), "ge of the term mine .* is a list"),
        (Share(d=jnp.int32(3)), "d of the term mine .* is int32, of which nobody learns"),
    ],
)
def test_what_is_no_share_of_scalars_is_named(gives, words):
    with pytest.raises(UserError, match=words):
        play_of({"mine": lambda *given: gives})


def test_what_a_term_needs_is_seen_through_partial_and_may_depend_on_its_settings():
    assert needs_of({"labels": functools.partial(labels, weight=0.5)}) == Needs(False, True)
    assert needs_of(bind({"adversarial": {"unlabelled": True}})) == Needs(True, True)
    with pytest.raises(UserError, match="no head for joint"):
        needs(heads=("joint",))
    with pytest.raises(UserError, match=r"are 'xx'; write a tuple of them, as \('xx',\)"):
        needs(heads="xx")
    with pytest.raises(UserError, match="no need 'enocder'; choose of generated, labels, encoder"):
        needs(enocder=True)
    of_settings = needs(heads=lambda settings: (settings.get("head", "x"),))(asks)
    assert needs_of({"asks": functools.partial(of_settings, head="xx")}).heads == ("xx",)
    with pytest.raises(UserError, match="no head for joint"):
        needs_of({"asks": functools.partial(of_settings, head="joint")})
    del asks.needs


def test_a_loop_of_ones_own_is_told_what_networks_and_batch_lack():
    config = make_tiny_config()
    config.model.packing = 2
    networks, batch = models.build(config.model), {"x": np.zeros((4, 8, 8, 1))}
    terms.check_needs(Needs(), networks, batch)
    for needed, given, words in (
        (Needs(encoder=False), batch, "a game without an encoder"),
        (Needs(generated=False, labels=True), batch, "a game without an encoder"),
        (Needs(labels=True), batch, "packs of 2 pairs"),
        (Needs(), {"x": batch["x"][:3]}, r"packs of 2 pairs .*a batch has 3 examples"),
        (Needs(heads=("x",)), batch, "its x_head is None"),
    ):
        with pytest.raises(UserError, match=words):
            terms.check_needs(needed, networks, given)
    for given, words in (
        (batch["x"], "The batch is ndarray; pass a dict"),
        ({"image": batch["x"]}, r"The batch is \['image'\]; pass a dict"),
        ({"x": batch["x"][:, :7]}, r"has the shape \(4, 7, 8, 1\); G makes \(M, 8, 8, 1\)"),
        ({"x": batch["x"][:0]}, r"has the shape \(0, 8, 8, 1\)"),
        ({"x": batch["x"].tolist()}, "is a list; pass an array"),
        ({"x": np.float32(1)}, r"has the shape \(\)"),
        (batch | {"attributes": np.zeros(4)}, r'attributes"\] has the shape \(4,\) .*numbers \(M, A\)'),
        (batch | {"attributes": np.zeros((2, 3))}, r"has the shape \(2, 3\) .*, of each of the 4 examples"),
    ):
        with pytest.raises(UserError, match=words):
            terms.check_needs(Needs(), networks, given)
        with pytest.raises(UserError, match=words):
            init_state(jax.random.key(0), networks, networks, given)
    with pytest.raises(UserError, match="terms is a list; pass terms="):
        needs_of(["adversarial"])
    with pytest.raises(
        UserError, match=r"The term adversarial is \{\} and no function; pass terms=terms\.bind"
    ):
        needs_of({"adversarial": {}})
    config.model.norm_by_kind = ("discriminator_x",)
    networks = models.build(config.model)
    terms.check_needs(Needs(), networks, batch)
    with pytest.raises(UserError, match="as r1 and r2 do and whoever asks for classes, and it normalises"):
        terms.check_needs(Needs(one_kind=True), networks, batch)


@pytest.mark.parametrize(
    ("label", "words"),
    [
        (None, "the batch has none"),
        ([0, 1, 2, 3], "is a list; pass an array of whole numbers"),
        (np.zeros(4), r"has the shape \(4,\) and holds float64; pass whole"),
        (np.zeros((4, 1), int), r"has the shape \(4, 1\) .*-1 where one is not known"),
        (np.zeros(3, int), r"has the shape \(3,\) .*, of each of the 4 examples"),
    ],
)
def test_labels_that_are_no_classes_of_the_examples_are_named_where_a_term_learns_of_them(label, words):
    networks = models.build(make_tiny_config().model)
    batch = {"x": np.zeros((4, 8, 8, 1)), "label": label, "attributes": None}
    terms.check_needs(Needs(), networks, batch)
    with pytest.raises(UserError, match=words):
        terms.check_needs(Needs(labels=True), networks, batch)


def test_a_configs_terms_are_bound_as_they_are():
    config = make_tiny_config()
    config.terms = config_lib.as_terms({f"{__name__}:other": {"weight": 3.0}, "adversarial": {}})
    assert bind(config.terms)[f"{__name__}:other"].keywords == {"weight": 3.0}


def test_settings_are_bound():
    bound = bind({"adversarial": {"d": 2.0}, f"{__name__}:other": {"weight": 3.0}})
    assert list(bound) == ["adversarial", f"{__name__}:other"]
    key = jax.random.key(0)
    np.testing.assert_allclose(bound[f"{__name__}:other"](None, None, key).d, 3 * jax.random.normal(key))


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ({}, "nobody plays"),
        ("cycle", "config.terms is 'cycle'; give a mapping of terms"),
        (["cycle"], "give a mapping of terms"),
        ({"wasserstein": {}}, "no term 'wasserstein'.*adversarial, .*feature_matching, .*labels"),
        ({"adversarial": {"weigth": 1.0}}, "no setting 'weigth'; choose of d, ge, unlabelled"),
        ({"adversarial": 1.0}, "give a mapping of its settings"),
        ({"nowhere.at.all:term": {}}, "cannot be imported .*nowhere"),
        ({"ali_jax.terms:nothing": {}}, "cannot be imported .*nothing"),
        ({f"{__name__}:noise": {"weight": 1.0}}, "choose of none"),
        ({"adversarial": {"d": "much"}}, "setting d of the term adversarial .* must be a finite number"),
        ({"adversarial": {"ge": float("nan")}}, "must be a finite number"),
        ({"adversarial": {"ge": np.float32("inf")}}, "must be a finite number"),
        ({"adversarial": {"d": -0.5}}, "setting d of the term adversarial .* is -0.5; it must be at least 0"),
        ({"contrast": {"temperature": 0.0}}, "must be above 0"),
        ({"r1": {"every": 0}}, "setting every of the term r1 .* is 0; it must be a whole number"),
        ({"cycle": {"power": 3}}, r"must be a whole number in \[1, 2\]"),
        ({"adversarial": {"unlabelled": 1}}, "must be true or false"),
        ({"math:sqrt": {}}, "is no term"),
        ({"json:dumps": {}}, "is no term"),  # takes three arguments, but not by place
        ({"builtins:print": {}}, "is no term"),
        ({"ali_jax.terms:TERMS": {}}, "is no term"),
        ({".foo:bar": {}}, "cannot be imported"),
        ({f"{__name__}:asks": {}}, "needs the setting 'margin'; add it"),
    ],
)
def test_a_wrong_term_or_setting_is_named(named, words):
    with pytest.raises(UserError, match=words):
        bind(named)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def pull(round, players, key):\n    return 1 +\n", "line 2 .*SyntaxError"),
        ("x = 1\n\nx / 0\n", "line 3 .*ZeroDivisionError"),
        ("import no_such_module_at_all\n", "line 1 .*no_such_module_at_all"),
    ],
)
def test_a_mistake_in_the_file_of_a_term_is_named_with_its_line(tmp_path, monkeypatch, text, words):
    (tmp_path / "broken_term.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match=rf"broken_term\.py has a mistake in {words}"):
        bind({"broken_term:pull": {}})


def test_numbers_of_numpy_are_numbers():
    bound = bind({"cycle": {"weight": np.float32(0.5)}, "r1": {"every": np.int64(3)}})
    assert bound["cycle"].keywords == {"weight": 0.5} and bound["r1"].keywords == {"every": 3}


def test_what_a_game_needs_is_what_its_terms_need():
    assert needs_of(bind({"adversarial": {}})) == Needs(generated=True)
    assert needs_of(bind({"labels": {}})) == Needs(generated=False, labels=True)
    assert needs_of(bind({"labels": {}, "feature_matching": {}})) == Needs(True, True, False, hidden=True)
    both = needs_of(bind({"labels": {}, "consistency": {}}))
    assert both == Needs(generated=False, labels=True, unlabelled=True)

    @needs(encoder=True, heads=("z",))
    def cycle(round, players, key):
        return Share()

    assert needs_of({"cycle": cycle, "noise": noise}) == Needs(encoder=True, heads=("z",))
    assert needs_of(bind({"cycle": {}, "r1": {}})) == Needs(encoder=True, one_kind=True)
    with pytest.raises(UserError, match=r"cycle and feature_matching .* exclude each other"):
        needs_of({"cycle": cycle, **bind({"feature_matching": {}})})


@pytest.fixture(scope="module")
def outcome():
    """A round of the tiny game with a head for x and one for z, its players, and the game."""
    tiny_config = make_tiny_config()
    tiny_config.model.discriminator_x_head = (("dense", 1, 1, 1, False, 0.0, "linear", "tied"),)
    tiny_config.model.discriminator_z_head = (("dense", 1, 1, 1, False, 0.0, "linear", "tied"),)
    tiny_config.model.init_std = 0.3
    game, state, batch = begun(tiny_config)
    return play(game.networks, state.params, state, batch), state, game


def test_a_round_holds_what_was_drawn_inferred_generated_and_judged(outcome):
    (round_, _, _, _), _, _ = outcome
    assert round_.x.shape == round_.x_tilde.shape == (16, 8, 8, 1)
    assert round_.z.shape == round_.encoding.z.shape == round_.encoding.sigma.shape == (16, 3)
    for judged in (round_.real, round_.generated):
        assert judged.joint.shape == (16, 1) and judged.hidden.shape == (16, 18)
        assert judged.score.shape == judged.x.shape == judged.z.shape == (16,)
        np.testing.assert_array_equal(judged.score, judged.joint[:, 0])
    assert not np.allclose(round_.real.x, round_.generated.x)


def test_players_run_the_same_networks_again(outcome):
    (round_, players, batch_stats, key), state, _ = outcome
    np.testing.assert_allclose(players.generate(round_.z), round_.x_tilde, rtol=1e-5, atol=1e-6)
    again = players.encode(round_.x, key)
    np.testing.assert_allclose(again.mu, round_.encoding.mu, rtol=1e-5, atol=1e-6)
    assert not np.allclose(again.z, round_.encoding.z)  # of noise of its own
    judged = [players.judge(round_.x, again.z, k).score for k in jax.random.split(key)]
    assert judged[0].shape == (16,) and not np.allclose(*judged)  # dropout of its own
    # Statistics moved by the round's pass alone.
    moved = jax.tree.map(lambda a, b: np.any(a != b), batch_stats, state.batch_stats)
    assert all(jax.tree.leaves(moved))


def test_what_a_discriminator_of_ones_own_does_not_give_is_told(outcome):
    (round_, players, _, key), _, game = outcome
    of_pairs_alone = (judged._replace(x=None, z=None) for judged in (round_.real, round_.generated))
    round_ = round_._replace(**dict(zip(("real", "generated"), of_pairs_alone, strict=True)))
    for term in ("unary_x", "unary_z"):
        with pytest.raises(UserError, match="D's Judgement has none; let it give both x and z"):
            terms.find(term)(round_, players, key)
    networks = game.networks._replace(discriminator=object())
    with pytest.raises(UserError, match=r"shows D twins \(xx\), and object has no method compare"):
        terms.check_needs(Needs(heads=("xx",)), networks, {"x": round_.x})


def test_a_term_may_use_scores_of_x_and_z_alone(outcome):
    """Every network that a head sees through learns from it."""
    _, state, game = outcome

    @needs(heads=("x", "z"))
    def alone(round, players, key):
        def loss(s_q, s_p):
            return jnp.mean(jax.nn.softplus(-s_q)) + jnp.mean(jax.nn.softplus(s_p))

        (x_q, z_q), (x_p, z_p) = ((j.x, j.z) for j in (round.real, round.generated))
        return Share(d=loss(x_q, x_p) + loss(z_q, z_p), ge=loss(x_p, x_q) + loss(z_p, z_q))

    batch = {"x": np.zeros((16, 8, 8, 1), np.uint8)}
    after, metrics = jax.jit(functools.partial(game.step, terms={"alone": alone}))(state, batch)
    moved = jax.tree.map(lambda a, b: bool(np.any(a != b)), after.params, state.params)
    assert all(jax.tree.leaves(moved.generator)) and any(jax.tree.leaves(moved.encoder))
    heads = [moved.discriminator[name] for name in ("x_head", "z_head")]
    assert all(jax.tree.leaves(heads)) and not any(jax.tree.leaves(moved.discriminator["joint_stack"]))
    assert np.isfinite([*metrics.values()]).all()


def test_every_term_is_listed_by_its_name():
    assert {"adversarial", "labels", "feature_matching"} <= terms.TERMS.keys()
    assert all(term.__name__ == name and term.__doc__ for name, term in terms.TERMS.items())
