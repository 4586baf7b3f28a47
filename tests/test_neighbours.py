import shutil

import numpy as np
import pytest
from helpers import truncate

from ali_jax import data, export, inference
from ali_jax.errors import UserError
from experiments import neighbours
from experiments.common import accuracies, features, trained_runs


@pytest.fixture(scope="module")
def blobs():
    """Two classes of points in 5-D: (train_x, test_x, train_label, test_label)."""
    random = np.random.default_rng(0)
    labels = [np.arange(count) % 2 for count in (60, 20)]
    points = [random.normal(size=(len(y), 5)) + 1.5 * y[:, None] for y in labels]
    return *(p.astype(np.float32) for p in points), *labels


def test_nearest_neighbours_are_those_of_a_plain_loop(blobs):
    train_x, test_x, train_label, test_label = blobs
    loop = [min(range(60), key=lambda i: float(np.sum((train_x[i] - q) ** 2))) for q in test_x]
    np.testing.assert_array_equal(accuracies.nearest(train_x, test_x, 1)[:, 0], loop)
    right = np.mean([train_label[i] == y for i, y in zip(loop, test_label, strict=True)])
    found = accuracies.measure(*blobs)
    assert found["nearest_neighbour_accuracy_percent"] == pytest.approx(100 * right)
    assert 0.5 < right < 1  # blobs that overlap: the test would notice wrong neighbours


def test_both_accuracies_are_100_where_classes_are_far_apart_and_chance_where_labels_are_noise(blobs):
    train_x, test_x, train_label, test_label = blobs
    far = accuracies.measure(
        train_x + 50 * train_label[:, None], test_x + 50 * test_label[:, None], *blobs[2:]
    )
    assert far["nearest_neighbour_accuracy_percent"] == far["linear_probe_accuracy_percent"] == 100
    random = np.random.default_rng(1)
    noise = accuracies.measure(
        random.normal(size=(500, 3)),
        random.normal(size=(500, 3)),
        random.integers(2, size=500),
        random.integers(2, size=500),
    )
    assert abs(noise["nearest_neighbour_accuracy_percent"] - 50) < 12
    assert abs(noise["linear_probe_accuracy_percent"] - 50) < 12


def test_a_standardised_probe_does_not_mind_how_small_features_are(blobs):
    train_x, test_x, *labels = blobs
    scale = np.float32([1e-4, 1e-3, 1e-4, 1e-5, 1e-4])
    usual, small = (
        accuracies.measure(train_x * s, test_x * s, *labels, standardise=True) for s in (1, scale)
    )
    assert usual["standardised_probe_accuracy_percent"] > 80
    assert small["standardised_probe_accuracy_percent"] == usual["standardised_probe_accuracy_percent"]
    raw = accuracies.measure(train_x * scale, test_x * scale, *labels)
    assert raw["linear_probe_accuracy_percent"] < small["standardised_probe_accuracy_percent"]


def test_the_newest_checkpoint_is_scored(run_program, tiny_workdir):
    results, output = run_program(neighbours, workdir=str(tiny_workdir))
    assert results["steps"] == 12 and list(results["mu_by_step"]) == ["12"]
    assert results["data"]["test"] == "digits, split test, 297 examples"
    dimensions = {name: results[name]["dimension"] for name in ("mu", "hidden", "pixels")}
    assert dimensions == {"mu": 3, "hidden": 12, "pixels": 64}
    assert results["untrained_mu"]["dimension"] == 3
    assert results["untrained_mu"] != results["mu"] and results["untrained_hidden"] != results["hidden"]
    # scikit-learn's digits are easy: the nearest image is nearly always of the same digit.
    assert results["pixels"]["nearest_neighbour_accuracy_percent"] > 95
    assert {p.name for p in output.iterdir()} == {"neighbours.png", "neighbours.pdf", "results.json"}


def test_few_training_examples_are_all_shown(run_program, tiny_workdir):
    results, _ = run_program(neighbours, workdir=str(tiny_workdir), train_split="train[:7]")
    assert results["data"]["train"] == "digits, split train[:7], 7 examples"


def test_the_hidden_layer_is_what_the_head_sees_and_mu_the_code(tiny_workdir):
    """The head of the tiny encoder is dense, with a bias: mu is its product with the hidden layer."""
    model, split = inference.load(tiny_workdir), data.load("digits", "test")
    found = features.mu_and_hidden(model, split)
    head = model.params.encoder["stack"]["layer_2"]
    both = found["hidden"] @ np.asarray(head["kernel"]) + np.asarray(head["bias"])
    np.testing.assert_allclose(found["mu"], both[:, :3], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(found["mu"], inference.encode(model, split.x))


def test_a_curve_over_checkpoints(run_program, tiny_workdir):
    results, output = run_program(neighbours, workdir=str(tiny_workdir), checkpoints=["all"])
    assert list(results["mu_by_step"]) == list(results["hidden_by_step"]) == ["4", "8", "12"]
    assert results["mu"] == results["mu_by_step"]["12"]
    assert (output / "accuracy_by_step.pdf").exists()


def test_a_curve_leaves_out_checkpoints_that_cannot_be_read(tmp_path, tiny_workdir, caplog):
    workdir = shutil.copytree(tiny_workdir, tmp_path / "copy")
    truncate(workdir / "checkpoints" / "12")
    run = trained_runs.load(workdir)
    truncate(workdir / "checkpoints" / "4")
    assert [step for step, _ in neighbours.models(run, [4, 8, 12])] == [8]
    assert caplog.text.count("Left out") == 2
    with pytest.raises(UserError, match="can be read"):
        list(neighbours.models(run, [4, 12]))


def test_an_exported_model_is_scored_as_its_run(run_program, in_process, tiny_workdir, tmp_path):
    file = tmp_path / "model.safetensors"
    in_process(export, f"--workdir={tiny_workdir}", f"--output={file}")
    of_file, _ = run_program(neighbours, workdir=str(file))
    of_run, _ = run_program(neighbours, workdir=str(tiny_workdir))
    for name in ("steps", "mu", "hidden", "untrained_mu", "pixels"):
        assert of_file[name] == of_run[name]
    assert of_file["training"]["sha256"] == inference.about(file).sha256


def test_checkpoints_are_chosen_by_step(tiny_workdir):
    run = trained_runs.Run(tiny_workdir, None, inference.Model(None, None, None, step=12), {})
    for chosen, steps in ((None, [12]), (["all"], [4, 8, 12]), (["8", "4"], [4, 8])):
        assert neighbours.chosen_steps(run, chosen) == steps


def test_a_checkpoint_that_is_not_there_is_named(run_program, tiny_workdir, tmp_path, monkeypatch):
    with pytest.raises(UserError, match="no checkpoint of step 5"):
        run_program(neighbours, workdir=str(tiny_workdir), checkpoints=["4", "5"])
    with pytest.raises(UserError, match="no checkpoint of step none"):
        run_program(neighbours, workdir=str(tiny_workdir), checkpoints=[])
    shutil.copytree(tiny_workdir, tmp_path / "runs" / "digits")  # a run of the name of a model
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="leave --checkpoints out"):
        run_program(neighbours, workdir="digits", checkpoints=["all"])  # an exported model
