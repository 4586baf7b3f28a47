"""Section 4.5: ALI beside inference learned in other ways."""

import functools
import json

import jax
import numpy as np
import optax
import pytest
from conftest import make_tiny_study, small_data
from helpers import assert_same, moved
from scipy.stats import norm

from ali_jax import data
from ali_jax.errors import UserError
from ali_jax.inference import Model
from ali_jax.players import BoundNetworks
from ali_jax.roles import Roles
from ali_jax.run.workdirs import claim
from ali_jax.train_step import init_state
from experiments.mixture import compare, figure, measures, procedures, search


@pytest.fixture(scope="module")
def begun():
    """(procedures, their first states, a batch, the GAN), the GAN not at its start."""
    config = make_tiny_study()
    config.model.init_std = 1.0
    batch = small_data(config)[0][0]
    networks = search.build(config, "gan")

    def first(key, networks, optimizers):
        return jax.jit(lambda: init_state(jax.random.key(key), networks, optimizers, batch))()

    sgd = optax.sgd(1.0)
    state = first(7, networks, Roles(sgd, sgd, sgd))
    gan = Model(networks, state.params, jax.tree.map(lambda leaf: leaf + 0.5, state.batch_stats))
    made = procedures.procedures(config, gan)
    states = {name: p.start(first(0, p.networks, p.optimizers)) for name, p in made.items()}
    return made, states, batch, gan


@pytest.mark.parametrize(
    ("name", "generator", "encoder", "discriminator"),
    [
        ("inverse_mapping", False, True, False),
        ("post_hoc", False, True, True),
        ("vae", True, True, False),
        ("vae_learned_std", True, True, False),
    ],
)
def test_each_procedure_trains_its_own_roles(begun, name, generator, encoder, discriminator):
    """A frozen generator keeps the GAN's parameters and statistics to the bit."""
    made, states, batch, gan = begun
    networks, optimizers, step, _ = made[name]
    step = jax.jit(functools.partial(step, networks=networks, optimizers=optimizers))
    after = states[name]
    for _ in range(2):
        after, _ = step(after, batch)
    assert moved(states[name].params, after.params) == (generator, encoder, discriminator)
    if not generator:
        assert_same(after.params.generator, gan.params.generator)
        assert_same(after.batch_stats.generator, gan.batch_stats.generator)
    assert moved(states[name].batch_stats, after.batch_stats).encoder


def test_a_frozen_generator_runs_with_its_running_statistics(begun):
    made, _, _, gan = begun
    z = jax.random.normal(jax.random.key(1), (5, 2))
    variables, frozen = gan.variables("generator"), made["post_hoc"].networks.generator
    running = gan.networks.generator.apply(variables, z)
    np.testing.assert_array_equal(frozen.apply(variables, z, train=True), running)
    assert not np.allclose(gan.networks.generator.apply(variables, z, train=True, mutable=True)[0], running)


def test_divergence_from_the_prior_by_hand():
    mu, sigma = np.float32([[0, 0], [3, 4], [0, 0]]), np.float32([[1, 1], [1, 1], [np.e, 1]])
    expected = [0, 12.5, (np.e**2 - 3) / 2]
    np.testing.assert_allclose(procedures.divergence_from_prior(mu, sigma), expected, rtol=1e-6)


def test_the_elbo_is_the_likelihood_of_what_is_decoded_and_best_at_the_learned_std(begun):
    made, states, batch, _ = begun
    networks, state, key = made["vae"].networks, states["vae"], jax.random.key(2)

    def loss(std):
        arguments = (networks, state.params, state.batch_stats, batch["x"], key)
        return float(procedures.negative_elbo(*arguments, std=std)[0])

    bound = BoundNetworks(networks, state.params, state.batch_stats)
    encoding, _ = bound.encode(batch["x"], key)
    x_hat, _ = bound.generate(encoding.z)
    likelihood = norm.logpdf(batch["x"], loc=x_hat, scale=0.7).sum(1)
    expected = np.mean(procedures.divergence_from_prior(encoding.mu, encoding.sigma) - likelihood)
    np.testing.assert_allclose(loss(0.7), expected, rtol=1e-4)
    best = float(np.sqrt(np.mean(np.square(batch["x"] - x_hat))))
    np.testing.assert_allclose(loss(None), loss(best), rtol=1e-5)
    assert loss(None) < min(loss(0.9 * best), loss(1.1 * best))


