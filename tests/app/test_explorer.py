"""What the page computes, in numbers and without a page."""

import io

import explorers
import jax
import numpy as np
import pytest
from PIL import Image

from ali_jax import data, inference
from ali_jax.app import explorer
from ali_jax.app.explorer import PRINCIPAL, REACH, STEPS, Explorer
from ali_jax.errors import UserError
from ali_jax.inference import directions

digits, faces = explorers.digits, explorers.faces  # fixtures


def saved(mode: str, size: tuple[int, int], kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size, "white").save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("mode", "size", "kind"),
    [("L", (8, 8), "png"), ("RGB", (300, 200), "jpeg"), ("RGBA", (3, 5), "webp"), ("1", (9, 9), "png")],
)
def test_an_image_of_any_kind_is_brought_to_the_models_shape(digits, mode, size, kind):
    picture = digits.read(saved(mode, size, kind), "mine")
    assert picture.x.shape == (8, 8, 1) and picture.x.dtype == np.uint8
    assert picture.x.min() > 250 and picture.row is None


def test_an_image_is_what_training_makes_of_it(digits, tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)).save(
        tmp_path / "x.png"
    )
    picture = digits.read((tmp_path / "x.png").read_bytes(), "x.png")
    np.testing.assert_array_equal(picture.x, data.pictures.read(tmp_path / "x.png", digits.frame))


@pytest.mark.parametrize("content", [b"", b"no image", saved("L", (50, 50), "png")[:60]])
def test_what_is_no_image_is_one_sentence(digits, content):
    with pytest.raises(UserError, match=r"mine\.png cannot be read as an image \(.*\); drop a PNG") as error:
        digits.read(content, "mine.png")
    assert "\n" not in str(error.value) and "object at" not in str(error.value)


def test_a_view_is_what_inference_makes_of_the_image(digits):
    picture = digits.picture(7)
    view = digits.view(picture)
    x = picture.x[None] / 255
    np.testing.assert_allclose(view.code, inference.encode(digits.model, picture.x[None])[0], atol=1e-5)
    again = inference.reconstruct(digits.model, picture.x[None])
    np.testing.assert_allclose(view.through_mu, again[0], atol=1e-5)
    np.testing.assert_allclose(view.error, np.mean((again - x) ** 2), rtol=1e-4)
    np.testing.assert_allclose(view.error_of_draws, np.mean((view.draws - x) ** 2), rtol=1e-4)
    np.testing.assert_allclose(
        view.error_of_mean, np.mean((digits.gallery.x.mean(0) / 255 - x) ** 2), rtol=1e-4
    )
    assert len(view.draws) == explorer.DRAWS and view.draws.std(axis=0).max() > 0.01


def test_neighbours_are_the_nearest_codes_but_the_images_own(digits):
    view = digits.view(digits.picture(7))
    distances = np.linalg.norm(digits.codes - digits.codes[7], axis=1)
    expected = [row for row in np.argsort(distances) if row != 7][: explorer.NEIGHBOURS]
    np.testing.assert_array_equal(view.rows, expected)
    np.testing.assert_allclose(view.distances, distances[expected], atol=1e-3)
    # The same image from elsewhere finds itself.
    stranger = digits.picture(7)._replace(row=None)
    assert digits.view(stranger).rows[0] == 7 and digits.view(stranger).distances[0] < 1e-3


def test_images_without_a_label_are_on_no_side_of_a_class(digits):
    known = np.arange(len(digits.gallery.x)) % 3 == 0
    some = digits.gallery._replace(label=np.where(known, digits.gallery.label, -1))
    found = Explorer(digits.model, some, digits.frame).directions["classes"]
    masks = {name: mask[known] for name, mask in digits.gallery.groups()["classes"].items()}
    for ours, alone in zip(found, directions.towards(digits.model, digits.codes[known], masks), strict=True):
        assert ours.name == alone.name
        np.testing.assert_allclose(ours.step, alone.step, rtol=1e-4, atol=1e-6)


