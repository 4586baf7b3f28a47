"""experiments.seeds: several seeds at once are runs with one seed each."""

import json

import jax
import numpy as np
import pytest
from conftest import load_config

from ali_jax import config as config_lib
from ali_jax import data, inference, train
from ali_jax.errors import UserError
from ali_jax.run.checkpoints import Checkpoints, kept_steps
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


def assert_close(params, others, config):
    """On average within a hundredth of what Adam moves in one step: another's batch or key moves far more."""
    pairs = zip(*map(jax.tree.leaves, (params, others)), strict=True)
    apart = np.concatenate([np.ravel(np.abs(np.asarray(one) - other)) for one, other in pairs])
    assert np.mean(apart) < config.learning_rate / 100
    assert np.max(apart) < config.learning_rate


def test_each_seed_is_the_run_that_it_is_alone(tmp_path):
    config, seeds = make_config(), (3, 5)
    together.train_all(of_seeds(config, *seeds), folders_of(tmp_path, *seeds))
    for one, folder in zip(of_seeds(config, *seeds), folders_of(tmp_path, *seeds), strict=True):
        alone = train.train_and_evaluate(one, tmp_path / "alone" / folder.name)
        assert_close(inference.load(folder).params, alone.params, config)
        lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        theirs = (tmp_path / "alone" / folder.name / "metrics.jsonl").read_text().splitlines()
        assert [line["step"] for line in lines] == [4, 8]
        losses = [line["loss_discriminator"] for line in lines]
        np.testing.assert_allclose(losses, [json.loads(t)["loss_discriminator"] for t in theirs], rtol=1e-3)
        assert len([*(folder / "figures").glob("*.png")]) == len(
            [*(tmp_path / "alone" / folder.name / "figures").glob("*.png")]
        )
        # It is an ordinary run, which the ordinary program finds trained.
        assert int(train.train_and_evaluate(one, folder).step) == 8


def test_batches_of_each_seed_are_in_its_own_order():
    split = data.Split(np.arange(40.0).reshape(20, 2), None, None)
    each = [data.Batches(split, 5, seed) for seed in range(3)]
    for step in (0, 7):
        np.testing.assert_array_equal(together.Together(each)[step]["x"][2], each[2][step]["x"])


def test_runs_go_on_from_the_last_checkpoint_that_all_have(tmp_path):
    config, seeds = make_config(), (0, 1)
    whole, halves = folders_of(tmp_path / "whole", *seeds), folders_of(tmp_path / "halves", *seeds)
    together.train_all(of_seeds(config, *seeds), whole)
    together.train_all(of_seeds(make_config(num_steps=4), *seeds), halves)
    # One of them was saved once more before the end came.
    train.train_and_evaluate(of_seeds(config, 0)[0], halves[0])
    together.train_all(of_seeds(config, *seeds), halves)
    for one, other in zip(whole, halves, strict=True):
        assert kept_steps(one) == kept_steps(other) == [4, 8]
        assert_close(*(inference.load(folder).params for folder in (one, other)), config)


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
    with pytest.raises(UserError, match=r"not finite at step 1 of .*/1; train without its seed"):
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


@pytest.mark.parametrize("texts", [["one"], [], ["1", "1"]])
def test_seeds_that_are_none_are_refused(texts):
    with pytest.raises(UserError, match="--seeds"):
        program.as_numbers(texts)
