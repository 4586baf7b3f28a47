"""The 25-mode study of experiments/mixture."""

import functools
import json

import jax
import numpy as np
import optax
import pytest
from conftest import load_config

from ali_jax import data, train
from ali_jax.errors import UserError
from ali_jax.roles import Networks
from ali_jax.train_step import init_state, train_step
from experiments.mixture import loop, measures, search


@pytest.fixture
def tiny():
    """The study with narrow networks and few steps."""
    config = load_config("mixture")
    config.batch_size = 20
    config.num_steps, config.steps_per_dispatch = 10, 2
    config.log_every = config.checkpoint_every = 6

    def thin(row):
        operation, kernel, stride, features, *rest = row
        return (operation, kernel, stride, features if features <= 2 else features // 50, *rest)

    for field in ("encoder", "generator", "discriminator_joint"):
        rows = config.model[field]
        config.model[field] = tuple(map(thin, (*rows[:2], rows[-1])))
    return config


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
    points = measures.Points(samples, None, None)
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


def test_distance_to_prior_is_zero_for_the_prior_and_known_for_a_shift_and_a_scale():
    """A shift by v moves projections by v's own, whose mean square is |v|^2 / 2; a scale s by |s - 1|."""
    codes = np.asarray(jax.random.normal(jax.random.key(0), (10_000, 2)))
    floor = float(measures.distance_to_prior(codes))
    assert floor < 0.05
    shifted = measures.distance_to_prior(codes + np.float32([[3.0, 4.0]]))
    np.testing.assert_allclose(shifted, 12.5**0.5, rtol=0.02)
    np.testing.assert_allclose(measures.distance_to_prior(3 * codes), 2.0, rtol=0.02)


def test_distance_to_prior_does_not_depend_on_the_order_or_a_quarter_turn():
    codes = np.asarray(jax.random.uniform(jax.random.key(0), (500, 2)))
    plain = measures.distance_to_prior(codes)
    np.testing.assert_allclose(measures.distance_to_prior(codes[::-1]), plain, rtol=1e-6)
    turned = np.stack([-codes[:, 1], codes[:, 0]], axis=1)
    # One projection points the other way: the quantiles are symmetric only up to rounding.
    np.testing.assert_allclose(measures.distance_to_prior(turned), plain, rtol=1e-4)


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
    """Plain `train_step`s with a draw's hyperparameters as constants, outside of vmap and scan."""
    batches, _ = small_data(tiny)
    draws = search.random_draws(2, seed=3)
    states = search.init_all(tiny, game, draws, batches[0])
    states = search.run_all(tiny, game, draws)(states, loop.stacked(batches, 0, 4))
    keys = jax.random.split(jax.random.key(tiny.seed), 2)
    for n in range(2):
        learning_rate, b1, init_std = (float(values[n]) for values in draws)
        networks = search.build(tiny, game, init_std)
        adam = optax.adam(learning_rate, b1=b1, b2=tiny.b2)
        arguments = {"networks": networks, "optimizers": Networks(adam, adam, adam)}
        state = init_state(keys[n], batch=batches[0], **arguments)
        step = jax.jit(functools.partial(train_step, **arguments))
        for number in range(4):
            state, _ = step(state, batches[number])
        # The same sums in another order: float32 rounding, which Adam's division can enlarge to a share
        # of a step (1e-3 at most) for gradients near zero.
        for one, of_all in zip(jax.tree.leaves(state.params), jax.tree.leaves(states.params), strict=True):
            np.testing.assert_allclose(of_all[n], one, rtol=1e-3, atol=2e-5)


def test_the_gan_is_that_of_the_config():
    assert search.build(load_config("mixture"), "gan") == search.build(load_config("mixture", "gan"), "gan")


def leaves(states):
    return jax.tree.leaves(states._replace(key=jax.random.key_data(states.key)))


def test_a_stopped_search_goes_on_as_if_it_had_not_been(tiny, tmp_path):
    draws, (batches, x) = search.random_draws(2, seed=0), small_data(tiny)
    whole, rows = search.train_all(tiny, "ali", draws, batches, x, tmp_path / "whole", [])
    assert [row["step"] for row in rows] == [6, 10]

    stop = []

    class Interrupted:
        """The batches, and a signal while number 7 is fetched."""

        def __getitem__(self, step):
            stop.extend([15] * (step == 7))
            return batches[step]

    parts = tmp_path / "parts"
    stopped, _ = search.train_all(tiny, "ali", draws, Interrupted(), x, parts, stop)
    assert stopped.step.tolist() == [8, 8]
    # Rows from beyond the checkpoint, as of a run killed before it saved the next, are forgotten.
    written = json.loads((parts / "curve.json").read_text())
    assert [row["step"] for row in written] == [6]
    (parts / "curve.json").write_text(json.dumps([*written, {**rows[-1], "modes_covered": [-1, -1]}]))
    resumed, again = search.train_all(tiny, "ali", draws, batches, x, parts, [])
    for one, other in zip(leaves(whole), leaves(resumed), strict=True):
        np.testing.assert_array_equal(one, other)
    assert [{**row, "seconds": 0} for row in again] == [{**row, "seconds": 0} for row in rows]


def test_a_search_writes_numbers_and_a_figure(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(train, "load_splits", lambda config: [data.load("mixture", "test")] * 2)
    results = search.main(tiny, 2, tmp_path, tmp_path / "out")
    assert (tmp_path / "out" / "coverage.png").exists()
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
        search.main(tiny, 3, tmp_path, tmp_path / "out")


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
