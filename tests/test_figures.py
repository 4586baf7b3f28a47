"""The figures of a run as a command, and the numbers beside them."""

import jax
import numpy as np
import pytest
from conftest import load_config
from PIL import Image

from ali_jax import data, inference, train
from ali_jax.errors import UserError
from ali_jax.run import images
from experiments import figures
from experiments.common import reconstruction, trained_runs


@pytest.fixture(scope="module")
def run(tiny_workdir):
    return trained_runs.load(tiny_workdir)


@pytest.fixture(scope="module")
def validation():
    return data.load("digits", "test")


def cells(picture, rows, columns):
    """A grid taken apart: (rows, columns, H, W) of 8x8 images enlarged 4 times, 1 pixel between them."""
    assert picture.shape == (rows * 33 - 1, columns * 33 - 1, 3)
    picture = np.pad(picture, [(0, 1), (0, 1), (0, 0)])[..., 0]
    return picture.reshape(rows, 33, columns, 33).swapaxes(1, 2)[:, :, :32:4, :32:4]


def test_figures_have_the_published_sizes(run_program, tiny_workdir):
    results, output = run_program(figures, workdir=str(tiny_workdir))
    sizes = {name: Image.open(output / f"{name}.png").size for name in ("samples", "interpolations")}
    assert sizes == {"samples": (8 * 33 - 1, 8 * 33 - 1), "interpolations": (14 * 33 - 1, 4 * 33 - 1)}
    names = {f"{n}.{s}" for n in ("samples", "reconstructions", "interpolations") for s in ("png", "pdf")}
    assert {p.name for p in output.iterdir()} == names | {"results.json"}
    assert (output / "samples.pdf").read_bytes().startswith(b"%PDF")
    assert results["steps"] == 12 and results["data"] == "digits, split test, 297 examples"
    assert set(results["reconstruction"]) == {
        "through_mu",
        "through_a_draw",
        "mean_training_image",
        "another_validation_image",
    }


def test_mean_and_slerp_change_what_they_say(run_program, tiny_workdir):
    drawn = {}
    for flag in ("plain", "mean", "slerp"):
        _, output = run_program(
            figures, workdir=str(tiny_workdir), **({flag: True} if flag != "plain" else {})
        )
        drawn[flag] = {p.stem: p.read_bytes() for p in output.glob("*.png")}
    differ = {
        flag: {name for name in drawn["plain"] if drawn[flag][name] != drawn["plain"][name]} for flag in drawn
    }
    assert differ == {
        "plain": set(),
        "mean": {"reconstructions", "interpolations"},
        "slerp": {"interpolations"},
    }


def test_odd_columns_are_originals(run, validation):
    chosen = data.take(validation, np.arange(4))
    found = cells(figures.draw_reconstructions(run.model, chosen, 4, None), 2, 4)
    np.testing.assert_array_equal(found[:, 0::2].reshape(4, 8, 8), chosen.x[..., 0])
    again = images.to_uint8(inference.reconstruct(run.model, chosen.x))
    np.testing.assert_array_equal(found[:, 1::2].reshape(4, 8, 8), again[..., 0])


@pytest.mark.parametrize("path", [inference.linear, inference.spherical])
def test_interpolations_stand_between_their_originals(run, validation, path):
    first, second = (data.take(validation, rows) for rows in ([0, 1], [2, 3]))
    found = cells(figures.draw_interpolations(run.model, first, second, 5, None, path), 2, 7)
    for column, split in ((0, first), (-1, second)):
        np.testing.assert_array_equal(found[:, column], split.x[..., 0])
        again = inference.reconstruct(run.model, split.x)
        beside = found[:, 1 if column == 0 else -2]
        np.testing.assert_allclose(beside, images.to_uint8(again)[..., 0], atol=1)


def test_error_and_psnr_by_hand():
    x = np.zeros((2, 1, 2, 1))
    guess = np.array([0.1, 0.1, 0.0, 0.2]).reshape(2, 1, 2, 1)
    np.testing.assert_allclose(reconstruction.mse(x, guess), [0.01, 0.02])
    found = reconstruction.summarize(np.array([0.1, 0.001]))
    assert found == {"mse": pytest.approx(0.0505), "psnr_db": pytest.approx((10 + 30) / 2)}
    assert reconstruction.summarize(np.zeros(1))["psnr_db"] == 100


def test_errors_are_of_the_whole_split_and_not_of_the_image_itself(run, validation, monkeypatch):
    monkeypatch.setattr(inference.chunks, "CHUNK", 100)
    order = np.random.default_rng(0).permutation(297)
    train_split = data.load("digits", "train")
    found = reconstruction.errors(run.model, train_split, validation, order, jax.random.key(0))
    x = validation.x / 255
    mean = train_split.x.mean(axis=0) / 255
    assert found["mean_training_image"]["mse"] == pytest.approx(np.mean((x - mean) ** 2))
    again = inference.reconstruct(run.model, validation.x)
    assert found["through_mu"]["mse"] == pytest.approx(np.mean((x - again) ** 2), rel=1e-5)
    before = x[np.roll(order, 1)]
    assert found["another_validation_image"]["mse"] == pytest.approx(np.mean((x[order] - before) ** 2))
    assert found["through_a_draw"]["mse"] != found["through_mu"]["mse"]


def test_a_plain_gan_only_samples(run_program, tiny_config, tmp_path):
    gan = load_config("mixture", "gan").model
    tiny_config.model.encoder, tiny_config.model.discriminator_z = gan.encoder, gan.discriminator_z
    tiny_config.num_steps = 2
    train.train_and_evaluate(tiny_config, tmp_path / "gan")
    results, output = run_program(figures, workdir=str(tmp_path / "gan"))
    assert (output / "samples.png").exists() and not (output / "reconstructions.png").exists()
    assert "reconstruction" not in results


@pytest.mark.parametrize(
    "wrong",
    [
        {"columns": 7},
        {"rows": 0},
        {"between": 1},
        {"rows": 100},
        {"interpolations": 0},
        {"interpolations": 200},
    ],
)
def test_figures_that_cannot_be_drawn_are_refused(wrong, run_program, tiny_workdir):
    with pytest.raises(UserError, match=next(iter(wrong))):
        run_program(figures, workdir=str(tiny_workdir), **wrong)
