"""The programs of experiments/."""

import itertools
import json
import types
from pathlib import Path

import numpy as np
import pytest
from conftest import load_config

from ali_jax import config as config_lib
from ali_jax import data
from ali_jax.errors import UserError
from ali_jax.models.rows import dense
from ali_jax.run import begun, metrics, pictures
from ali_jax.run.signals import Stopped
from ali_jax.run.workdirs import claim
from experiments import benchmark, curves, neighbours, scaling
from experiments.common import flops, labelled, report, timing, trained_runs


def test_multiply_adds_are_those_of_the_table():
    """SVHN, paper's table: kernel elements times the pixels they are applied to."""
    counted = flops.forward_macs(load_config("svhn"))
    encoder = 28**2 * 2_400 + 13**2 * 32_768 + 10**2 * 131_072 + 4**2 * 524_288
    encoder += 2_097_152 + 2 * 262_144
    generator = 1_048_576 + 4**2 * 524_288 + 10**2 * 131_072 + 13**2 * 32_768
    generator += 28**2 * 25_600 + 32**2 * (1_024 + 96)
    discriminator = 28**2 * 2_400 + 13**2 * 32_768 + 10**2 * 131_072 + 4**2 * 524_288
    discriminator += 2_097_152 + 131_072 + 262_144 + 2 * 1_048_576 + 1_024
    assert counted == {
        "encoder": encoder,
        "generator": generator,
        "discriminator": discriminator,
    }
    per_image = flops.of_step(load_config("svhn")) / 100
    assert per_image == 2 * (3 * encoder + 3 * generator + 8 * discriminator)


def test_multiply_adds_of_d_are_of_one_pair_in_a_pack_and_without_what_judges_twins(tiny_config):
    alone = flops.forward_macs(tiny_config)["discriminator"]
    tiny_config.model.discriminator_xx = (dense(5), dense(1, nonlinearity="linear"))
    assert flops.forward_macs(tiny_config)["discriminator"] == alone
    tiny_config.model.packing = 2
    first, last = 64 * 12 + 3 * 12, 12 + 12 // 2  # maxout2 halves what D_z gives
    assert alone == first + last
    assert flops.forward_macs(tiny_config)["discriminator"] == (2 * first + last) / 2


def test_a_gan_counts_no_encoder():
    assert flops.forward_macs(load_config("mixture", "gan"))["encoder"] == 0


def test_a_step_is_timed(tiny_config):
    tiny_config.steps_per_dispatch = 2
    step = timing.time_step(tiny_config, data.load("digits", "train"), calls=4)
    assert step["images_per_second"] == 16 / step["step_seconds"] > 0
    assert step["program_memory_bytes"] > 16 * 64 * 4


def test_a_loop_that_was_stopped_is_not_timed(tiny_config, monkeypatch):
    monkeypatch.setattr(
        benchmark.train, "train_and_evaluate", lambda *arguments: types.SimpleNamespace(step=5)
    )
    with pytest.raises(Stopped, match="Stopped before the loop was timed"):
        benchmark.time_loop(tiny_config, {})


def test_figures_and_a_checkpoint_are_counted_as_often_as_they_come(tiny_config):
    """A second for an interval of 10 steps; 4 more for the first figures, one of them for any figures."""
    tiny_config.checkpoint_every, tiny_config.num_steps = 100, 1000
    found = benchmark.of_run(tiny_config, 10, [9.0, 2.0, 5.0, 1.0, 2.0, 1.0, 2.0, 7.0, 8.0])
    assert found["loop_checkpoint_and_figures_seconds"] == 1
    assert found["loop_first_figures_seconds"] == 3
    assert found["loop_plain_images_per_second"] == 16 * 10
    # 100 s of steps, 10 of figures and checkpoints, and 3 once
    assert found["loop_images_per_second"] == pytest.approx(16 * 1000 / 113)


