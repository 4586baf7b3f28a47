"""What reconstructions keep, by a referee: the numbers, and the program."""

import types

import numpy as np
import pytest
from conftest import make_tiny_config
from helpers import make_conditional_config, untrained

from ali_jax import data, inference
from ali_jax.errors import UserError
from ali_jax.models.rows import dense
from experiments import reconstructions
from experiments.common import benches, costs, flops, quality, reconstruction, referee, trained_runs, verdicts

QUICK = referee.Settings(width=8, hidden=16, steps=20, shift=0)


def test_kept_is_right_by_the_truth_and_agreement_by_the_original():
    truth, of_originals, seen = np.array([0, 1, 2, 2]), np.array([0, 1, 1, 2]), np.array([0, 2, 1, 2])
    assert verdicts.accuracy(truth, of_originals) == {"accuracy_percent": 75.0}
    assert verdicts.kept(truth, of_originals, seen) == {"kept_percent": 50.0, "agrees_percent": 75.0}
    assert verdicts.is_lost(truth, of_originals, seen).tolist() == [False, True, True, False]


def test_attributes_are_balanced_each_by_itself():
    """The first: 1 of 4 has it, who says no is right on 3 of 4, half by balance. The second: all have it."""
    truth = np.array([[1, 1], [0, 1], [0, 1], [0, 1]])
    of_originals = truth.copy()
    seen = np.array([[0, 1], [0, 0], [0, 1], [0, 1]])
    found = verdicts.kept(truth, of_originals, seen)
    assert found["kept_percent"] == found["agrees_percent"] == 75.0
    assert found["kept_balanced_percent"] == 50.0  # of the first alone
    assert found["by_attribute"]["attribute_1"] == {
        "accuracy_percent": 75.0,
        "balanced_accuracy_percent": 50.0,
        "share_of_balanced_accuracy": 0.5,
    }
    second = found["by_attribute"]["attribute_2"]
    assert second["balanced_accuracy_percent"] is second["share_of_balanced_accuracy"] is None
    assert verdicts.is_lost(truth, of_originals, seen).tolist() == [True, True, False, False]
    assert verdicts.names(40)[20] == "Male"


@pytest.fixture(scope="module")
def bench():
    """Digits, and a referee that learns for a moment."""
    learn, judged = data.load("digits", "train[:300]"), data.load("digits", "test[:50]")
    return quality.prepare(learn, judged, referee.train(learn, QUICK))


def test_reconstructions_are_judged_by_what_the_referee_sees_in_them(bench, tiny_workdir, monkeypatch):
    """Those through mu are made to be the originals, those through a draw all the first image."""
    x = bench.judged.x / np.float32(255)
    guesses = {"through_mu": x, "through_a_draw": np.broadcast_to(x[:1], x.shape)}
    monkeypatch.setattr(reconstruction, "passes", lambda *given: [(np.arange(50), guesses)])
    found = quality.of_reconstructions(None, bench, None)
    perfect, one = found["through_mu"], found["through_a_draw"]
    assert perfect["mse"] == pytest.approx(0, abs=1e-12) and perfect["agrees_percent"] == 100
    assert perfect["kept_percent"] == bench.numbers["referee"]["accuracy_percent"]
    assert one["kept_percent"] == pytest.approx(100 * np.mean(bench.judged.label == bench.seen[0]))
    mean = np.mean(bench.learn.x, axis=0) / 255
    expected = np.mean((x - x[:1]) ** 2) / np.mean((x - mean) ** 2)
    assert one["mse_over_mean_training_image"] == pytest.approx(expected, rel=1e-5)


def test_images_as_their_own_samples_are_covered(bench):
    found = quality.score(bench, bench.features)
    assert found["frechet_distance_referee"] == pytest.approx(0, abs=1e-3)
    assert found["coverage_referee"] == found["precision_referee"] == found["recall_referee"] == 1
    far = quality.score(bench, bench.features + 1e3)
    assert far["coverage_referee"] == 0 and far["frechet_distance_referee"] > 1e6


def test_a_plain_gan_has_samples_alone(bench, tiny_workdir):
    model = inference.load(tiny_workdir)
    gan = model._replace(networks=model.networks._replace(encoder=None))
    found, whole = quality.measure(gan, bench), quality.measure(model, bench)
    assert set(found) == {"samples"} and found["samples"] == whole["samples"]
    assert set(whole["encoder"]) == {"mu", "hidden"} and "asked" not in found["samples"]


