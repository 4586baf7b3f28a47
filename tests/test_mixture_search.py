"""Search, timing and command line of the 25-mode study."""

import functools
import json
import os
import signal

import jax
import numpy as np
import optax
import pytest
from conftest import load_config, small_data
from helpers import assert_same

from ali_jax.errors import UserError
from ali_jax.roles import Roles
from ali_jax.run.signals import Stopped
from ali_jax.run.workdirs import locked
from ali_jax.train_step import init_state, train_step
from experiments.mixture import __main__, compare, groups, loop, search, speed


def test_draws_are_in_their_ranges_and_a_longer_search_begins_with_the_shorter():
    many, few = search.random_draws(500, seed=0), search.random_draws(3, seed=0)
    for name, low, high in (("learning_rate", 1e-5, 1e-3), ("b1", 0.0, 0.9), ("init_std", 0.005, 0.1)):
        values = np.asarray(getattr(many, name))
        assert low <= values.min() < values.max() <= high
        np.testing.assert_array_equal(values[:3], getattr(few, name))
    # Log-uniform: half of the draws below the geometric mean of the bounds.
    assert abs(np.mean(many.learning_rate < 1e-4) - 0.5) < 0.1


def test_the_config_of_a_command_line_is_the_papers_game(tiny_study):
    tiny_study.lock()
    search.check(tiny_study, [0])
    tiny_study.terms.adversarial.unlock()
    tiny_study.terms.adversarial.d = 0.5
    with pytest.raises(UserError, match=r"config\.terms is .*0\.5.*paper's game"):
        search.check(tiny_study, [0])


@pytest.mark.parametrize(("game", "at_once"), [("gan", True), ("ali", False)])
def test_runs_of_one_program_are_the_runs_one_by_one(tiny_study, game, at_once):
    """Plain `init_state` and `train_step` with the hyperparameters of one draw, outside of vmap and scan."""
    batches, _ = small_data(tiny_study)
    draws = search.random_draws(2, tiny_study.seed)
    states = jax.jit(functools.partial(search.init_all, tiny_study, game, [0, 1], batches[0]))()
    run_all = search.run_all(tiny_study, game, draws, at_once)
    states = jax.device_get(run_all(states, loop.stacked(batches, 0, 4)))
    networks = search.build(tiny_study, game)

    @jax.jit
    def step(state, batch, learning_rate, b1):
        adam = optax.adam(learning_rate, b1=b1, b2=0.999)
        optimizers = Roles(adam, adam, adam)
        return train_step(state, batch, networks=networks, optimizers=optimizers)[0]

    @jax.jit
    def init(key, init_std):
        adam = optax.adam(1.0)
        networks = search.build(tiny_study, game, init_std)
        return init_state(key, networks, Roles(adam, adam, adam), batches[0])

    for n, key in enumerate(jax.random.split(jax.random.key(tiny_study.seed), 2)):
        state = init(key, draws.init_std[n])
        for number in range(4):
            state = step(state, batches[number], draws.learning_rate[n], draws.b1[n])
        # The same sums in another order: float32 rounding, which Adam's division can enlarge to a share
        # of a step (1e-3 at most) for gradients near zero.
        for one, of_all in zip(jax.tree.leaves(state.params), jax.tree.leaves(states.params), strict=True):
            np.testing.assert_allclose(of_all[n], one, rtol=1e-3, atol=2e-5)


def test_the_gan_is_that_of_the_config():
    assert search.build(load_config("mixture"), "gan") == search.build(load_config("mixture", "gan"), "gan")


def test_a_stopped_search_goes_on_as_if_it_had_not_been(tiny_study, tmp_path):
    draws, (batches, x) = search.random_draws(2, seed=0), small_data(tiny_study)
    procedure = (
        search.run_all(tiny_study, "ali", draws, at_once=False),
        jax.jit(functools.partial(search.init_all, tiny_study, "ali", [0, 1], batches[0])),
        search.evaluate_all(tiny_study, "ali", x),
    )
    whole, rows = loop.advance(*procedure, batches, tiny_study, tmp_path / "whole")
    assert [row["step"] for row in rows] == [6, 10]

    class Interrupted:
        """The batches, and a signal while number 7 is fetched."""

        def __getitem__(self, step):
            if step == 7:
                os.kill(os.getpid(), signal.SIGTERM)
            return batches[step]

    parts = tmp_path / "parts"
    with pytest.raises(Stopped, match="goes on from"):
        loop.advance(*procedure, Interrupted(), tiny_study, parts)
    assert [path.name for path in (parts / "checkpoints").iterdir() if path.name == "8"] == ["8"]
    assert [row["step"] for row in json.loads((parts / "curve.json").read_text())] == [6]
    # Asked for no more steps, it measures where it stopped.
    tiny_study.num_steps = 8
    _, ended = loop.advance(*procedure, batches, tiny_study, parts)
    assert [row["step"] for row in ended] == [6, 8]
    tiny_study.num_steps = 10
    # Rows from beyond the checkpoint, as of a run killed before it saved the next, are forgotten.
    beyond = {**rows[-1], "modes_covered": [-1, -1]}
    (parts / "curve.json").write_text(json.dumps([*ended[:1], beyond]))
    resumed, again = loop.advance(*procedure, batches, tiny_study, parts)
    assert_same(whole, resumed)
    assert [row["timed_steps"] for row in again] == [6, 2]  # of the four since the last, two since it goes on
    timeless = [[{**row, **dict.fromkeys(loop.OF_TIME)} for row in of] for of in (again, rows)]
    assert timeless[0] == timeless[1]
    assert loop.minutes(again) == pytest.approx((again[0]["seconds"] + 2 * again[1]["seconds"]) / 60)


