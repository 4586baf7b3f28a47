"""Grids of variants and seeds at equal cost."""

import json
import shutil
from types import SimpleNamespace
from typing import ClassVar

import pytest
from conftest import flags_of

from ali_jax import train
from ali_jax.errors import UserError
from ali_jax.run.signals import Stopped
from ali_jax.run.workdirs import claim
from experiments import ablation
from experiments.common import ablation_report, costs, flops, grids, referee

GRID = """
REFERENCE = "wide steps"
VARIANTS = {
    "Larger, twice!": {"batch_size": 32},
    "wide steps": {"learning_rate": 5e-4, "terms": {"adversarial": {"d": 0.5}}},
}
"""


def test_checkpoints_are_measured_where_the_loop_makes_them(tiny_config):
    """By hand: due at 5 and 10 of 12, in calls of 4 steps after 8 and 12."""
    tiny_config.num_steps, tiny_config.checkpoint_every, tiny_config.steps_per_dispatch = 12, 5, 4
    assert ablation.measured_steps(tiny_config) == [8, 12]
    tiny_config.steps_per_dispatch = 1
    assert ablation.measured_steps(tiny_config) == [5, 10, 12]


@pytest.fixture(scope="module")
def referee_file(tmp_path_factory):
    """The referee of all grids here, trained by the first of them."""
    return str(tmp_path_factory.mktemp("referee") / "referee.npz")


@pytest.fixture
def run_grid(tiny_config, tmp_path, monkeypatch, referee_file):
    """run(workdir, **flags) -> results.json of a grid of two variants of 8 tiny steps."""
    quick = referee.Settings(width=8, hidden=16, steps=5, shift=0)
    monkeypatch.setattr(referee, "settings_for", lambda dataset: quick)
    monkeypatch.setattr(ablation.program, "config_name", lambda: "tiny")
    tiny_config.num_steps, tiny_config.validation_split = 8, "test[:60]"

    def run(folder, text=GRID, **values):
        (tmp_path / "grid.py").write_text(text)
        given = {"grid": str(tmp_path / "grid.py"), "seeds": 1, "checkpoints": 2, "examples": 60, **values}
        given["referee"] = referee_file
        with flags_of(ablation, workdir=str(tmp_path / folder), config=None, **given):
            monkeypatch.setattr(ablation.flags.FLAGS["config"], "_value", tiny_config, raising=False)
            ablation.main([])
        return json.loads((tmp_path / folder / "results" / "ablation" / "results.json").read_text())

    return run


def measured(results):
    """All measures of a results.json, without what they cost."""
    for run in results["runs"]:
        for found in run["by_step"].values():
            found.pop("cost")
    return results["runs"]


def test_a_grid_that_was_stopped_ends_as_one_that_was_not(run_grid, tmp_path, monkeypatch):
    whole = run_grid("whole")
    steps = {name: variant["steps"] for name, variant in whole["variants"].items()}
    each = {name: variant["flops_per_step"] for name, variant in whole["variants"].items()}
    assert steps == grids.steps_of("wide steps", 8, each)
    assert steps["Larger, twice!"] in (4, 5) and steps["wide steps"] == 8
    assert [(run["variant"], run["seed"]) for run in whole["runs"]] == [
        *(("Larger, twice!", 0), ("wide steps", 0))
    ]
    assert list(whole["runs"][1]["by_step"]) == ["4", "8"]
    cost = whole["runs"][1]["by_step"]["8"]["cost"]
    assert cost["flops"] == 8 * each["wide steps"] and cost["seconds"] > 0
    assert whole["data"]["judged"] == "digits, split test[:60], 60 examples"
    untrained = [variant["untrained"]["encoder"]["mu"] for variant in whole["variants"].values()]
    assert untrained[0] == untrained[1]  # the same networks
    output = tmp_path / "whole" / "results" / "ablation"
    assert {path.name for path in output.iterdir()} == {
        *("results.json", "table.md", "quality_by_flops.png", "quality_by_flops.pdf")
    }

    # What follows draws and counts no more: that takes a second each time.
    monkeypatch.setattr(ablation.report, "save_plot", lambda *given: None)
    by_batch = {32: each["Larger, twice!"], 16: each["wide steps"]}
    monkeypatch.setattr(ablation.flops, "of_average_step", lambda config: by_batch[config.batch_size])
    parts, trained = shutil.copytree(tmp_path / "whole", tmp_path / "parts"), train.train_and_evaluate
    for folder in (parts / "wide_steps", parts / "results"):
        shutil.rmtree(folder)

    def stopped(config, folder, command):
        """The second run is stopped after 5 of its 8 steps; the first is done."""
        assert folder.parts[-2] == "wide_steps"
        config = config.copy_and_resolve_references()
        config.num_steps = 5
        return trained(config, folder, command=command)

    monkeypatch.setattr(train, "train_and_evaluate", stopped)
    with pytest.raises(Stopped, match="the same command goes on"):
        run_grid("parts")
    monkeypatch.setattr(train, "train_and_evaluate", trained)
    assert measured(run_grid("parts")) == measured(whole)

    def never(*given, **named):
        raise AssertionError("a run that is done was trained again")

    monkeypatch.setattr(train, "train_and_evaluate", never)
    again = run_grid("parts")
    assert measured(again) == whole["runs"]