def test_each_loop_is_compared_with_the_bare_steps_beside_it(monkeypatch):
    """On a machine that gets faster and faster, a loop that loses a tenth of its time."""
    bare, told = iter([20.0, 40.0, 80.0]), []

    def time_loop(config, splits, once):
        told.append(once)
        rate = {1: 15.0, 2: 30.0, 3: 60.0}[len(told)]
        return {
            "loop_images_per_second": 0.9 * rate,
            "loop_plain_images_per_second": rate,
            "loop_first_figures_seconds": 3.0 if once is None else once,
        }

    monkeypatch.setattr(benchmark, "time_loop", time_loop)
    monkeypatch.setattr(timing, "time_step", lambda *arguments: {"images_per_second": next(bare)})
    found = benchmark.time_loop_in_turn(None, {"train": None}, bare=10.0, steps=5, rounds=3)
    assert found["loop_share_of_bare_step"] == pytest.approx(0.9)
    assert found["loop_plain_share_of_bare_step"] == 1
    assert found["bare_images_per_second_of_rounds"] == [10, 20, 40, 80]
    assert found["loop_images_per_second_of_rounds"] == [13.5, 27, 54]
    assert found["loop_images_per_second"] == 27
    assert told == [None, 3, 3]  # what comes once is of the first


@pytest.mark.parametrize(("calls", "log_every", "steps"), [(4, 6, 8), (4, 8, 8), (20, 5, 20), (1, 3, 3)])
def test_every_interval_of_the_loop_has_the_steps_that_it_is_taken_for(
    tiny_config, monkeypatch, calls, log_every, steps
):
    def write(config, workdir, splits):
        at = metrics_steps(config)
        assert {later - earlier for earlier, later in itertools.pairwise([0, *at])} == {steps}
        (Path(workdir) / "metrics.jsonl").write_text('{"step": 1, "images_per_second": 16.0}\n' * len(at))
        return types.SimpleNamespace(step=config.num_steps)

    monkeypatch.setattr(benchmark.train, "train_and_evaluate", write)
    tiny_config.update(steps_per_dispatch=calls, log_every=log_every)
    assert benchmark.time_loop(tiny_config, {})["loop_plain_images_per_second"] == 16.0


def metrics_steps(config) -> list[int]:
    """The steps at which the loop logs: where a call of the device ends, when so many have passed."""
    ends = range(config.steps_per_dispatch, config.num_steps + 1, config.steps_per_dispatch)
    logged = [0]
    for end in ends:
        if end // config.log_every > logged[-1] // config.log_every:
            logged.append(end)
    return logged[1:]


def test_the_loop_is_timed_with_figures_in_the_intervals_that_hold_them(tiny_config, monkeypatch):
    """By a clock of its own: a quarter of a second for each row, and what figures take beside."""
    of_figures, kept, now = iter([0.5, 0.3, 0.2, 0.1, 0.0]), [], 0.0
    digits, of_run = data.load("digits", "train"), benchmark.of_run

    def pass_seconds(seconds):
        nonlocal now
        now += seconds
        return now

    def slow(*arguments):
        pass_seconds(next(of_figures))
        return {}

    def keep(*timed):
        kept.append(timed)
        return of_run(*timed)

    monkeypatch.setattr(metrics, "time", types.SimpleNamespace(perf_counter=lambda: pass_seconds(0.25)))
    monkeypatch.setattr(pictures, "of_training", slow)
    monkeypatch.setattr(benchmark, "of_run", keep)
    found = benchmark.time_loop(tiny_config, {"train": digits, "validation": digits})
    ((config, steps, intervals, _),) = kept
    assert config is tiny_config and steps == tiny_config.log_every
    assert intervals == pytest.approx([0.25, 0.25, 0.75, 0.25, 0.55, 0.25, 0.45, 0.25, 0.35])
    assert found["loop_images_per_second"] > 0


def test_what_else_is_measured():
    assert timing.matmul_rate("float32") > 0 and timing.peak_memory() > 2**20


def test_random_images_have_the_shape_of_the_config():
    split = timing.random_splits(load_config("celeba_conditional"))["train"]
    assert split.x.shape[1:] == (64, 64, 3) and split.x.dtype == np.uint8
    assert split.attributes.shape == (len(split.x), 40)


def test_results_stand_with_their_command_date_and_hardware(tmp_path):
    path = report.write(tmp_path, {"images_per_second": 1.0})
    results = json.loads(path.read_text())
    assert results["images_per_second"] == 1.0
    assert {"command", "date", "hardware", "versions"} < set(results)
    assert "cpu" in results["hardware"].lower() or "core" in results["hardware"]


