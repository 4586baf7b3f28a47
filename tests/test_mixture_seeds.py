"""Seeds of the 25-mode study, trained at once."""

import json

import jax
import numpy as np
import pytest
from conftest import load_config, make_tiny_study

from ali_jax import train
from ali_jax.errors import UserError
from ali_jax.run.workdirs import read_config
from experiments.mixture import seeds


def tiny():
    config, ours = make_tiny_study(), load_config("mixture")
    for field in ("terms", "learning_rate", "b1", "decay_after", "average_rate"):
        config[field] = ours[field]
    return config


def five():
    config = load_config("five_gaussians")
    config.num_steps, config.log_every = 2 * config.steps_per_dispatch, 20
    return config


def backwards():
    config = tiny()
    config.num_steps = -1
    return config


def of_one_mode():
    config = tiny()
    config.classes = (3,)
    return config


def at_the_end_of_all_seeds():
    config = tiny()
    config.seed = 2**32 - 1
    return config


def test_seeds_at_once_are_runs_with_one_seed_each(tmp_path, monkeypatch):
    kept, evaluate_all = [], seeds.evaluate_all

    def keeping(*arguments):
        evaluate = evaluate_all(*arguments)
        return lambda states: kept.append(jax.device_get(states)) or evaluate(states)

    monkeypatch.setattr(seeds, "evaluate_all", keeping)
    first = tiny()
    first.seed = 3
    results = seeds.main(first, 2, tmp_path / "seeds", tmp_path / "out")
    second = tiny()
    second.seed = 4
    alone = train.train_and_evaluate(second, tmp_path / "alone")
    assert [path.name for path in (tmp_path / "alone/figures").iterdir()] == ["mixture_0000010.png"]
    # Products of several seeds at once are rounded otherwise. A hundredth of what Adam moves in one step: a
    # batch or a key that is another seed's moves parameters by far more.
    atol = second.learning_rate / 100
    for one, of_all in zip(*map(jax.tree.leaves, (alone.params, kept[-1].params)), strict=True):
        np.testing.assert_allclose(of_all[1], one, rtol=1e-4, atol=atol)
        assert np.max(np.abs(of_all[0] - one)) > 10 * atol
    assert results["seeds"] == [3, 4] and len(results["each_seed"]) == 2 and results["steps"] == 10
    strictly = [found["modes_covered_strictly"] for found in results["each_seed"]]
    assert results["over_seeds"]["modes_covered_strictly"]["mean"] == np.mean(strictly)
    assert {path.name for path in (tmp_path / "out").glob("*.png")} == {"coverage.png", "comparison.png"}
    assert read_config(tmp_path / "seeds").num_steps == 10


def test_other_mixtures_are_measured_by_their_own_means(tmp_path):
    results = seeds.main(five(), 2, tmp_path / "seeds", tmp_path / "out")
    assert results["data"] == "five_gaussians, split train, 2,048 examples"
    assert all(0 < found["modes_covered"] <= 5 for found in results["each_seed"])
    assert all(1 <= found["inception_score"] <= 5 for found in results["each_seed"])


def with_model(**values):
    config = load_config("mixture")
    config.model.update(values)
    return config


def test_what_cannot_be_measured_is_refused_before_anything_is_written(tmp_path):
    for config, count, words in (
        (tiny(), 0, "--seeds is 0"),
        (backwards(), 2, "config.num_steps is -1"),
        (at_the_end_of_all_seeds(), 2, "config.seed is 4294967296"),
        (of_one_mode(), 2, r"config\.classes is \(3,\), and all modes are measured"),
        (load_config("mixture", "gan"), 2, "with an encoder"),
        (with_model(latent_dim=4), 2, "latent_dim 4 and prior normal"),
        (with_model(prior="uniform"), 2, "latent_dim 2 and prior uniform"),
        (load_config("digits"), 2, "config.dataset among mixture, five_gaussians with an encoder"),
    ):
        with pytest.raises(UserError, match=words):
            seeds.main(config, count, tmp_path / "seeds", tmp_path / "out")
    assert not [*tmp_path.iterdir()]


def test_a_seed_that_diverged_leaves_results_that_are_json():
    row = {"step": 10, "seconds": 1.0, "modes_covered": [3, 0, 5], "diverged": [False, True, False]}
    row["reconstruction_error"] = [1.0, float("nan"), 2.0]
    found = seeds.summarize(tiny(), 100, [row])
    assert found["over_seeds"]["reconstruction_error"]["mean"] == 1.5
    assert found["over_seeds"]["modes_covered"]["min"] == 0
    assert [each["reconstruction_error"] for each in found["each_seed"]] == [1.0, None, 2.0]
    json.dumps(found, allow_nan=False)
