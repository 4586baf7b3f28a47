"""The pictures of a run whose validation split is smaller than their grids."""

import jax
import numpy as np
import pytest
from conftest import load_config
from helpers import make_conditional_config, untrained

from ali_jax import data, inference
from ali_jax.models import rows
from ali_jax.run import images, pictures

CELL = 33  # 32 pixels and the line between two cells
RANDOM = np.random.default_rng(0)


def cells(picture):
    """A grid as (cells, 32, 32, 3), row by row."""
    picture = np.pad(picture, [(0, 1), (0, 1), (0, 0)])
    rows = picture.reshape(len(picture) // CELL, CELL, -1, CELL, 3).swapaxes(1, 2)
    return rows[:, :, :-1, :-1].reshape(-1, CELL - 1, CELL - 1, 3)


def white(cell):
    return (cell == 255).all()


@pytest.fixture
def five_digits():
    split = data.load("digits", "test")
    return split._replace(x=split.x[:5], label=split.label[:5])


def test_five_images_give_64_samples_and_five_pairs(tiny_config, five_digits):
    drawn = pictures.of_training(untrained(tiny_config, x=five_digits.x), five_digits)
    assert list(drawn) == ["samples", "reconstructions"]
    samples, pairs = cells(drawn["samples"]), cells(drawn["reconstructions"])
    assert len(samples) == 64 and not any(map(white, samples))
    assert len(pairs) == 16 and [white(cell) for cell in pairs] == [False] * 10 + [True] * 6
    enlarged = five_digits.x.repeat(4, axis=1).repeat(4, axis=2)
    np.testing.assert_array_equal(pairs[:10:2], np.broadcast_to(enlarged, (5, 32, 32, 3)))


def test_codes_that_are_not_finite_are_left_out_and_told(tiny_config, five_digits, caplog):
    """As of a sigma that overflows, of which a run may come back."""
    model = untrained(tiny_config, x=five_digits.x)
    encoder = jax.tree.map(lambda p: 1e30 * p, model.params.encoder)
    model = model._replace(params=model.params._replace(encoder=encoder))
    assert list(pictures.of_training(model, five_digits)) == ["samples"]
    assert "E gives validation images no finite codes" in caplog.text


def test_the_same_examples_and_noise_are_drawn_each_time(tiny_config, five_digits):
    model = untrained(tiny_config, x=five_digits.x)
    once, again = (pictures.of_training(model, five_digits) for _ in range(2))
    for name, picture in once.items():
        np.testing.assert_array_equal(picture, again[name])


def test_a_conditional_model_of_points_is_drawn():
    """One picture of data, codes, reconstructions and as many samples as there are rows of attributes."""
    x, attributes = RANDOM.normal(size=(6, 2)).astype(np.float32), RANDOM.integers(2, size=(6, 3))
    config = load_config("mixture")
    config.model.num_attributes = 3
    for stack in ("encoder", "generator", "discriminator_joint"):
        config.model[stack] = (rows.embed(4), *config.model[stack])
    model = untrained(config, x=x, attributes=attributes)
    drawn = pictures.of_training(model, data.Split(x, None, attributes))
    assert list(drawn) == ["mixture"] and drawn["mixture"].shape == (420, 1600, 3)


def test_a_conditional_model_draws_a_sample_for_each_of_five_rows_of_attributes():
    x = RANDOM.integers(256, size=(5, 32, 32, 3), dtype=np.uint8)
    attributes = RANDOM.integers(2, size=(5, 40), dtype=np.uint8)
    model = untrained(make_conditional_config(32, 32, 3), x=x, attributes=attributes)
    drawn = pictures.of_training(model, data.Split(x, None, attributes))
    samples, pairs = cells(drawn["samples"]), cells(drawn["reconstructions"])
    assert [white(cell) for cell in samples] == [False] * 5 + [True] * 3
    assert [white(cell) for cell in pairs] == [False] * 10 + [True] * 6
    np.testing.assert_array_equal(pairs[:10:2], x)
    # By the sampling and the encoding that `inference` offers: each image with its own attributes.
    key_z, key_noise = map(jax.random.key, range(2))
    expected = inference.sample(model, key_z, 5, attributes)
    np.testing.assert_allclose(samples[:5].astype(int), images.to_uint8(expected), atol=1)
    expected = inference.reconstruct(model, x, attributes, key_noise)
    np.testing.assert_allclose(pairs[1:10:2].astype(int), images.to_uint8(expected), atol=1)


def test_examples_of_other_shapes_and_labels_of_other_kinds_stop_no_run(tiny_config, five_digits):
    flat = data.Split(np.zeros((5, 8, 8), np.float32), None, None)
    assert pictures.of_training(untrained(tiny_config, x=five_digits.x), flat) == {}
    points = RANDOM.normal(size=(6, 2)).astype(np.float32)
    model = untrained(load_config("mixture"), x=points)
    for label in (np.eye(6), np.array(list("abcdef"))):
        assert list(pictures.of_training(model, data.Split(points, label, None))) == ["mixture"]
