import jax
import numpy as np
import pytest
from conftest import load_config
from PIL import Image

from ali_jax import data, inference, train
from ali_jax.errors import UserError
from ali_jax.run import images
from experiments import attributes
from experiments.common import trained_runs


def named(y):
    return {name for name, on in zip(data.CELEBA_ATTRIBUTES, y, strict=True) if on}


def test_the_48_vectors_are_those_of_the_figure():
    """By the indices of the paper's list: Attractive 2, Male 20, Young 39, ..."""
    y = attributes.sequence().reshape(4, 12, 40)
    assert y.dtype == np.uint8
    rows = [{2, 20, 39}, {2, 20}, {2, 39}, {2}]
    columns = [{}, {8}, {11}, {9}, {8, 33}, {9, 5}, {9, 28}, {9, 4}, {8, 31}, {8, 31, 21}]
    columns += [{8, 31, 21, 15}, {8, 31, 21, 15, 35}]
    for i, j in np.ndindex(4, 12):
        assert set(np.flatnonzero(y[i, j])) == rows[i] | set(columns[j])


def test_turning_over_changes_one_attribute_and_keeps_one_colour_of_hair():
    y = np.stack([attributes.vector(("Male", "Brown_Hair")), attributes.vector(("Smiling",))])
    before = y.copy()
    assert [named(row) for row in attributes.turned_over(y, "Male")] == [{"Brown_Hair"}, {"Smiling", "Male"}]
    blond = attributes.turned_over(y, "Blond_Hair")
    assert [named(row) for row in blond] == [{"Male", "Blond_Hair"}, {"Smiling", "Blond_Hair"}]
    assert named(attributes.turned_over(blond, "Blond_Hair")[0]) == {"Male"}
    np.testing.assert_array_equal(y, before)


@pytest.fixture(scope="module")
def conditional_workdir(tmp_path_factory):
    """Dense layers, two steps of training on random images."""
    config = load_config("celeba_conditional")
    config.batch_size, config.num_steps = 4, 2
    config.model.x_shape, config.model.latent_dim = (32, 32, 3), 4
    flatten = ("flatten", 1, 1, 32 * 32 * 3, False, 0.0, "linear")
    embed = config.model.generator[0]
    config.model.encoder = (flatten, embed, ("dense", 1, 1, 8, False, 0.0, "linear", "tied"))
    config.model.generator = (embed, ("dense", 1, 1, 32 * 32 * 3, False, 0.0, "sigmoid", "tied"))
    config.model.discriminator_x, config.model.discriminator_z = (flatten,), ()
    config.model.discriminator_joint = (("dense", 1, 1, 1, False, 0.0, "linear", "tied"),)
    random = np.random.default_rng(0)
    x = random.integers(256, size=(50, 32, 32, 3), dtype=np.uint8)
    split = data.Split(x, None, random.integers(2, size=(50, 40), dtype=np.uint8))
    workdir = tmp_path_factory.mktemp("runs") / "conditional"
    train.train_and_evaluate(config, workdir, {"train": split, "validation": split})
    return workdir, split


def test_a_sequence_and_edited_faces_are_drawn(conditional_workdir, run_program, monkeypatch):
    workdir, split = conditional_workdir
    monkeypatch.setattr(data, "load", lambda *args: split)
    results, output = run_program(attributes, workdir=str(workdir), faces=3)
    assert results["steps"] == 2 and len(results["sequence_columns"]) == 12
    assert Image.open(output / "sequence.png").size == (12 * 33 - 1, 4 * 33 - 1)
    model = trained_runs.load(workdir).model
    z = np.asarray(model.networks.generator.sample_prior(jax.random.key(0), 1))
    one_by_one = [inference.decode(model, z, y[None])[0] for y in attributes.sequence()]
    grid = images.grid(np.stack(one_by_one), 12)
    np.testing.assert_allclose(np.asarray(Image.open(output / "sequence.png")).astype(int), grid, atol=1)
    editing = np.asarray(Image.open(output / "editing.png"))
    assert editing.shape == (3 * 33 - 1, 10 * 33 - 1, 3)
    first = split.x[np.random.default_rng(0).permutation(50)[0]]
    np.testing.assert_array_equal(editing[:32, :32], first)
    assert {p.suffix for p in output.iterdir()} == {".png", ".pdf", ".json"}
    with pytest.raises(UserError, match="from 1 to the 50"):
        run_program(attributes, workdir=str(workdir), faces=51)


def test_a_model_without_attributes_is_named(run_program, tiny_workdir):
    with pytest.raises(UserError, match="knows no attributes"):
        run_program(attributes, workdir=str(tiny_workdir))
