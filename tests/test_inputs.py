"""What a trained model takes, and the one sentence for what it does not."""

import jax
import numpy as np
import pytest
from conftest import load_config, make_tiny_config
from helpers import make_conditional_config, untrained
from PIL import Image

from ali_jax import build, data, inference, models
from ali_jax.errors import UserError
from ali_jax.inference import inputs


@pytest.fixture(scope="module")
def images():
    return data.load("digits", "test").x[:5]


@pytest.fixture(scope="module")
def model(images):
    config = make_tiny_config()
    config.model.init_std = 0.3
    return untrained(config, x=images)


@pytest.fixture(scope="module")
def conditional():
    x, y = np.zeros((2, 1, 1, 3), np.uint8), np.eye(2, 40, dtype=np.uint8)
    return untrained(make_conditional_config(1, 1, 3), x=x, attributes=y)


@pytest.mark.parametrize("dtype", ["int64", "int32", "int16", "uint16", "uint32"])
def test_whole_numbers_are_pixels_whatever_their_type(model, images, dtype):
    codes = inference.encode(model, images)
    np.testing.assert_array_equal(inference.encode(model, images.astype(dtype)), codes)


@pytest.mark.parametrize("dtype", ["float16", "float64", "float32"])
def test_floats_are_from_0_to_1_whatever_their_type(model, images, dtype):
    codes = inference.encode(model, images)
    given = (images / np.float32(255)).astype(dtype)
    np.testing.assert_allclose(inference.encode(model, given), codes, rtol=1e-2, atol=2e-3)


def test_lists_of_arrays_and_of_pil_images_are_images(model, images):
    codes = inference.encode(model, images)
    pil = [Image.fromarray(image[..., 0]) for image in images]
    coloured = [image.convert("RGB") for image in pil]
    deep = [Image.fromarray(image[..., 0].astype(np.uint16) * 256) for image in images]
    seen_through = [image.convert("RGBA") for image in pil]
    for given in (
        list(images),
        pil,
        coloured,
        deep,
        seen_through,
        [*images[:2], *pil[2:]],
        images[..., 0],
        jax.numpy.asarray(images),
    ):
        np.testing.assert_array_equal(inference.encode(model, given), codes)
    transparent = [Image.new("RGBA", (8, 8), (0, 0, 0, 0))]
    white = np.full((1, 8, 8, 1), 255, np.uint8)
    np.testing.assert_array_equal(inference.encode(model, transparent), inference.encode(model, white))


WRONG = [
    (lambda x: x.astype(np.float32), "x holds floats from 0 to 255; images are whole numbers"),
    (lambda x: x / 127.5 - 1, "x holds floats from -1 to 1; images are whole"),
    (lambda x: (x > 127).astype(int), "x holds whole numbers of no more than 1"),
    (lambda x: (x > 127).astype(np.uint8), "x holds whole numbers of no more than 1"),
    (lambda x: x.astype(np.int32) - 10, "x holds whole numbers from -10 to 245; images"),
    (lambda x: x.astype(np.int32) * 257, "x holds whole numbers from 0 to 65535"),
    (lambda x: x * np.nan, "x holds NaN"),
    (lambda x: x[:, :7], r"x has the shape \(5, 7, 8, 1\); this model takes \(N, 8, 8, 1\)"),
    (lambda x: x[0], r"x has the shape \(8, 8, 1\); .* of a single one pass x\[None\]"),
    (lambda x: np.repeat(x, 3, axis=3), r"takes \(N, 8, 8, 1\)"),
    (lambda x: x.swapaxes(1, 3), r"takes \(N, 8, 8, 1\)"),
    (lambda x: [x[0], x[1, :4]], "x makes no array"),
    (lambda x: [], "no examples"),
    (lambda x: x[:0], "no examples"),
    (lambda x: 5, "x is no array of examples, but int"),
    (lambda x: None, "x is no array|x holds values of type object|x makes no array"),
    (lambda x: "digits", "x is no array of examples, but str"),
    (lambda x: x.astype(str), "x holds values of type"),
    (lambda x: x + 1j, "x holds values of type complex"),
    (lambda x: Image.fromarray(x[0, ..., 0]), "single image; pass a list"),
    (
        lambda x: [Image.fromarray(x[0, ..., 0] - np.float32(99))],
        "An image of x cannot be used .its values are",
    ),
]


