"""experiments.seeds: several seeds at once are runs with one seed each."""

import json
import os
import shutil
import signal

import jax
import numpy as np
import pytest
from conftest import load_config
from helpers import assert_close, truncate

from ali_jax import build, data, inference, train
from ali_jax import config as config_lib
from ali_jax.errors import UserError
from ali_jax.run.checkpoints import Checkpoints, kept_steps
from ali_jax.run.signals import Stopped
from ali_jax.run.workdirs import read_config
from experiments import seeds as program
from experiments.common import together


def make_config(**fields):
    config = load_config("digits", "paper")
    config.num_steps, config.steps_per_dispatch, config.log_every = 8, 4, 4
    config.figures_every = config.checkpoint_every = 4
    config.update(fields)
    return config


def of_seeds(config, *seeds):
    return [config_lib.of_seed(config, seed) for seed in seeds]


def folders_of(path, *seeds):
    return [path / str(seed) for seed in seeds]


def test_each_seed_is_the_run_that_it_is_alone(tmp_path):
    # Not seed 3, one of whose units is so near its kink that jax 0.10, told to optimise little, rounds it to
    # the other side in a program of several seeds.
    config, seeds = make_config(), (4, 5)
    together.train_all(of_seeds(config, *seeds), folders_of(tmp_path, *seeds))
    other, folder = folders_of(tmp_path, *seeds)
    (one,) = of_seeds(config, seeds[1])
    alone = train.train_and_evaluate(one, tmp_path / "alone")
    assert_close(inference.load(folder).params, alone.params, config)
    with pytest.raises(AssertionError):
        assert_close(inference.load(other).params, alone.params, config)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    theirs = (tmp_path / "alone" / "metrics.jsonl").read_text().splitlines()
    assert [line["step"] for line in lines] == [4, 8]
    losses = [line["loss_discriminator"] for line in lines]
    np.testing.assert_allclose(losses, [json.loads(t)["loss_discriminator"] for t in theirs], rtol=1e-3)
    figures = [{p.name for p in (run / "figures").glob("*.png")} for run in (folder, tmp_path / "alone")]
    assert figures[0] == figures[1] and figures[0]
    # It is an ordinary run, which the ordinary program finds trained.
    assert int(train.train_and_evaluate(one, folder).step) == 8


def test_batches_of_each_seed_are_in_its_own_order():
    split = data.Split(np.arange(40.0).reshape(20, 2), None, None)
    each = [data.Batches(split, 5, seed) for seed in range(3)]
    for step in (0, 7):
        np.testing.assert_array_equal(together.Batches(each)[step]["x"][2], each[2][step]["x"])


@pytest.fixture(scope="module")
def at_step_4(tmp_path_factory):
    """A folder of two runs, ended at step 4; not to be written to."""
    folder = tmp_path_factory.mktemp("seeds")
    assert together.train_all(of_seeds(make_config(num_steps=4), 0, 1), folders_of(folder, 0, 1)) == 4
    return folder


@pytest.fixture
def half(tmp_path, at_step_4):
    """Two runs, at step 4 of 8; (their configs, their folders)."""
    folder = shutil.copytree(at_step_4, tmp_path / "half")
    return of_seeds(make_config(), 0, 1), folders_of(folder, 0, 1)


def test_runs_go_on_from_the_last_checkpoint_that_all_have(tmp_path, half):
    configs, folders = half
    whole = folders_of(tmp_path / "whole", 0, 1)
    assert together.train_all(configs, whole) == 8
    train.train_and_evaluate(configs[0], folders[0])  # one of them is ahead
    assert together.train_all(configs, folders) == 8
    assert {path.name for path in (folders[0] / "later_checkpoints").iterdir()} == {"8"}
    for one, other, config in zip(whole, folders, configs, strict=True):
        assert kept_steps(one) == kept_steps(other) == [4, 8]
        assert_close(*(inference.load(folder).params for folder in (one, other)), config)


def test_a_damaged_checkpoint_is_made_again(half):
    configs, folders = half
    together.train_all(configs, folders)
    truncate(folders[0] / "checkpoints" / "8")
    configs = of_seeds(make_config(num_steps=12), 0, 1)
    assert together.train_all(configs, folders) == 12
    assert [kept_steps(folder) for folder in folders] == [[4, 8, 12], [4, 8, 12]]