def test_results_that_cannot_be_written_are_told(tmp_path):
    (tmp_path / "results.json").mkdir()
    (tmp_path / "a.pdf").mkdir()
    with pytest.raises(UserError, match=f"{tmp_path} cannot be written"):
        report.write(tmp_path, {})
    with pytest.raises(UserError, match=f"{tmp_path} cannot be written"):
        report.save_image(tmp_path, "a", np.zeros((2, 2, 3), np.uint8))


def test_curves_of_a_run(tiny_config, tiny_workdir, tmp_path):
    metrics = curves.read_metrics(tiny_workdir)
    assert metrics["step"].tolist() == [2, 4, 6, 8, 10, 12]
    output = tmp_path / "out"
    report.save_plot(output, "curves", curves.draw(metrics))
    for _ in range(2):  # also where they are there already
        curves.copy_last_figures(tiny_workdir / "figures", output)
    assert {p.name for p in output.iterdir()} == {
        "curves.png",
        "curves.pdf",
        "samples.png",
        "reconstructions.png",
    }
    last = (tiny_workdir / "figures" / "samples_0000012.png").read_bytes()
    assert (output / "samples.png").read_bytes() == last
    summary = curves.summarize(tiny_config, metrics)
    assert summary["data"] == "digits, split train, 1,500 examples" and summary["steps"] == 12
    late = metrics["D_real"][metrics["step"] > 10.8]
    assert summary["mean_over_last_steps"]["D_real"] == late.mean()
    uneven = {"step": [90, 99, 100], "averaged_steps": [9, 99, 1], "images_per_second": [1.0] * 3}
    uneven = {name: np.asarray(values) for name, values in {**uneven, "D_real": [5.0, 1.0, 3.0]}.items()}
    assert curves.summarize(tiny_config, uneven)["mean_over_last_steps"]["D_real"] == pytest.approx(1.02)
    tiny_config.classes = (0, 1)
    of_two = curves.summarize(tiny_config, metrics)
    count = int(np.sum(data.load("digits", "train").label < 2))
    assert of_two["data"] == f"digits, split train, classes 0, 1, {count} examples"
    assert of_two["epochs"] == pytest.approx(summary["epochs"] * 1500 / count)