def test_a_curve_that_is_damaged_is_told(tmp_path):
    (tmp_path / "curve.json").write_text('[{"step": 1')
    with pytest.raises(UserError, match=r"curve\.json is damaged; restore it, or remove "):
        loop.read_rows(tmp_path, 5)


def test_a_search_writes_numbers_and_a_figure(tiny_study, searched):
    _, output, results = searched
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


def test_a_draw_that_is_added_later_is_the_one_of_a_search_of_all(
    tiny_study, searched, tmp_path, monkeypatch
):
    _, _, whole = searched
    workdir, output = tmp_path / "run", tmp_path / "out"
    search.main(tiny_study, [1], workdir, output)
    trained = []
    advance = loop.advance
    monkeypatch.setattr(loop, "advance", lambda *a: trained.append(a[-1].name) or advance(*a))
    added = search.main(tiny_study, [0], workdir, output)
    both = search.main(tiny_study, [0, 1], workdir, output)
    assert trained == ["ali_0", "gan_0", "ali_0", "gan_0", "ali_1", "gan_1"]
    assert {path.name for path in workdir.glob("*_*")} == {"ali_0", "ali_1", "gan_0", "gan_1"}
    assert added["draws"] == whole["draws"][:1] and both["draws"] == whole["draws"]
    for game in search.GAMES:
        timeless = [{**of[game], "minutes": None} for of in (both, whole)]
        assert timeless[0] == timeless[1]
        assert both[game]["minutes"] > added[game]["minutes"] > 0