def test_a_signal_between_checkpoints_stops_all_at_one_step(tmp_path, monkeypatch):
    after = together.Runs.after

    def stopping(runs, step, *arguments):
        after(runs, step, *arguments)
        if step == 4:
            os.kill(os.getpid(), signal.SIGTERM)

    configs = of_seeds(make_config(checkpoint_every=8), 0, 1)
    folders = folders_of(tmp_path, 0, 1)
    with monkeypatch.context() as patch:
        patch.setattr(together.Runs, "after", stopping)
        assert together.train_all(configs, folders) == 4
    assert [kept_steps(folder) for folder in folders] == [[4], [4]]
    assert together.train_all(configs, folders) == 8


def test_what_cannot_be_trained_leaves_nothing(tmp_path):
    configs = of_seeds(make_config(batch_size=5000), 0, 1)
    with pytest.raises(UserError, match="5000"):
        together.train_all(configs, folders_of(tmp_path, 0, 1))
    assert not [*tmp_path.iterdir()]


def test_a_penalty_of_every_few_steps_is_not_computed_in_between(tmp_path):
    """Else it is taken of all runs in every step: the step's program has a branch, and no choice."""
    game = build.game(load_config("digits"))
    assert dict(game.terms)["r1"].keywords["every"] == 4
    batch = {"x": np.zeros((2, 100, 8, 8, 1), np.uint8)}
    states = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((2, *leaf.shape), leaf.dtype), game.shapes)
    text = together.run_all(game).trace(states, jax.tree.map(lambda a: a[None], batch)).jaxpr
    assert " cond[" in str(text)


def test_runs_without_a_common_checkpoint_are_named(tmp_path):
    config = make_config(keep_checkpoints=1)
    train.train_and_evaluate(config, tmp_path / "0")
    with pytest.raises(UserError, match=r"different steps \(.*0 8, .*1 0\)"):
        together.train_all(of_seeds(config, 0, 1), folders_of(tmp_path, 0, 1))


def test_a_seed_that_diverges_is_named(tmp_path, monkeypatch):
    fresh = train.fresh_state

    def broken(config, *arguments):
        state = fresh(config, *arguments)
        spoil = float("nan") if config.seed == 1 else 1.0
        return state._replace(params=jax.tree.map(lambda leaf: leaf * spoil, state.params))

    monkeypatch.setattr(train, "fresh_state", broken)
    with pytest.raises(UserError, match=r"not finite .* of .*/1 .no checkpoint"):
        together.train_all(of_seeds(make_config(), 0, 1), folders_of(tmp_path, 0, 1))
    with Checkpoints(tmp_path / "1", read_only=True) as checkpoints:
        assert checkpoints.latest_step() is None


def test_the_command_trains_each_seed_in_a_workdir_of_its_own(tmp_path, in_process):
    config = make_config()
    flags = ["--config=configs/digits.py:paper", f"--workdir={tmp_path}", "--seeds=2,4"]
    flags += [f"--config.{name}={config[name]}" for name in ("num_steps", "steps_per_dispatch")]
    in_process(program, *flags)
    assert {folder.name for folder in tmp_path.iterdir()} == {"seed_2", "seed_4"}
    assert read_config(tmp_path / "seed_4").seed == 4
    with pytest.raises(UserError, match="the seeds of --seeds"):
        in_process(program, *flags, "--config.seed=7")
    with pytest.raises(UserError, match="seed_4 is the workdir of a run"):
        in_process(program, *flags, f"--workdir={tmp_path / 'seed_4'}")


@pytest.mark.parametrize("seeds", ["one", "-1", "", "1,1"])
def test_seeds_that_are_none_are_refused(tmp_path, in_process, seeds):
    with pytest.raises(UserError, match="--seeds"):
        in_process(program, "--config=configs/digits.py", f"--workdir={tmp_path}", f"--seeds={seeds}")


def test_a_stopped_training_is_no_finished_one(tmp_path, in_process, monkeypatch):
    monkeypatch.setattr(program.together, "train_all", lambda *given, **named: 7)
    with pytest.raises(Stopped, match="Stopped; the same command goes on from"):
        in_process(program, "--config=configs/digits.py", f"--workdir={tmp_path}", "--seeds=0,1")