def test_errors_of_a_classifier_are_told_at_every_look(tiny_workdir, tmp_path):
    assert curves.read_errors(tiny_workdir) == {}
    looks = [{"step": step, "validation_error": step / 10, "test_error": step / 5} for step in (2, 4)]
    lines = [
        {"step": 2, "loss_discriminator": 1.0},
        looks[0],
        {"step": 4, "loss_discriminator": 1.0},
        looks[1],
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    wanted = {"step": [2, 4], "validation_error": [0.2, 0.4], "test_error": [0.4, 0.8]}
    assert curves.read_errors(tmp_path) == {"errors": wanted}


def test_an_epoch_is_once_round_the_examples_without_labels_or_where_there_are_none_the_others():
    config = config_lib.default()
    config.update({"batch_size": 100, "labelled_batch_size": 50, "num_labels": 100})
    split = data.Split(np.zeros((1500, 2)), np.resize([0, 1, -1], 1500), None)
    config.model.discriminator_joint = (dense(2),)
    assert curves.epochs(config, 30, split) == 1
    config.batch_size = 50
    assert curves.epochs(config, 30, split) == 15
    config.num_labels = -1  # all 1,000 that are known
    assert curves.epochs(config, 30, split) == 1.5


def test_what_judges_learns_from_no_image_that_is_judged():
    split = data.load("digits", "train")
    first, next_to_it, half_of_it = (data.take(split, slice(start, start + 100)) for start in (0, 95, 50))
    trained_runs.refuse_overlap(("a", "b"), (first, next_to_it))
    with pytest.raises(UserError, match=r"50 % of the images of b are also among those of a"):
        trained_runs.refuse_overlap(("a", "b"), (first, half_of_it))


def test_a_workdir_without_a_run_is_named(tmp_path):
    with pytest.raises(UserError, match="workdir"):
        trained_runs.read(None)
    with pytest.raises(UserError, match=r"no config\.json"):
        trained_runs.read(tmp_path)
    with pytest.raises(UserError, match=r"There is no .*metrics\.jsonl"):
        curves.read_metrics(tmp_path)
    (tmp_path / "metrics.jsonl").write_text('{"step": 5, "test_error": 90.0}\n{"step": 10, "loss_discr')
    with pytest.raises(UserError, match="no metrics yet"):
        curves.read_metrics(tmp_path)
    lines = '{"step": 5, "loss_discriminator": 1.0, "D_real": 0.5}\n{"step": 10, "loss_discriminator": 1.0}\n'
    (tmp_path / "metrics.jsonl").write_text(lines)
    with pytest.raises(UserError, match=r"The line of step 10 in .* lacks a column"):
        curves.read_metrics(tmp_path)


@pytest.mark.parametrize("game", ["supervised", "consistency"])
def test_a_classifier_s_generator_is_not_measured(game, tmp_path):
    claim(tmp_path / "run", load_config("digits_semi_supervised", game))
    with pytest.raises(UserError, match="holds a classifier, whose generator is untrained"):
        trained_runs.load(tmp_path / "run", needs_encoder=False)


def test_a_trained_run_takes_its_data_from_elsewhere_and_no_other_field(tiny_workdir, tmp_path, in_process):
    run = f"--workdir={tiny_workdir}"
    for field in ("seed", "terms.r1.gamma", "model.leak"):
        with pytest.raises(UserError, match=f"is kept with it; leave --config.{field} out"):
            in_process(curves, run, f"--config.{field}=1", f"--output={tmp_path}")
    with pytest.raises(UserError, match="The config of a trained model is kept with it; leave --config out"):
        in_process(curves, run, "--config=configs/svhn.py", f"--output={tmp_path}")
    assert not any(tmp_path.iterdir())
    in_process(curves, run, f"--config.data_dir={tmp_path}", f"--output={tmp_path}")
    training = json.loads((tmp_path / "results.json").read_text())["training"]
    assert training == begun.read(tiny_workdir) and {"date", "hardware", "versions"} <= training.keys()
    assert trained_runs.load(tiny_workdir, "elsewhere").config.data_dir == "elsewhere"
    assert trained_runs.load(tiny_workdir).config.data_dir is None


def test_a_workdir_without_checkpoint_or_encoder_is_named(tiny_config, tmp_path, run_program):
    claim(tmp_path / "fresh", tiny_config)
    with pytest.raises(UserError, match="no checkpoint"):
        run_program(neighbours, workdir=str(tmp_path / "fresh"))
    claim(tmp_path / "gan", load_config("mixture", "gan"))
    with pytest.raises(UserError, match="plain GAN"):
        run_program(neighbours, workdir=str(tmp_path / "gan"))


def test_data_without_labels_are_named(tiny_config, monkeypatch):
    digits = data.load("digits", "test")
    monkeypatch.setattr(data, "load", lambda *args: digits._replace(label=None))
    with pytest.raises(UserError, match="no labels"):
        labelled.load(tiny_config, ("train", "test"))
    monkeypatch.setattr(data, "load", lambda *args: digits._replace(label=np.zeros_like(digits.label)))
    with pytest.raises(UserError, match="of one class"):
        labelled.load(tiny_config, ("train", "test"))


def test_words_that_are_no_flags_and_folders_that_cannot_be_made_are_named(in_process):
    with pytest.raises(UserError, match="'pixels' is not a flag"):
        neighbours.main(["neighbours", "pixels"])
    with pytest.raises(UserError, match="/dev/null/out"):
        in_process(scaling, "--output=/dev/null/out")
    with pytest.raises(UserError, match=r"the configs that they are of; leave --config\.seed out"):
        in_process(scaling, "--config.seed=1")


def test_flops_are_counted_on_the_cpu_and_a_jax_without_one_is_told(tiny_config, monkeypatch):
    def of_a_gpu_alone(backend=None):
        assert backend == "cpu"  # not of the default one, whose XLA may count nothing
        raise RuntimeError("Unknown backend cpu")

    monkeypatch.setattr(flops.jax, "local_devices", of_a_gpu_alone)
    monkeypatch.setattr(flops.jax, "config", types.SimpleNamespace(jax_platforms="cuda"))
    with pytest.raises(UserError, match="JAX_PLATFORMS=cuda leaves out; set it to cuda,cpu"):
        flops.of_traced_step(tiny_config)