@pytest.fixture
def trainings(monkeypatch):
    """Runs that end at once, and whose kept images in % are their seed + 1; the (variant, seed)s begun.

    That of the variant "larger_twice" diverges where `trainings.diverge` is True.
    """

    class Begun(list):
        diverge = False
        configs: ClassVar = {}

    begun = Begun()

    def end_at_once(config, folder, command):
        variant = folder.parts[-2]
        begun.append((variant, config.seed))
        begun.configs[variant] = config
        if begun.diverge and variant == "larger_twice":
            raise train.Diverged("loss is not finite")
        return SimpleNamespace(step=config.num_steps)

    def measure(folder, bench, seed):
        return {"reconstruction": {"through_mu": {"kept_percent": int(folder.name) + 1}}}

    monkeypatch.setattr(ablation.report, "save_plot", lambda *given: None)
    monkeypatch.setattr(ablation.flops, "of_average_step", lambda config: 1.0 * config.batch_size)
    monkeypatch.setattr(train, "train_and_evaluate", end_at_once)
    monkeypatch.setattr(ablation.inference, "load", lambda folder, step: folder)
    monkeypatch.setattr(ablation.quality, "measure", measure)
    return begun


def test_only_one_variant_is_trained_and_steps_may_be_equal(run_grid, trainings):
    results = run_grid("one", only=["wide steps"], equal="steps", checkpoints=1)
    assert list(results["variants"]) == ["wide steps"] and len(results["runs"]) == 1
    assert list(results["runs"][0]["by_step"]) == ["8"]
    assert trainings == [("wide_steps", 0)]
    both = run_grid("one", equal="steps", seeds=2, checkpoints=1)
    assert trainings[1:] == [("larger_twice", 0), ("larger_twice", 1), ("wide_steps", 1)]
    assert [run["seed"] for run in both["runs"]] == [0, 1, 0, 1]
    kept = {name: variant["at_the_last_step"]["kept, %"] for name, variant in both["variants"].items()}
    assert kept == {name: {"mean": 1.5, "std": 0.5} for name in ("Larger, twice!", "wide steps")}
    assert {variant["steps"] for variant in both["variants"].values()} == {8}


def test_steps_that_an_earlier_call_measured_are_left_out(run_grid, trainings):
    more = run_grid("steps", only=["wide steps"], equal="steps", checkpoints=2)
    assert list(more["runs"][0]["by_step"]) == ["4", "8"]
    fewer = run_grid("steps", only=["wide steps"], equal="steps", checkpoints=1, seeds=2)
    assert [list(run["by_step"]) for run in fewer["runs"]] == [["8"], ["8"]]


def test_checkpoints_that_a_run_went_past_are_told_before_it_is_called_done(run_grid, trainings, monkeypatch):
    run_grid("more", only=["wide steps"], equal="steps", checkpoints=1)
    monkeypatch.setattr(ablation, "kept_steps", lambda folder: [8])
    with pytest.raises(
        UserError, match=r"wide_steps/0 went past step 4 without a checkpoint.*as many as then"
    ):
        run_grid("more", only=["wide steps"], equal="steps", checkpoints=2)
    assert len(trainings) == 1


def test_a_run_that_ended_amid_a_call_is_not_gone_on_with(run_grid, trainings, tiny_config, monkeypatch):
    tiny_config.steps_per_dispatch = 5
    run_grid("longer", only=["wide steps"], equal="steps", checkpoints=1)
    monkeypatch.setattr(ablation, "kept_steps", lambda folder: [8])
    tiny_config.num_steps = 12
    with pytest.raises(UserError, match=r"wide_steps/0 ended at step 8, amid a call of 5 steps"):
        run_grid("longer", only=["wide steps"], equal="steps", checkpoints=1)
    assert len(trainings) == 1


def test_seeds_count_from_the_config_s(run_grid, trainings, tiny_config):
    tiny_config.seed = 4
    runs = run_grid("one", only=["wide steps"], equal="steps", seeds=2, checkpoints=1)["runs"]
    assert trainings == [("wide_steps", 4), ("wide_steps", 5)] and [run["seed"] for run in runs] == [4, 5]


def test_a_run_that_diverges_is_noted_and_the_others_go_on(run_grid, trainings):
    trainings.diverge = True
    results = run_grid("diverging", checkpoints=1)
    summary = {name: variant["at_the_last_step"] for name, variant in results["variants"].items()}
    assert summary["Larger, twice!"] == {"runs": 0, "diverged": 1} and summary["wide steps"]["runs"] == 1
    assert results["runs"][0]["diverged"] == "loss is not finite"
    run_grid("diverging", checkpoints=1)
    assert len(trainings) == 2  # neither again