@pytest.mark.parametrize(("change", "words"), WRONG)
def test_what_are_no_images_of_the_model_is_named(model, images, change, words):
    """In every function that takes some, before anything is computed."""
    x = change(images)
    uses = (inference.encode, inference.reconstruct, inference.features)
    for use in (*uses, lambda model, x: inference.judge(model, x, np.zeros((5, 3)))):
        with pytest.raises(UserError, match=words) as error:
            use(model, x)
        assert "\n" not in str(error.value)


def test_bytes_of_no_image_are_from_0_to_255_as_in_training(images):
    config = make_tiny_config()
    config.model.x_shape = (64,)
    flat = images.reshape(-1, 64)
    model = untrained(config, x=flat)
    codes = inference.encode(model, flat)
    np.testing.assert_allclose(codes, inference.encode(model, flat / np.float32(255)), rtol=1e-5, atol=1e-6)
    noise = np.zeros((5, model.networks.encoder.noise_dim), np.float32)
    as_trained = model.networks.encoder.apply(
        model.variables("encoder"), models.unit_interval(jax.numpy.asarray(flat)), noise, None
    )
    np.testing.assert_allclose(codes, as_trained.mu, rtol=1e-5, atol=1e-6)


def test_bytes_are_not_copied(images):
    assert inputs.pixels(images, "x") is images


def test_codes_have_the_models_dimension_and_are_as_many_as_examples(model, images):
    for z in (np.zeros((5, 4)), np.zeros(3), np.zeros((5, 3, 1))):
        with pytest.raises(UserError, match=r"z has the shape .* this model takes \(N, 3\)"):
            inference.decode(model, z)
        with pytest.raises(UserError, match=r"takes \(N, 3\)"):
            inference.judge(model, images, z)
    with pytest.raises(UserError, match="5 examples and 4 of z"):
        inference.judge(model, images, np.zeros((4, 3)))
    with pytest.raises(UserError, match="pass the codes z with x"):
        inference.judge(model, images)
    np.testing.assert_array_equal(
        inference.decode(model, np.ones((2, 3), int)), inference.decode(model, [[1.0] * 3] * 2)
    )


def test_interpolations_are_between_as_many_images_in_one_step_or_more(model, images):
    with pytest.raises(UserError, match="5 examples and 4 of x2"):
        inference.interpolate(model, images, images[:4])
    with pytest.raises(UserError, match="steps is 0; it must be a whole number"):
        inference.interpolate(model, images, images, steps=0)


@pytest.mark.parametrize("count", [0, -1])
def test_no_samples_cannot_be_drawn(model, count):
    with pytest.raises(UserError, match=f"count is {count}; it must be a whole number"):
        inference.sample(model, jax.random.key(0), count)


def test_attributes_are_for_conditional_models_alone(model, conditional, images):
    with pytest.raises(UserError, match="not conditional; leave attributes out"):
        inference.encode(model, images, np.zeros((5, 40)))
    x = np.zeros((2, 1, 1, 3), np.uint8)
    for given, words in (
        (None, "is conditional; pass attributes"),
        (np.zeros((2, 39)), r"attributes has the shape \(2, 39\); this model takes \(N, 40\)"),
        (np.zeros((3, 40)), "2 examples and 3 of attributes"),
        (np.full((2, 40), -1), "attributes holds numbers from -1 to -1"),
        (np.full((2, 40), np.nan), "attributes holds NaN"),
    ):
        for use in (inference.encode, inference.features, inference.reconstruct):
            with pytest.raises(UserError, match=words):
                use(conditional, x, given)
    between = inference.interpolate(conditional, x, x, 1, [[0] * 40, [1] * 40])
    assert between.shape == (2, 2, 1, 1, 3)


def test_a_plain_gan_judges_examples_alone():
    networks = build.game(load_config("mixture", "gan")).networks
    with pytest.raises(UserError, match="looks at x alone; leave z out"):
        inference.judge(inference.Model(networks, None, None), np.zeros((3, 2)), np.zeros((3, 2)))