def test_an_encoder_learns_to_invert_a_frozen_generator(begun):
    made, states, batch, _ = begun
    networks, optimizers, step, _ = made["inverse_mapping"]
    adam = optax.adam(1e-2)
    optimizers = optimizers._replace(encoder=adam)
    state = states["inverse_mapping"]
    state = state._replace(opt_state=state.opt_state._replace(encoder=adam.init(state.params.encoder)))

    def again(state, _):
        return step(state, batch, networks=networks, optimizers=optimizers)

    _, metrics = jax.jit(functools.partial(jax.lax.scan, again, length=300))(state, None)
    assert metrics["loss"][-50:].mean() < 0.5 * metrics["loss"][0]


def test_a_comparison_measures_every_column_and_draws_figure_8(searched, tmp_path):
    workdir, _, results = searched
    output = tmp_path / "out"
    found = compare.main(None, None, workdir, output)
    assert {path.name for path in output.iterdir()} == {"comparison.png", "comparison.pdf"}
    assert list(found["measures"]) == [*compare.COLUMNS, "vae_learned_std"]
    for game in search.GAMES:
        assert found["draws"][game] == [0, 1]
        assert found["best_draws"][game] == results["draws"][results[game]["best_draw"]]
    # The same noise and points: what the search measured of its best run, up to the order of sums.
    best, ali = results["ali"]["each_draw"][results["ali"]["best_draw"]], found["measures"]["ali"]
    np.testing.assert_allclose([best[name] for name in ali], list(ali.values()), rtol=1e-3)
    for shared in ("modes_covered", "high_quality_share"):
        assert found["measures"]["inverse_mapping"][shared] == found["measures"]["post_hoc"][shared]
    assert found["measures_of_the_data_and_the_prior"]["modes_covered_strictly"] == 25
    assert found["measures_of_the_data_and_the_prior"]["distance_to_prior"] < 0.1
    json.dumps(found, allow_nan=False)


def test_the_figure_has_five_rows_and_a_column_for_each_model():
    points = measures.Points(*[np.zeros((3, 2))] * 4)
    test = data.Split(np.zeros((3, 2)), np.arange(3), None)
    axes = figure.comparison_figure(
        dict.fromkeys(compare.COLUMNS.values(), points), test, compare.MIXTURE
    ).axes
    assert len(axes) == 20
    assert [a.get_xlim() for a in axes[::4]] == [(-6, 6), (-4, 4), (-6, 6), (-4, 4), (-6, 6)]
    assert [a.get_title() for a in axes[:4]] == list(compare.COLUMNS.values())


def test_what_cannot_be_compared_is_named(tiny_study, searched, tmp_path):
    with pytest.raises(UserError, match=r"no config\.json"):
        compare.main(None, None, tmp_path, tmp_path)
    claim(tmp_path / "run", tiny_study)
    with pytest.raises(UserError, match="no search"):
        compare.main(None, None, tmp_path / "run", tmp_path)
    claim(tmp_path / "begun", tiny_study)
    (tmp_path / "begun" / "ali_0").mkdir()
    with pytest.raises(UserError, match="none of its ALI runs for 10 steps"):
        compare.main(None, None, tmp_path / "begun", tmp_path)
    tiny_study.num_steps = 20
    with pytest.raises(UserError, match="none of its GAN runs for 20 steps"):
        compare.load_best(tiny_study, searched[0], "gan")
