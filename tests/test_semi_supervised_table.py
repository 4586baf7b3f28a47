"""experiments.semi_supervised: the table of label counts, seeds and methods."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import load_config

from ali_jax import data
from ali_jax.errors import UserError
from ali_jax.run.signals import Stopped
from experiments import semi_supervised as program

ROOT = Path(__file__).parent.parent


def test_runs_are_all_combinations():
    config = load_config("digits_semi_supervised")
    values = SimpleNamespace(methods=["ali", "supervised"], labels=None, seeds=["0", "5"], config=config)
    assert program.runs_of(values) == [
        *[("ali", 100, 0), ("supervised", 100, 0)],
        *[("ali", 100, 5), ("supervised", 100, 5)],
    ]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"methods": ["magic"]}, "magic"),
        ({"methods": []}, "--methods names none"),
        ({"seeds": ["one"]}, "--seeds: 'one' is no whole number"),
        ({"seeds": []}, "name at least one"),
    ],
)
def test_flags_that_hold_something_else_are_named(flags, words):
    values = {"methods": ["ali"], "labels": ["10"], "seeds": ["0"], **flags}
    with pytest.raises(UserError, match=words):
        program.runs_of(SimpleNamespace(**values))


def test_cells_hold_what_differs_in_seeds_alone():
    runs = [(method, 20, seed) for seed in (0, 5) for method in ("ali", "supervised")]
    assert program.cells_of(runs) == [
        [("ali", 20, 0), ("ali", 20, 5)],
        [("supervised", 20, 0), ("supervised", 20, 5)],
    ]


def test_a_cell_is_the_mean_and_the_spread_over_seeds():
    runs = [
        {"steps": 5, "test_error": error, "test_error_at_lowest_validation_error": 0.1}
        for error in (0.1, 0.2, 0.3)
    ]
    cell = program.summary(runs)
    assert (cell["seeds"], cell["diverged"], cell["steps"]) == (3, 0, [5])
    assert cell["test_error_mean"] == pytest.approx(0.2)
    assert cell["test_error_std"] == pytest.approx((0.02 / 3) ** 0.5)
    text = program.table({("ali", 4000): cell | {"published": "17.99 +- 1.62"}})
    assert "| ali | 4,000 | 3 | 5 | 20.00 +- 8.16 | 10.00 +- 0.00 | 17.99 +- 1.62 |" in text


def with_attributes(split, data_dir):
    """digits, with attributes, of which the game makes nothing."""
    digits = data.load("digits", split)
    return digits._replace(attributes=np.zeros((len(digits.x), 2), np.uint8))


def test_the_command_fills_the_table_and_goes_on_where_it_was(tmp_path, in_process, monkeypatch):
    monkeypatch.setitem(data.SETS, "with_attributes", with_attributes)
    flags = [f"--config={ROOT / 'configs' / 'digits_semi_supervised.py'}", f"--workdir={tmp_path}"]
    flags += ["--config.dataset=with_attributes"]
    flags += ["--methods=ali,supervised", "--seeds=0", "--labels=20", "--config.num_steps=4"]
    flags += ["--config.figures_every=2", "--config.steps_per_dispatch=2"]
    results = tmp_path / "results" / "semi_supervised"
    in_process(program, *flags)
    first = json.loads((results / "results.json").read_text())
    assert [run["curve"]["step"] for run in first["runs"]] == [[2, 4], [2, 4]]
    assert [row["method"] for row in first["table"]] == ["ali", "supervised"]
    assert 0 <= first["runs"][0]["test_error_averaged_over_z"] <= 1
    assert all(run["seconds"] > 0 for run in first["runs"])
    assert {path.name for path in results.iterdir()} == {
        *("results.json", "table.md"),
        *("errors.png", "errors.pdf"),
    }
    # What follows draws no more: that takes a second each time.
    monkeypatch.setattr(program.report, "save_plot", lambda *given: None)
    monkeypatch.setattr(program.train, "train_and_evaluate", None)  # nothing is trained again
    in_process(program, *flags)
    assert json.loads((results / "results.json").read_text())["runs"] == first["runs"]

    def fail(config, folder, splits, command):
        if config.model.encoder is None:
            raise Stopped
        raise program.train.Diverged(f"loss is not finite in {folder}")

    # What diverges is noted, and a call that is stopped leaves what an earlier one wrote.
    monkeypatch.setattr(program.train, "train_and_evaluate", fail)
    with pytest.raises(Stopped):
        in_process(program, *flags, "--seeds=1,0")
    found = json.loads((results / "results.json").read_text())
    assert [run for run in found["runs"] if run["seed"] == 0] == first["runs"]
    (diverged,) = [run for run in found["runs"] if run["seed"] == 1]
    assert diverged["method"] == "ali" and "loss is not finite" in diverged["diverged"]
    assert [(row["seeds"], row["diverged"]) for row in found["table"]] == [(1, 1), (1, 0)]
    errors = [[row["test_error_mean"] for row in of["table"]] for of in (found, first)]
    assert errors[0] == errors[1]
    assert "| 1 (1 diverged) |" in (results / "table.md").read_text()
    assert (tmp_path / "ali_20_1" / "diverged.txt").is_file()
    # Nor does a later call train it again.
    monkeypatch.setattr(program.train, "train_and_evaluate", None)
    in_process(program, *flags, "--seeds=1,0", "--methods=ali")
    found = json.loads((results / "results.json").read_text())
    assert [run.get("diverged") for run in found["runs"]] == [diverged["diverged"], None]


def test_where_one_of_several_at_once_diverges_they_go_on_one_by_one(tmp_path, in_process, monkeypatch):
    trained = []

    def diverge(*given, **named):
        raise program.train.Diverged("loss is not finite")

    monkeypatch.setattr(program.together, "train_all", diverge)
    monkeypatch.setattr(program, "trained", lambda config, *given: trained.append(config.seed) or {})
    monkeypatch.setattr(program, "write", lambda *given: "")
    flags = [f"--config={ROOT / 'configs' / 'digits_semi_supervised.py'}", f"--workdir={tmp_path}"]
    in_process(program, *flags, "--methods=ali", "--seeds=3,4", "--labels=20", "--at_once")
    assert trained == [3, 4]


def test_a_run_whose_errors_are_lost_is_told(tmp_path):
    with pytest.raises(UserError, match=r"metrics\.jsonl holds no errors; restore it, or remove"):
        program.outcome(load_config("digits_semi_supervised"), tmp_path, {})


def test_a_table_of_test_errors_needs_a_test_split(tmp_path, in_process):
    flags = [f"--config={ROOT / 'configs' / 'digits_semi_supervised.py'}", f"--workdir={tmp_path}"]
    with pytest.raises(UserError, match=r"config\.test_split is empty"):
        in_process(program, *flags, "--config.test_split=")


def test_a_config_whose_variants_are_no_methods_is_told(tmp_path, in_process):
    flags = ["--config=configs/images.py:8,grey,classes=10", "--config.dataset=digits", "--methods=ali"]
    flags += ["--config.test_split=test", f"--workdir={tmp_path}"]
    with pytest.raises(UserError, match=r"images\.py has none called ali .*others are trained by"):
        in_process(program, *flags)


def test_a_method_of_which_all_runs_diverged_has_no_numbers():
    rows = program.summarize("digits", {("ali", 20, 0): {"diverged": "loss is not finite"}})
    assert rows["ali", 20] == {"seeds": 0, "diverged": 1, "steps": [], "published": None}
    assert "| ali | 20 | 0 (1 diverged) |  | - | - |" in program.table(rows)
    program.draw({("ali", 20, 0): {"diverged": "loss is not finite"}})


def test_a_stopped_run_ends_the_program(tmp_path, monkeypatch):
    config = load_config("digits_semi_supervised")
    monkeypatch.setattr(program, "config_of", lambda *run: config)
    stopped = SimpleNamespace(step=config.num_steps - 1)
    monkeypatch.setattr(program.train, "train_and_evaluate", lambda *given, **named: stopped)
    values = SimpleNamespace(workdir=str(tmp_path), output=str(tmp_path), config=config, at_once=False)
    values.methods, values.labels, values.seeds = ["ali"], None, ["0"]
    monkeypatch.setattr(program.flags, "FLAGS", values)
    with pytest.raises(Stopped, match="the same command goes on"):
        program.main([])