def test_a_conditional_model_is_asked_for_attributes():
    """Of random images and attributes, by a network that was never trained."""
    random = np.random.default_rng(0)
    x = random.integers(0, 256, (60, 8, 8, 3), dtype=np.uint8)
    split = data.Split(x, None, random.integers(0, 2, (60, 40), dtype=np.uint8))
    config = make_conditional_config(8, 8, 3)
    model = untrained(config, x=x[:4] / np.float32(255), attributes=split.attributes[:4])
    trained = referee.train(split, QUICK._replace(steps=1, batch_size=20))
    bench = quality.prepare(data.take(split, slice(30)), data.take(split, slice(30, 60)), trained)
    found = quality.measure(model, bench)
    assert set(found["samples"]["asked"]["by_attribute"]) == set(data.CELEBA_ATTRIBUTES)
    assert found["encoder"] == bench.numbers["encoder"] == {}
    again = found["reconstruction"]["through_mu"]
    columns = [again["by_attribute"][name]["accuracy_percent"] for name in data.CELEBA_ATTRIBUTES]
    assert again["kept_percent"] == pytest.approx(np.mean(columns))
    picture = reconstructions.draw(model, bench, 0)
    # 30 images in rows of 12, each 8 + 1 pixels high, enlarged 4 times.
    assert picture.shape == ((2 * 3 + 4) * 37 - 1, 12 * 33 - 1, 3)
    check_a_model_that_knows_of_no_attributes(bench)


def check_a_model_that_knows_of_no_attributes(bench):
    """On the same images, whose attributes the referee alone is told."""
    config = make_tiny_config()
    config.model.x_shape = (8, 8, 3)
    config.model.generator = (*config.model.generator[:-1], dense(192, nonlinearity="sigmoid"))
    model = untrained(config, x=bench.judged.x[:4])
    found = quality.measure(model, bench)
    assert (
        "asked" not in found["samples"] and len(found["reconstruction"]["through_mu"]["by_attribute"]) == 40
    )
    assert reconstructions.draw(model, bench, 0).ndim == 3


def test_a_red_bar_is_under_what_is_lost():
    row = reconstructions._row(np.zeros((2, 8, 8, 1), np.uint8), np.array([False, True]))
    assert row.shape == (12, 9, 8, 3) and not row[:2, :8].any()
    assert (row[0, 8] == 255).all() and (row[1, 8] == [255, 0, 0]).all() and (row[2:] == 255).all()


def test_seconds_are_those_of_the_lines_and_of_the_steps_after_them():
    """Batches of 10: 100 images/s are 10 steps a second."""
    lines = [
        {"step": 50, "images_per_second": 100.0},
        {"step": 50, "test_error": 0.5},
        {"step": 100, "images_per_second": 50.0},
    ]
    assert costs.seconds(lines, 10, 100) == 5 + 10
    assert costs.seconds(lines, 10, 75) == 5 + 5
    assert costs.seconds(lines, 10, 110) == 5 + 10 + 2
    assert costs.seconds([], 10, 100) is None


def test_the_first_line_after_a_resumption_is_of_its_own_steps():
    """Stopped after step 95, and compiled anew: 31 s for 5 steps, and not 10 times that for all 50."""
    rates = {50: (100.0, 50), 100: (50 / 31, 5), 150: (100.0, 50)}
    lines = [
        {"step": step, "images_per_second": rate, "averaged_steps": count}
        for step, (rate, count) in rates.items()
    ]
    assert costs.seconds(lines, 10, 150) == pytest.approx(5 + 4.5 + 31 + 5)


def test_a_step_costs_more_where_a_term_runs_a_network_again(tiny_config, monkeypatch):
    """The traced step of the paper's game holds all that the layers count, but for E's gradient of x."""
    plain = flops.of_traced_step(tiny_config)
    assert 0.8 * flops.of_step(tiny_config) < plain < 2 * flops.of_step(tiny_config)
    tiny_config.terms = {"adversarial": {}, "helpers:generate_twice": {}}
    forward = 2 * tiny_config.batch_size * flops.forward_macs(tiny_config)["generator"]
    assert flops.of_traced_step(tiny_config) - plain > forward


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(referee, "settings_for", lambda dataset: QUICK)