def test_draws_at_once_have_one_folder_and_are_the_single_ones(tiny_study, searched, tmp_path, monkeypatch):
    """As on a GPU."""
    monkeypatch.setattr(search, "pays_at_once", lambda: True)
    found = search.main(tiny_study, [0, 1], tmp_path / "run", tmp_path / "out")
    assert {path.name for path in (tmp_path / "run").glob("*_*")} == {"ali_0-1", "gan_0-1"}
    errors, wanted = (
        [of_draw["reconstruction_error"] for of_draw in results["ali"]["each_draw"]]
        for results in (found, searched[2])
    )
    np.testing.assert_allclose(errors, wanted, rtol=1e-3)
    best, number = compare.load_best(tiny_study, tmp_path / "run", "ali")
    single, same = compare.load_best(tiny_study, searched[0], "ali")
    assert number == same == found["ali"]["best_draw"]
    for a, b in zip(jax.tree.leaves(best.params), jax.tree.leaves(single.params), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_groups_are_single_draws_or_all_that_follow_each_other(tmp_path):
    assert groups.of([3, 1], at_once=False) == [range(1, 2), range(3, 4)]
    assert groups.of([4, 0, 1, 2], at_once=True) == [range(3), range(4, 5)]
    for group in (range(3), range(4, 5), range(10, 12)):
        groups.folder(tmp_path, "ali", group).mkdir()
    (tmp_path / "gan_7").mkdir()
    assert {path.name for path in tmp_path.glob("ali*")} == {"ali_0-2", "ali_4", "ali_10-11"}
    (tmp_path / "ali_4_copied").mkdir()
    assert groups.kept(tmp_path, "ali") == [range(3), range(10, 12), range(4, 5)]


def test_groups_that_are_there_stay_as_they_are_where_all_their_draws_are_asked_for():
    there = [range(3), range(2, 4), range(7, 9)]
    assert groups.of([*range(6)], True, there) == [range(3), range(3, 6)]
    assert groups.of([*range(5)], False, there) == [range(3), range(3, 4), range(4, 5)]
    assert groups.of([0, 1, 8], True, there) == [range(2), range(8, 9)]


def test_rows_of_groups_are_joined_at_the_steps_that_all_have():
    first = [{"step": step, "seconds": 1.0, "timed_steps": 2, "modes": [step, 1]} for step in (2, 4, 6)]
    second = [{"step": step, "seconds": 5.0, "timed_steps": 2, "modes": [9]} for step in (2, 6)]
    assert groups.joined([first, second]) == [
        {"step": 2, "modes": [2, 1, 9]},
        {"step": 6, "modes": [6, 1, 9]},
    ]
    with pytest.raises(UserError, match="not measured at a common step"):
        groups.joined([first[:1], second[1:]])


def test_diverged_draws_count_as_no_modes_and_are_counted(tiny_study):
    nan = float("nan")
    row = {
        "step": 10,
        "modes_covered": [4, 0, 8],
        "modes_covered_strictly": [1, 0, 1],
        "high_quality_share": [0.5, 0.0, 0.25],
        "diverged": [False, True, False],
        "reconstruction_error": [1.0, nan, 3.0],
        "distance_to_prior": [1.0, nan, 3.0],
    }
    found = search.summarize_game(tiny_study, [5, 6, 7], [row], 100)
    assert found["diverged"] == 1 and found["best_draw"] == 7
    assert found["over_draws"]["modes_covered"] == {"mean": 4, "std": (32 / 3) ** 0.5, "min": 0, "max": 8}
    assert found["over_draws"]["reconstruction_error"]["mean"] == 2.0
    assert found["each_draw"][1]["reconstruction_error"] is None
    row["reconstruction_error"][0] = nan  # its samples are finite, and its reconstructions are not
    found = search.summarize_game(tiny_study, [5, 6, 7], [row], 100)
    assert found["over_draws"]["reconstruction_error"] == {"mean": 3.0, "std": 0.0, "min": 3.0, "max": 3.0}
    row["reconstruction_error"][2] = nan
    found = search.summarize_game(tiny_study, [5, 6, 7], [row], 100)
    assert found["over_draws"]["reconstruction_error"] is None


@pytest.mark.parametrize(
    ("change", "draws", "words"),
    [
        ({}, [], "--draws names none"),
        ({"dataset": "digits"}, [0], "mixture"),
        ({"num_steps": 0}, [0], "num_steps"),
        ({"learning_rate": 1e-3}, [0], "config.learning_rate is 0.001; the study plays"),
        ({"disturbance": {"noise_x": 1.0}}, [0], "config.disturbance is .*; the study plays"),
        ({"model": {"prior": "uniform"}}, [0], "config.model.prior normal"),
    ],
)
def test_what_cannot_be_searched_is_named(tiny_study, tmp_path, change, draws, words):
    tiny_study.update(change)
    with pytest.raises(UserError, match=words):
        search.main(tiny_study, draws, tmp_path / "run", tmp_path / "out")
    assert not (tmp_path / "run").exists()


def test_games_are_timed_at_once_and_in_turn(tiny_study, monkeypatch):
    monkeypatch.setattr(speed, "PAIRS", 1)
    found = speed.time_game(tiny_study, "gan", [0, 1], small_data(tiny_study)[0])
    assert (
        found["ratio_median"] == found["images_per_second_at_once"] / found["images_per_second_in_turn"] > 0
    )


@pytest.mark.parametrize(("command", "flag"), [("compare", "draws"), ("seeds", "draws"), ("search", "seeds")])
def test_a_flag_of_another_command_is_refused(command, flag, in_process):
    with pytest.raises(UserError, match=f"--{flag} is of .*, not of {command}; leave it out"):
        in_process(__main__, command, f"--{flag}=3")


@pytest.mark.parametrize("field", ["b1", "model.init_std"])
def test_a_field_that_is_drawn_is_refused(field, in_process):
    with pytest.raises(UserError, match=rf"config\.{field} is drawn at random"):
        in_process(__main__, "search", "--config=configs/mixture.py:ali", f"--config.{field}=0.3")


@pytest.mark.parametrize("argv", [["mixture"], ["mixture", "train"], ["mixture", "search", "compare"]])
def test_the_command_is_one_of_three(argv):
    with pytest.raises(UserError, match="search, compare, speed"):
        __main__.main(argv)


def test_a_draw_at_which_another_search_is_at_work_is_left_to_it(tiny_study, tmp_path):
    with locked(tmp_path / "search" / "ali_3"), pytest.raises(UserError, match=r"Another run .* in .*ali_3"):
        search.main(tiny_study, [3], tmp_path / "search", tmp_path / "out")
    assert not (tmp_path / "search" / "ali_3" / "checkpoints").exists()