def test_a_variant_that_was_trained_as_another_is_told(run_grid, trainings, tmp_path):
    run_grid("changed", text="VARIANTS = {'a': {}, 'b': {}}", checkpoints=1)
    folder = tmp_path / "changed" / "b" / "0"
    claim(folder, trainings.configs["b"])
    with pytest.raises(UserError, match=r"b/0 was begun with config\.learning_rate = .*, not 0\.005"):
        run_grid("changed", text="VARIANTS = {'a': {}, 'b': {'learning_rate': 0.005}}", checkpoints=1)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"only": ["narrow"]}, "--only='narrow' is none of the variants 'Larger, twice!', "),
        ({"text": "VARIANTS = {'a': {}, 'b': {'validation_split': 'tset'}}"}, "no split 'tset'"),
        ({"text": "VARIANTS = {'a': {}, 'b': {'train_split': 'train[:7]'}}"}, "the data set's 7 examples"),
        ({"text": "VARIANTS = {'a': {}, 'b': {'dataset': 'noise'}}"}, r"changes config\.dataset"),
        ({"text": "VARIANTS = {'a': {'model': 5}}"}, r"a group, of which config\.model\.\w+ is a field"),
        (
            {"text": "VARIANTS = {'a': {'terms': {'cycle': {1}}}}"},
            "not JSON serializable.; write plain numbers",
        ),
        ({"text": "VARIANTS = {'a': {5: 3}}"}, "fields by their names"),
        ({"text": "VARIANTS = {'a': {}}; REFERENCE = ['a']"}, "REFERENCE is"),
        ({"text": "VARIANTS = {'a': {}, 'b': {'num_steps': 3}}"}, "set for all variants"),
        ({"text": "VARIANTS = {'a': {'seed': 3}}"}, "config.seed"),
        ({"text": "VARIANTS = {'a': {'terms': {'magic': {}}}}"}, "no term 'magic'"),
    ],
)
def test_what_cannot_be_run_is_said_before_anything_is_trained(values, words, run_grid, tmp_path):
    with pytest.raises(UserError, match=words):
        run_grid("wrong", **values)
    assert not (tmp_path / "wrong").exists()


def run_of(seed, kept, diverged=None):
    """A run as `outcome` gives it, of two steps, the second twice the first."""
    by_step = {
        step: {
            "cost": {"flops": 10.0 * step, "seconds": 60.0 * step},
            "reconstruction": {"through_mu": {"kept_percent": kept * step}},
        }
        for step in (1, 2)
    }
    return {"variant": "v", "seed": seed, "diverged": diverged, "by_step": by_step}


def test_a_row_is_the_mean_and_the_spread_of_the_runs_that_ended():
    runs = [run_of(0, 10), run_of(1, 20), run_of(2, 99, "loss is not finite")]
    found = ablation_report.summarize(runs)
    assert (found["runs"], found["diverged"], found["flops"]) == (2, 1, 20.0)
    assert found["kept, %"] == {"mean": 30.0, "std": 10.0} and found["seconds"]["mean"] == 120
    assert found["coverage"] is None
    untrained = {"encoder": {"mu": {"nearest_neighbour_accuracy_percent": 5.0}}}
    variant = {"steps": 2, "at_the_last_step": found, "untrained": untrained}
    alone = {"referee": {"accuracy_percent": 98.5}, "samples": {"coverage_referee": 0.9}}
    head, _, *rows, _, _ = ablation_report.table({"v": variant, "w": variant}, alone).splitlines()
    assert head == "| variant | runs | steps | TFLOPs | minutes | kept, % |"
    assert rows[0] == "| v | 2 (1 diverged) | 2 | 2e-11 | 2.000 +- 0.000 | 30.0 +- 10.0 |"
    assert [row.split(" | ")[0] for row in rows] == ["| v", "| w", "| untrained: v", "| real images"]
    assert rows[3] == "| real images | - | - | - | - | 98.5 |"


def test_the_plot_has_a_line_for_each_run_and_for_their_mean():
    runs = [run_of(0, 10), run_of(1, 20), run_of(2, 99, "loss is not finite")]
    figure = ablation_report.draw(["v"], runs)
    _, kept, *empty = figure.axes
    assert [line.get_ydata().tolist() for line in kept.lines] == [[10, 20], [20, 40], [15, 30]]
    assert kept.lines[-1].get_xdata().tolist() == [10.0, 20.0]
    assert not any(axes.lines for axes in empty)


def test_flops_grow_with_the_batch(tiny_config):
    one = flops.of_traced_step(tiny_config)
    tiny_config.batch_size *= 2
    assert 1.8 < flops.of_traced_step(tiny_config) / one < 2.0


def test_a_run_costs_its_average_steps(tiny_config, monkeypatch):
    assert costs.of_run(tiny_config, ablation.Path("nowhere"), 3, 2.0)["flops"] == 6.0
    monkeypatch.setattr(flops, "of_average_step", lambda config: 5.0)
    assert costs.of_run(tiny_config, ablation.Path("nowhere"), 3)["flops"] == 15.0
