"""What examples are to the networks."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from ali_jax.anomaly import scaling


def test_scaling_of_columns_is_undone_and_keeps_their_order():
    random = np.random.default_rng(0)
    x = random.normal(size=(500, 2)) * [1, 100] + [5, 0]
    x[0] = [1e6, -1e9]
    made = scaling.columns(x)
    scaled = made.apply(x)
    assert scaled.dtype == np.float32 and np.abs(scaled).max() < 30
    np.testing.assert_array_equal(np.argsort(x, axis=0), np.argsort(scaled, axis=0))
    np.testing.assert_allclose(np.std(scaled[1:], axis=0), 1, atol=0.1)
    np.testing.assert_allclose(made.undo(scaled)[1:], x[1:], rtol=1e-4, atol=1e-3)


def test_columns_that_are_constant_but_for_a_few_rows_are_scaled_by_all_they_hold():
    x = np.zeros((1000, 2))
    x[:5, 0] = 10.0  # fewer than the tails that are left out
    np.testing.assert_allclose(scaling.columns(x).width, [np.std(x[:, 0]), 1e-3])


@pytest.mark.parametrize("rows", [60, 1000])
def test_a_huge_value_does_not_hide_its_column(rows):
    x = np.random.default_rng(0).normal(size=(rows, 1))
    clean = scaling.columns(x).width
    x[7] = -(2.0**31)
    np.testing.assert_allclose(scaling.columns(x).width, clean, rtol=0.1)


@pytest.mark.parametrize("code", [-999.0, 1e9])
def test_a_code_for_missing_values_does_not_hide_its_column(code):
    x = np.random.default_rng(0).normal(size=(400, 3))
    clean = scaling.columns(x)
    x[:20, 1] = code
    x[:60, 2] = code  # of too many rows to be foreign
    made = scaling.columns(x)
    np.testing.assert_array_equal(made.width[0], clean.width[0])
    np.testing.assert_allclose(made.width[1], clean.width[1], rtol=0.15)
    np.testing.assert_allclose(made.centre[1], clean.centre[1], atol=0.15)
    assert made.width[2] > 100


def test_a_code_for_missing_values_does_not_hide_a_column_most_of_which_is_one_value():
    x = np.random.default_rng(0).binomial(1, [0.2, 0.05], size=(1000, 2)).astype(float)
    clean = scaling.columns(x)
    x[:50] = -999
    made = scaling.columns(x)
    np.testing.assert_allclose(made.width[0], clean.width[0], rtol=0.1)
    assert made.width[1] > 100  # of one value in nine rows of ten, which says nothing of how it differs


def test_the_least_change_of_a_constant_column_is_far():
    made = scaling.columns(np.full((50, 3), [0.0, 7.0, 0.1]))
    scaled = made.apply(np.array([[0.0, 7.0, 0.1], [0.05, 7.1, 0.101]]))
    np.testing.assert_allclose(scaled[0], 0, atol=1e-9)
    assert np.all(scaled[1] > 3)


def test_of_two_or_three_rows_too_there_is_a_width():
    for rows in (2, 3):
        np.testing.assert_allclose(scaling.columns(np.arange(rows)[:, None] * 4.0).centre, 2 * (rows - 1))
        assert scaling.columns(np.arange(rows)[:, None] * 4.0).width > 1


def make_images() -> np.ndarray:
    """Of two patterns in any mixture, and hardly anything else: uint8 (80, 4, 3, 2)."""
    random = np.random.default_rng(0)
    mixed = random.uniform(size=(80, 2)) @ random.uniform(size=(2, 24)) / 2
    return np.uint8(np.rint(255 * mixed)).reshape(80, 4, 3, 2)


def test_components_bring_images_back():
    images = make_images()
    made = scaling.components(images)
    scaled = made.apply(images)
    assert scaled.shape == (80, len(made.axes) + 1 + len(made.width_textures)) and scaled.dtype == np.float32
    np.testing.assert_allclose(np.mean(np.square(scaled[:, : len(made.axes)])), 1, rtol=1e-3)
    np.testing.assert_allclose(made.undo(scaled), images / 255, atol=1e-2)


def test_images_are_scaled_in_parts_as_they_are_together(monkeypatch):
    images = make_images()
    made = scaling.components(images)
    whole, unseen = made.apply(images), made.unseen(images, images[:40])
    monkeypatch.setattr(scaling, "_evenly", lambda x: x)
    monkeypatch.setattr(scaling, "IMAGES", 7)
    np.testing.assert_allclose(made.apply(images), whole, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(made.unseen(images, images[:40]), unseen, rtol=1e-4, atol=1e-4)


def test_what_components_leave_out_is_large_where_images_are_others():
    images = make_images()
    made = scaling.components(images)
    others = np.random.default_rng(1).integers(0, 256, images.shape, dtype=np.uint8)
    left = len(made.axes)
    assert made.apply(others)[:, left].min() > made.apply(images)[:, left].max()


def test_what_is_said_of_an_image_does_not_depend_on_its_place():
    """Where components span images, nothing is left out but rounding, which has no say."""
    images = load_digits().images.astype(np.float32)[:300] / 16
    made = scaling.components(images[..., None])
    assert len(made.axes) == 64  # as many as pixels
    turned = made.apply(images[::-1, ..., None])[::-1]
    np.testing.assert_allclose(turned, made.apply(images[..., None]), rtol=1e-4, atol=1e-4)


def test_uint8_and_floats_are_the_same_images():
    images = make_images()
    made = scaling.components(images)
    np.testing.assert_allclose(made.apply(images / 255), made.apply(images), atol=1e-3)


def test_images_that_are_all_the_same_have_components():
    images = np.tile(np.random.default_rng(0).integers(0, 255, (1, 8, 8, 1), dtype=np.uint8), (60, 1, 1, 1))
    made = scaling.components(images)
    scaled = made.apply(images)
    assert np.abs(scaled[:, : len(made.axes)]).max() < 0.01  # rounding is no difference
    others = made.apply(np.uint8([images[0] + 1, 255 - images[0]]))
    assert np.isfinite(others).all() and np.abs(others).max() > np.abs(scaled).max()


def test_far_components_are_drawn_nearer_in_their_order_and_put_back():
    images = np.uint8(100 + np.random.default_rng(0).integers(-1, 2, (200, 4, 4, 1)))
    made = scaling.components(images)
    along, far = len(made.axes), scaling.FAR_OF_IMAGES
    steps = np.linspace(0, 0.3, 7)[:, None] * made.axes[0]
    scaled = made.apply((made.mean.ravel() + steps).reshape(7, 4, 4, 1))[:, 0]
    assert np.all(np.diff(np.abs(scaled)) > 0) and far < np.abs(scaled[-1]) < far + 10
    alone = np.eye(1, made.apply(images).shape[1]) * scaled[:, None]
    undone = made.undo(alone).reshape(7, -1) - made.mean.ravel()
    np.testing.assert_allclose(undone, steps, atol=1e-4)
    assert np.abs(made.apply(images)[:, :along]).max() < far


def test_more_is_left_out_of_images_that_the_axes_did_not_see():
    """As of new ones: an image that is held out has the mean of new ones, not that of the fitted ones."""
    random = np.random.default_rng(0)
    images, new = (np.uint8(random.normal(100, 9, (n, 8, 8, 1))) for n in (100, 500))
    made = scaling.components(images)
    left = len(made.axes)
    held, kept = images[:20], images[20:]
    unseen, seen, wanted = made.unseen(held, kept), made.apply(held), made.apply(new)
    means = [np.mean(scaled[:, left]) for scaled in (seen, unseen, wanted)]
    assert abs(means[1] - means[2]) < 0.3 < means[2] - means[0]
    np.testing.assert_array_equal(np.delete(unseen, left, 1), np.delete(seen, left, 1))
