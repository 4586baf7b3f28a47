"""The programs of experiments/."""

import json
import sys

import numpy as np
import pytest
from conftest import load_config

from ali_jax import data, train
from ali_jax.errors import UserError
from experiments import benchmark, curves, flops, neighbours, report, workdirs


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


def test_a_gan_counts_no_encoder():
    assert flops.forward_macs(load_config("mixture", "gan"))["encoder"] == 0


def test_step_and_loop_are_timed(tiny_config, tmp_path):
    digits = data.load("digits", "train")
    tiny_config.steps_per_dispatch = 2
    step = benchmark.time_step(tiny_config, digits, steps=4)
    assert step["images_per_second"] == 16 / step["step_seconds"] > 0
    loop = benchmark.time_loop(tiny_config, (digits, digits))
    assert loop["loop_images_per_second"] > 0
    assert benchmark.matmul_rate("float32") > 0 and benchmark.peak_memory() > 2**20


def test_an_opponent_is_run_and_its_last_line_read():
    script = "print('warming up'); print('{\"images_per_second\": 7.5}')"
    found = benchmark.run([sys.executable, "-c", script])
    assert found["images_per_second"] == 7.5 and found["process_peak_memory_bytes"] > 2**20


@pytest.mark.parametrize("script", ["print('fast')", "raise SystemExit(3)", "pass"])
def test_an_opponent_that_tells_nothing_is_named(script):
    with pytest.raises(UserError, match="python"):
        benchmark.run([sys.executable, "-c", script])


def test_random_images_have_the_shape_of_the_config():
    split, _ = benchmark.random_splits(load_config("celeba_conditional"))
    assert split.x.shape[1:] == (64, 64, 3) and split.x.dtype == np.uint8
    assert split.attributes.shape == (len(split.x), 40)


def test_results_stand_with_their_command_date_and_hardware(tmp_path):
    path = report.write(tmp_path, {"images_per_second": 1.0})
    results = json.loads(path.read_text())
    assert results["images_per_second"] == 1.0
    assert {"command", "date", "hardware", "versions"} < set(results)
    assert "cpu" in results["hardware"].lower() or "core" in results["hardware"]


def test_curves_of_a_run(tiny_config, tmp_path):
    train.train_and_evaluate(tiny_config, tmp_path)
    metrics = curves.read_metrics(tmp_path)
    assert metrics["step"].tolist() == [2, 4, 6, 8, 10, 12]
    output = tmp_path / "out"
    report.save_plot(output, "curves", curves.draw(metrics))
    curves.copy_last_figures(tmp_path / "figures", output)
    assert {p.name for p in output.iterdir()} == {
        "curves.png",
        "curves.pdf",
        "samples.png",
        "reconstructions.png",
    }
    last = (tmp_path / "figures" / "samples_0000012.png").read_bytes()
    assert (output / "samples.png").read_bytes() == last
    summary = curves.summarize(tiny_config, metrics)
    assert summary["data"] == "digits, split train, 1,500 examples" and summary["steps"] == 12
    late = metrics["D_real"][metrics["step"] > 10.8]
    assert summary["mean_over_last_steps"]["D_real"] == late.mean()


def test_a_workdir_without_a_run_is_named(tmp_path):
    with pytest.raises(UserError, match="workdir"):
        report.workdir(None)
    with pytest.raises(UserError, match=r"no config\.json"):
        report.workdir(tmp_path)
    with pytest.raises(UserError, match="no metrics yet"):
        curves.read_metrics(tmp_path)


def test_a_workdir_without_checkpoint_or_encoder_is_named(tiny_config, tmp_path, run_program):
    train.claim_workdir(tmp_path / "fresh", tiny_config)
    with pytest.raises(UserError, match="no checkpoint"):
        run_program(neighbours, workdir=str(tmp_path / "fresh"))
    train.claim_workdir(tmp_path / "gan", load_config("mixture", "gan"))
    with pytest.raises(UserError, match="plain GAN"):
        run_program(neighbours, workdir=str(tmp_path / "gan"))


def test_data_without_labels_are_named(tiny_config, monkeypatch):
    digits = data.load("digits", "test")
    monkeypatch.setattr(data, "load", lambda *args: digits._replace(label=None))
    with pytest.raises(UserError, match="no labels"):
        workdirs.labelled_splits(tiny_config)