def test_where_no_image_has_a_label_there_is_no_way_to_a_class(digits):
    of_none = digits.gallery._replace(label=np.full(len(digits.gallery.x), -1))
    assert "classes" not in Explorer(digits.model, of_none, digits.frame).directions


def test_sliders_add_up_and_their_ends_are_where_they_lead(digits):
    start = digits.draw(3)
    assert {*digits.directions} == {PRINCIPAL, "classes"} and len(digits.directions["classes"]) == 10
    amounts = {(PRINCIPAL, 0): 2.0, ("classes", 4): -0.5}
    steps = digits.directions[PRINCIPAL][0].step, digits.directions["classes"][4].step
    np.testing.assert_allclose(digits.move(start, amounts), start + 2 * steps[0] - 0.5 * steps[1], rtol=1e-5)
    np.testing.assert_array_equal(digits.move(start, {}), start)
    ends = digits.ends(start)
    assert ends[PRINCIPAL].shape == (3, 2, 8, 8, 1) and ends["classes"].shape == (10, 2, 8, 8, 1)
    for side, sign in enumerate((-1, 1)):
        there = digits.decode(digits.move(start, {("classes", 4): sign * REACH}))
        np.testing.assert_allclose(ends["classes"][4, side], there, atol=1e-5)


def test_draws_are_of_the_prior_and_differ_by_seed(digits):
    np.testing.assert_array_equal(digits.draw(1), digits.draw(1))
    assert not np.array_equal(digits.draw(1), digits.draw(2))
    expected = digits.model.networks.generator.sample_prior(jax.random.key(1), 1)[0]
    np.testing.assert_array_equal(digits.draw(1), expected)
    low, high = digits.usual_length
    lengths = np.linalg.norm(digits.codes, axis=1)
    assert np.mean((lengths >= low) & (lengths <= high)) == pytest.approx(0.9, abs=0.05)


def test_between_two_images_is_their_interpolation(digits):
    first, second = digits.picture(0), digits.picture(9)
    frames = digits.between(first, second)
    assert frames.shape == (STEPS + 1, 8, 8, 1)
    for frame, picture in ((frames[0], first), (frames[-1], second)):
        np.testing.assert_allclose(frame, digits.view(picture).through_mu, atol=1e-5)
    arc = digits.between(first, second, arc=True)
    np.testing.assert_allclose(arc[[0, -1]], frames[[0, -1]], atol=1e-4)
    assert np.abs(arc[STEPS // 2] - frames[STEPS // 2]).max() > 1e-5


def test_a_conditional_model_is_told_the_attributes_of_each_image(faces):
    assert {*faces.directions} == {PRINCIPAL}, "attributes are told, not walked along"
    picture = faces.picture(3)
    np.testing.assert_array_equal(picture.attributes, faces.gallery.attributes[3])
    one = picture.attributes[None]
    view = faces.view(picture)
    np.testing.assert_allclose(view.code, inference.encode(faces.model, picture.x[None], one)[0], atol=1e-5)
    np.testing.assert_allclose(
        view.through_mu, inference.reconstruct(faces.model, picture.x[None], one)[0], atol=1e-5
    )
    other = 1 - picture.attributes
    assert np.abs(faces.decode(view.code, other) - view.through_mu).max() > 1e-3
    there = faces.decode(faces.move(view.code, {(PRINCIPAL, 1): REACH}), other)
    np.testing.assert_allclose(faces.ends(view.code, other)[PRINCIPAL][1, 1], there, atol=1e-5)
    frames = faces.between(picture, faces.picture(5))
    np.testing.assert_allclose(frames[-1], faces.view(faces.picture(5)).through_mu, atol=1e-5)


def test_few_images_have_few_neighbours(digits):
    few = digits.gallery._replace(x=digits.gallery.x[:3], label=digits.gallery.label[:3])
    small = Explorer(digits.model, few, digits.frame)
    assert sorted(small.view(small.picture(1)).rows) == [0, 2]
    assert len(small.directions[PRINCIPAL]) == 2
