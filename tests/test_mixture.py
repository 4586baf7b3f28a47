"""The 25-mode study of experiments/mixture."""

import functools
import json

import jax
import numpy as np
import optax
import pytest
from conftest import load_config
from scipy.stats import norm

from ali_jax import data, train
from ali_jax.errors import UserError
from ali_jax.inference import Model
from ali_jax.roles import Networks
from ali_jax.train_step import init_state, train_step
from experiments.mixture import __main__, compare, figure, loop, measures, procedures, search, speed


def tiny_study():
    """The study with narrow networks and few steps."""
    config = load_config("mixture")
    config.batch_size, config.validation_split = 20, "test[:2000]"
    config.num_steps, config.steps_per_dispatch = 10, 2
    config.log_every = config.checkpoint_every = 6

    def thin(row):
        operation, kernel, stride, features, *rest = row
        return (operation, kernel, stride, features if features <= 2 else features // 50, *rest)

    for field, depth in (("encoder", 2), ("generator", 1), ("discriminator_joint", 1)):
        rows = config.model[field]
        config.model[field] = tuple(map(thin, (*rows[:depth], rows[-1])))
    return config


@pytest.fixture
def tiny():
    return tiny_study()


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """(workdir of a search of two draws, its output, its results)."""
    workdir = tmp_path_factory.mktemp("search")
    return workdir, workdir / "out", search.main(tiny_study(), 2, workdir, workdir / "out")


def small_data(config):
    """(batches, 200 test points)."""
    split = data.load("mixture", "train")._replace(label=None)
    return data.Batches(split, config.batch_size, config.seed), data.load("mixture", "test").x[:200]


# --- measures ------------------------------------------------------------------------------------


def test_a_mode_with_one_nearest_sample_is_covered_and_with_twenty_near_ones_strictly():
    near, far = np.float32([0.1, 0.1]), np.float32([0.2, 0.0])  # 0.141 and 0.2 from a mean; 3 std are 0.15
    samples = np.concatenate(
        [
            np.tile(data.MIXTURE_MEANS[0] + near, (20, 1)),
            np.tile(data.MIXTURE_MEANS[7] + near, (19, 1)),
            np.tile(data.MIXTURE_MEANS[7] + far, (5, 1)),
            np.tile(data.MIXTURE_MEANS[24] + 100, (1, 1)),
        ]
    ).astype(np.float32)
    assert int(measures.modes_covered(samples)) == 3
    assert int(measures.modes_covered_strictly(samples)) == 1
    np.testing.assert_allclose(measures.high_quality_share(samples), 39 / 45, rtol=1e-6)


def test_the_data_themselves_cover_everything():
    x = data.load("mixture", "test").x
    assert int(measures.modes_covered(x)) == int(measures.modes_covered_strictly(x)) == 25
    # P(|n| <= 3) of a two-dimensional normal n is 1 - exp(-9 / 2) = 0.9889.
    assert abs(measures.high_quality_share(x) - 0.9889) < 0.004


def test_means_are_those_of_the_labels():
    split = data.load("mixture", "train")
    means = [split.x[split.label == mode].mean(0) for mode in range(25)]
    np.testing.assert_allclose(means, data.MIXTURE_MEANS, atol=0.005)


def test_points_that_are_not_finite_cover_nothing():
    samples = np.full((100, 2), np.nan, np.float32)
    points = measures.Points(samples, samples, None, None)
    found = measures.measure(points, samples)
    assert found["diverged"] and found["modes_covered"] == found["high_quality_share"] == 0
    samples = samples.copy()
    samples[3] = data.MIXTURE_MEANS[3]
    assert int(measures.modes_covered(samples)) == 1


def test_reconstruction_error_is_a_root_mean_squared_distance():
    x = np.float32([[0, 0], [1, 1]])
    # Distances 5 and 0: sqrt(25 / 2).
    np.testing.assert_allclose(
        measures.reconstruction_error(x, x + np.float32([[3, 4], [0, 0]])), 12.5**0.5, rtol=1e-6
    )


distance_to_prior = jax.jit(measures.distance_to_prior)


def test_distance_to_prior_is_zero_for_the_prior_and_known_for_a_shift_and_a_scale():
    """A shift by v moves projections by v's own, whose mean square is |v|^2 / 2; a scale s by |s - 1|."""
    codes = np.random.default_rng(0).standard_normal((5_000, 2), np.float32)
    assert distance_to_prior(codes) < 0.05
    shifted = distance_to_prior(codes + np.float32([[3.0, 4.0]]))
    np.testing.assert_allclose(shifted, 12.5**0.5, rtol=0.02)
    np.testing.assert_allclose(distance_to_prior(3 * codes), 2.0, rtol=0.03)


def test_distance_to_prior_does_not_depend_on_the_order_or_a_quarter_turn():
    codes = np.random.default_rng(0).random((5_000, 2), np.float32)
    plain = distance_to_prior(codes)
    np.testing.assert_allclose(distance_to_prior(codes[::-1].copy()), plain, rtol=1e-6)
    turned = np.stack([-codes[:, 1], codes[:, 0]], axis=1)
    # One projection points the other way: the quantiles are symmetric only up to rounding.
    np.testing.assert_allclose(distance_to_prior(turned), plain, rtol=1e-4)


# --- search --------------------------------------------------------------------------------------


def test_draws_are_in_their_ranges_and_a_longer_search_begins_with_the_shorter():
    many, few = search.random_draws(500, seed=0), search.random_draws(3, seed=0)
    for name, low, high in (("learning_rate", 1e-5, 1e-3), ("b1", 0.0, 0.9), ("init_std", 0.005, 0.1)):
        values = np.asarray(getattr(many, name))
        assert low <= values.min() < values.max() <= high
        np.testing.assert_array_equal(values[:3], getattr(few, name))
    # Log-uniform: half of the draws below the geometric mean of the bounds.
    assert abs(np.mean(many.learning_rate < 1e-4) - 0.5) < 0.1


@pytest.mark.parametrize("game", search.GAMES)
def test_runs_at_once_are_the_runs_one_by_one(tiny, game):
    """Plain `init_state` and `train_step` with the hyperparameters of one draw, outside of vmap and scan."""
    batches, _ = small_data(tiny)
    draws = search.random_draws(2, seed=3)
    states = jax.jit(functools.partial(search.init_all, tiny, game, draws, batches[0]))()
    states = jax.device_get(search.run_all(tiny, game, draws)(states, loop.stacked(batches, 0, 4)))
    networks = search.build(tiny, game)

    @jax.jit
    def step(state, batch, learning_rate, b1):
        adam = optax.adam(learning_rate, b1=b1, b2=0.999)
        optimizers = Networks(adam, adam, adam)
        return train_step(state, batch, networks=networks, optimizers=optimizers)[0]

    @jax.jit
    def init(key, init_std):
        adam = optax.adam(1.0)
        networks = search.build(tiny, game, init_std)
        return init_state(key, networks, Networks(adam, adam, adam), batches[0])

    for n, key in enumerate(jax.random.split(jax.random.key(tiny.seed), 2)):
        state = init(key, draws.init_std[n])
        for number in range(4):
            state = step(state, batches[number], draws.learning_rate[n], draws.b1[n])
        # The same sums in another order: float32 rounding, which Adam's division can enlarge to a share
        # of a step (1e-3 at most) for gradients near zero.
        for one, of_all in zip(jax.tree.leaves(state.params), jax.tree.leaves(states.params), strict=True):
            np.testing.assert_allclose(of_all[n], one, rtol=1e-3, atol=2e-5)


def test_the_gan_is_that_of_the_config():
    assert search.build(load_config("mixture"), "gan") == search.build(load_config("mixture", "gan"), "gan")


def leaves(states):
    return jax.tree.leaves(states._replace(key=jax.random.key_data(states.key)))


def test_a_stopped_search_goes_on_as_if_it_had_not_been(tiny, tmp_path):
    draws, (batches, x), stop = search.random_draws(2, seed=0), small_data(tiny), []
    procedure = (
        search.run_all(tiny, "ali", draws),
        jax.jit(functools.partial(search.init_all, tiny, "ali", draws, batches[0])),
        search.evaluate_all(tiny, "ali", x),
    )
    whole, rows = loop.advance(*procedure, batches, tiny, tmp_path / "whole", stop)
    assert [row["step"] for row in rows] == [6, 10]

    class Interrupted:
        """The batches, and a signal while number 7 is fetched."""

        def __getitem__(self, step):
            stop.extend([15] * (step == 7))
            return batches[step]

    parts = tmp_path / "parts"
    stopped, _ = loop.advance(*procedure, Interrupted(), tiny, parts, stop)
    assert stopped.step.tolist() == [8, 8]
    assert [row["step"] for row in json.loads((parts / "curve.json").read_text())] == [6]
    # Asked for no more steps, it measures where it stopped.
    tiny.num_steps = 8
    _, ended = loop.advance(*procedure, batches, tiny, parts, [])
    assert [row["step"] for row in ended] == [6, 8]
    tiny.num_steps = 10
    # Rows from beyond the checkpoint, as of a run killed before it saved the next, are forgotten.
    beyond = {**rows[-1], "modes_covered": [-1, -1]}
    (parts / "curve.json").write_text(json.dumps([*ended[:1], beyond]))
    resumed, again = loop.advance(*procedure, batches, tiny, parts, [])
    for one, other in zip(leaves(whole), leaves(resumed), strict=True):
        np.testing.assert_array_equal(one, other)
    assert [{**row, "seconds": 0} for row in again] == [{**row, "seconds": 0} for row in rows]


def test_a_search_writes_numbers_and_a_figure(tiny, searched):
    workdir, output, results = searched
    assert (output / "coverage.png").exists()
    assert len(results["draws"]) == 2 and results["ali"]["steps"] == results["gan"]["steps"] == 10
    for game in search.GAMES:
        runs = [run["modes_covered"] for run in results[game]["each_draw"]]
        over = results[game]["over_draws"]["modes_covered"]
        assert over["mean"] == np.mean(runs) and over["max"] == max(runs)
        assert runs[results[game]["best_draw"]] == max(runs)
    assert "reconstruction_error" in results["ali"]["over_draws"]
    assert "reconstruction_error" not in results["gan"]["over_draws"]
    json.dumps(results, allow_nan=False)
    with pytest.raises(UserError, match="draws"):
        search.main(tiny, 3, workdir, output)


def test_diverged_draws_count_as_no_modes_and_are_counted(tiny):
    nan = float("nan")
    row = {
        "step": 10,
        "seconds": 1.0,
        "modes_covered": [4, 0, 8],
        "modes_covered_strictly": [1, 0, 1],
        "high_quality_share": [0.5, 0.0, 0.25],
        "diverged": [False, True, False],
        "reconstruction_error": [1.0, nan, 3.0],
        "distance_to_prior": [1.0, nan, 3.0],
    }
    found = search.summarize_game(search.with_draws(tiny, 3), [row], 100)
    assert found["diverged"] == 1 and found["best_draw"] == 2
    assert found["over_draws"]["modes_covered"] == {"mean": 4, "std": (32 / 3) ** 0.5, "min": 0, "max": 8}
    assert found["over_draws"]["reconstruction_error"]["mean"] == 2.0
    assert found["each_draw"][1]["reconstruction_error"] is None


@pytest.mark.parametrize(
    ("change", "draws", "words"),
    [
        ({}, 0, "--draws"),
        ({"dataset": "digits"}, 2, "mixture"),
        ({"num_steps": 0}, 2, "num_steps"),
    ],
)
def test_what_cannot_be_searched_is_named(tiny, tmp_path, change, draws, words):
    tiny.update(change)
    with pytest.raises(UserError, match=words):
        search.main(tiny, draws, tmp_path / "run", tmp_path / "out")
    assert not (tmp_path / "run").exists()


# --- compare -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def begun():
    """(procedures, their first states, a batch, the GAN), the GAN not at its start."""
    config = tiny_study()
    config.model.init_std = 1.0
    batch = small_data(config)[0][0]
    networks = search.build(config, "gan")

    def first(key, networks, optimizers):
        return jax.jit(lambda: init_state(jax.random.key(key), networks, optimizers, batch))()

    sgd = optax.sgd(1.0)
    state = first(7, networks, Networks(sgd, sgd, sgd))
    gan = Model(networks, state.params, jax.tree.map(lambda leaf: leaf + 0.5, state.batch_stats))
    made = procedures.procedures(config, gan)
    states = {name: p.start(first(0, p.networks, p.optimizers)) for name, p in made.items()}
    return made, states, batch, gan


def moved(before, after) -> Networks:
    """Whether any parameter of a role changed."""
    differ = jax.tree.map(lambda a, b: not np.array_equal(a, b), before, after)
    return Networks(*(any(jax.tree.leaves(role)) for role in differ))


def same(a, b) -> bool:
    return jax.tree.all(jax.tree.map(np.array_equal, a, b))


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
        assert same(after.params.generator, gan.params.generator)
        assert same(after.batch_stats.generator, gan.batch_stats.generator)
    assert not same(after.batch_stats.encoder, states[name].batch_stats.encoder)


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

    def bound(std):
        arguments = (networks, state.params, state.batch_stats, batch["x"], key)
        return float(procedures.negative_elbo(*arguments, std=std)[0])

    noise = jax.random.normal(key, (20, 2))
    encoding, _ = procedures.run(networks, "encoder", state.params, state.batch_stats, batch["x"], noise)
    x_hat, _ = procedures.run(networks, "generator", state.params, state.batch_stats, encoding.z)
    likelihood = norm.logpdf(batch["x"], loc=x_hat, scale=0.7).sum(1)
    expected = np.mean(procedures.divergence_from_prior(encoding.mu, encoding.sigma) - likelihood)
    np.testing.assert_allclose(bound(0.7), expected, rtol=1e-4)
    best = float(np.sqrt(np.mean(np.square(batch["x"] - x_hat))))
    np.testing.assert_allclose(bound(None), bound(best), rtol=1e-5)
    assert bound(None) < min(bound(0.9 * best), bound(1.1 * best))


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
        n = results[game]["best_draw"]
        assert found["best_draws"][game] == {"draw": n, **results["draws"][n]}
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
    axes = figure.comparison_figure(dict.fromkeys(compare.COLUMNS.values(), points), test).axes
    assert len(axes) == 20
    assert [a.get_xlim() for a in axes[::4]] == [(-6, 6), (-4, 4), (-6, 6), (-4, 4), (-6, 6)]
    assert [a.get_title() for a in axes[:4]] == list(compare.COLUMNS.values())


def test_what_cannot_be_compared_is_named(tiny, searched, tmp_path):
    with pytest.raises(UserError, match=r"no config\.json"):
        compare.main(None, None, tmp_path, tmp_path)
    train.claim_workdir(tmp_path / "run", tiny)
    with pytest.raises(UserError, match="no search"):
        compare.main(None, None, tmp_path / "run", tmp_path)
    config = search.with_draws(tiny, 2)
    train.claim_workdir(tmp_path / "begun", config)
    with pytest.raises(UserError, match="ALI runs for 0 of 10 steps"):
        compare.main(None, None, tmp_path / "begun", tmp_path)
    config.num_steps = 20
    with pytest.raises(UserError, match="GAN runs for 10 of 20 steps"):
        compare.load_best(config, searched[0], "gan")


def test_games_are_timed_at_once_and_in_turn(tiny, monkeypatch):
    monkeypatch.setattr(speed, "PAIRS", 1)
    found = speed.time_game(tiny, "gan", 2, small_data(tiny)[0])
    assert (
        found["ratio_median"] == found["images_per_second_at_once"] / found["images_per_second_in_turn"] > 0
    )


@pytest.mark.parametrize("argv", [["mixture"], ["mixture", "train"], ["mixture", "search", "compare"]])
def test_the_command_is_one_of_three(argv):
    with pytest.raises(UserError, match="search, compare, speed"):
        __main__.main(argv)