def test_the_program_measures_a_run(run_program, tiny_workdir, tmp_path, quick):
    file = tmp_path / "referee.npz"
    given = {"workdir": str(tiny_workdir), "referee": str(file), "examples": 100}
    results, output = run_program(reconstructions, **given)
    assert file.exists() and results["steps"] == results["cost"]["steps"] == 12
    assert results["data"] == {
        "learned_from": "digits, split train, 1,500 examples",
        "judged": "digits, split test, 297 examples",
    }
    assert results["examples"] == {"learned_from": 100, "judged": 100}
    model, alone = results["model"], results["data_alone"]
    assert set(model) == {"reconstruction", "encoder", "samples"}
    assert set(model["encoder"]) == set(results["untrained"]["encoder"]) == {"mu", "hidden"}
    assert model["encoder"] != results["untrained"]["encoder"]
    assert 0 <= model["reconstruction"]["through_mu"]["kept_percent"] <= 100
    assert alone["samples"]["coverage_referee"] > model["samples"]["coverage_referee"]
    assert results["cost"]["flops"] == 12 * results["cost"]["flops_per_step"] > 0
    assert results["cost"]["seconds"] > 0
    assert {p.name for p in output.iterdir()} == {
        *("results.json", "reconstructions.png", "reconstructions.pdf")
    }
    # The same file and seed again: the same numbers.
    assert run_program(reconstructions, **given)[0]["model"] == model


def test_examples_are_drawn_and_splits_too_small_or_of_points_are_named(run_program, tiny_workdir, quick):
    split = benches.choose(data.load("digits", "train"), 20, 0)
    assert len(split.x) == 20 and len(set(split.label)) > 5
    with pytest.raises(UserError, match="too few"):
        run_program(reconstructions, workdir=str(tiny_workdir), test_split="test[:3]")
    with pytest.raises(UserError, match="points"):
        points = data.load("mixture", "test")
        trained_runs.refuse_points(make_conditional_config(8, 8, 3), points)


def test_a_run_of_some_classes_is_measured_on_these(tiny_config, tmp_path, quick):
    tiny_config.classes = (3, 8)
    flags = types.SimpleNamespace(train_split=None, test_split=None, examples=100, seed=0)
    bench, described = benches.open_bench(tiny_config, flags, tmp_path / "referee.npz")
    assert {*bench.judged.label} == {3, 8}
    assert described["data"]["judged"].startswith("digits, split test, classes 3, 8, ")
    tiny_config.classes = (3,)
    with pytest.raises(UserError, match="are of one class, of which a referee learns nothing"):
        benches.open_bench(tiny_config, flags, tmp_path / "referee.npz")


@pytest.mark.parametrize(
    ("labels", "words"), [(None, "have classes, and those of test neither"), (0, "of one")]
)
def test_images_that_a_referee_cannot_be_asked_about_are_named_before_it_learns(labels, words, tmp_path):
    x, of_ten = np.zeros((60, 8, 8, 1), np.uint8), np.arange(60) % 10
    arrays = {"x_train": x, "x_test": x, "label_train": of_ten}
    if labels is not None:
        arrays |= {"label_train": 0 * of_ten, "label_test": 0 * of_ten}
    np.savez(tmp_path / "own.npz", **arrays)
    config = make_tiny_config()
    config.dataset = f"arrays:{tmp_path / 'own.npz'}"
    flags = types.SimpleNamespace(train_split="train", test_split="test", examples=100, seed=0)
    with pytest.raises(UserError, match=words):
        benches.open_bench(config, flags, tmp_path / "referee.npz")
    assert not (tmp_path / "referee.npz").exists()


def test_the_table_is_printed_for_classes_and_for_attributes(bench, tiny_workdir, capsys):
    numbers = quality.measure(inference.load(tiny_workdir), bench)
    reconstructions.print_table(numbers, bench.numbers, {"mu": numbers["encoder"]["mu"]})
    printed = capsys.readouterr().out
    kept = numbers["reconstruction"]["through_mu"]["kept_percent"]
    assert f"kept {kept:.2f} %" in printed and "untrained mu" in printed and "training images" in printed
    one = {"balanced_accuracy_percent": 80.0}
    reconstructions.print_attributes({"Male": one}, {"Male": {"balanced_accuracy_percent": None}})
    assert "Male                     balanced accuracy 80.00 %, on the originals -" in capsys.readouterr().out
