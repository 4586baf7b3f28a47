"""Random changes of images."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ali_jax import augmentation
from ali_jax.errors import UserError

KEY = jax.random.key(0)
IMAGES = jnp.asarray(np.random.default_rng(0).uniform(0.1, 0.9, (64, 8, 6, 3)), jnp.float32)


@pytest.mark.parametrize("change", [augmentation.translation, augmentation.cutout])
def test_a_share_that_is_no_pixel_is_told(change):
    images = jnp.zeros((2, 8, 6, 1))
    change(jax.random.key(0), images, 1 / 8)
    with pytest.raises(UserError, match=r"of 0\.05 is less than half a pixel of images of 8x6"):
        change(jax.random.key(0), images, 0.05)


def test_every_image_is_moved_by_an_own_shift_and_zeros_come_in():
    moved = augmentation.translation(KEY, IMAGES, 0.25)  # by up to 2 rows and 2 columns (1.5, rounded)
    seen = set()
    for image, other in zip(np.asarray(IMAGES), np.asarray(moved), strict=True):
        wide = np.zeros((8 + 4, 6 + 4, 3), np.float32)
        wide[2:-2, 2:-2] = image
        views = {(i, j): wide[i : i + 8, j : j + 6] for i in range(5) for j in range(5)}
        found = [shift for shift, view in views.items() if np.allclose(view, other, atol=1e-6)]
        assert len(found) == 1
        seen |= set(found)
    assert len(seen) > 15  # of 25


def test_a_box_of_half_the_side_is_cut_out_where_it_is_inside():
    cut = np.asarray(augmentation.cutout(KEY, IMAGES, 0.5))
    zero = (cut == 0).all(axis=3)
    np.testing.assert_array_equal(cut[~zero], np.asarray(IMAGES)[~zero])
    rows, columns = zero.any(axis=2).sum(axis=1), zero.any(axis=1).sum(axis=1)
    np.testing.assert_array_equal(zero.sum(axis=(1, 2)), rows * columns)  # a box
    assert rows.max() == 4 and columns.max() == 3 and zero.any(axis=(1, 2)).all()
    assert len({tuple(np.argwhere(z)[0]) for z in zero}) > 15


def test_colours_of_an_image_change_by_one_affine_map():
    """Brightness and contrast keep what is between the channels; saturation pulls them from their grey."""
    coloured = augmentation.colour(KEY, IMAGES, 1.0)
    grey, new_grey = (jnp.mean(x, axis=3).reshape(64, -1) for x in (IMAGES, coloured))
    for before, after in zip(grey, new_grey, strict=True):
        slope, shift = np.polyfit(before, after, 1)
        np.testing.assert_allclose(after, slope * before + shift, atol=1e-4)
        assert 0.5 <= slope <= 1.5 and abs(np.mean(after) - np.mean(before)) <= 0.25 + 1e-6
    still = augmentation.colour(KEY, IMAGES, 0.0)
    np.testing.assert_allclose(still, IMAGES, atol=1e-6)
    assert jnp.std(jnp.mean(coloured - IMAGES, axis=(1, 2, 3))) > 0.1  # every image its own


def test_noise_is_of_its_standard_deviation():
    np.testing.assert_allclose(jnp.std(augmentation.noise(KEY, IMAGES, 0.2) - IMAGES), 0.2, rtol=0.05)


def test_a_zoomed_ramp_is_a_ramp_of_the_crop():
    """Its slope is the share of the side that was kept, its ends are within it; in rows and columns apart."""
    rows, columns = jnp.meshgrid(jnp.arange(16.0), jnp.arange(16.0), indexing="ij")
    ramp = rows + 100 * columns
    zoomed = augmentation.zoom(KEY, jnp.tile(ramp[None, :, :, None], (64, 1, 1, 1)), 0.5)[..., 0]
    inner = zoomed[:, 1:-1, 1:-1]  # the outermost values may be of the border, repeated
    for axis, unit in ((1, 1), (2, 100)):
        slopes = jnp.diff(inner, axis=axis) / unit
        np.testing.assert_allclose(slopes, jnp.broadcast_to(slopes[:, :1, :1], slopes.shape), atol=1e-3)
        assert 0.5 - 1e-3 <= slopes.min() < 0.6 and 0.9 < slopes.max() <= 1 + 1e-3
    assert zoomed.min() >= 0 and zoomed.max() <= ramp.max() + 1e-2


def test_the_crop_of_a_zoom_is_within_the_image_and_comes_near_both_its_ends():
    """Pixel i is the interval from i to i + 1, its value that at its middle; so of the zoomed image's, too.

    The two middle values of a ramp give the crop: their difference is the share of the side that was kept,
    their mean, half a pixel on, the middle of the crop. Few pixels make the half of one matter.
    """
    rows, columns = jnp.meshgrid(jnp.arange(4.0), jnp.arange(6.0), indexing="ij")
    ramps = jnp.tile(jnp.stack([rows, columns], -1)[None], (64, 1, 1, 1))
    zoomed = np.asarray(augmentation.zoom(KEY, ramps, 0.5))
    for side, middle in ((4, zoomed[:, 1:3, 0, 0]), (6, zoomed[:, 0, 2:4, 1])):
        kept = side * (middle[:, 1] - middle[:, 0])
        first = middle.mean(axis=1) + 0.5 - kept / 2
        last = first + kept
        assert first.min() > -1e-4 and last.max() < side + 1e-4
        assert first.min() < 0.1 and last.max() > side - 0.1


def test_sheared_ramps_are_ramps_of_the_slants():
    """By hand: columns move by b times their distance; what comes there had moved by a times its row's."""
    rows, columns = jnp.meshgrid(jnp.arange(9.0), jnp.arange(9.0), indexing="ij")
    ramps = jnp.tile(jnp.stack([rows, columns], -1)[None], (64, 1, 1, 1)) - 4
    sheared = np.asarray(augmentation.shear(KEY, ramps, 0.25))
    np.testing.assert_allclose(sheared[:, 4, 4], 0, atol=1e-5)  # the middle stays
    b, a = sheared[:, 4, 5, 0], sheared[:, 5, 4, 1]
    inner = sheared[:, 3:6, 3:6]  # the rest may be of the border, repeated
    i, j = (np.asarray(ramps[0, 3:6, 3:6, axis]) for axis in (0, 1))
    down = i + b[:, None, None] * j
    np.testing.assert_allclose(inner[..., 0], down, atol=1e-5)
    np.testing.assert_allclose(inner[..., 1], j + a[:, None, None] * down, atol=1e-5)
    assert np.abs(a).max() <= 0.25 and np.abs(b).max() <= 0.25
    assert np.std(a) > 0.1 and np.std(b) > 0.1 and abs(np.corrcoef(a, b)[0, 1]) < 0.5


def test_a_shear_has_the_gradient_of_a_linear_map():
    """<y, Mx> = <M^T y, x>, and so once more; of images longer than wide, with borders that are repeated."""

    @jax.jit
    def sheared(x):
        return augmentation.shear(KEY, x, 0.6)

    x, y = (jax.random.normal(key, (5, 9, 6, 2)) for key in jax.random.split(KEY))
    _, pull = jax.vjp(sheared, x)
    _, pull_again = jax.vjp(lambda y: pull(y)[0], y)
    product = jnp.vdot(y, sheared(x))
    np.testing.assert_allclose(jnp.vdot(pull(y)[0], x), product, rtol=1e-5)
    np.testing.assert_allclose(pull_again(x)[0], sheared(x), atol=1e-5)


@pytest.mark.parametrize("change", augmentation.CHANGES)
def test_images_keep_their_type(change):
    """Where a run computes in bfloat16, it goes on in bfloat16."""
    changed = getattr(augmentation, change)(KEY, IMAGES.astype(jnp.bfloat16), 0.5)
    assert changed.dtype == jnp.bfloat16 and changed.shape == IMAGES.shape


@pytest.mark.parametrize("change, strength", [(augmentation.colour, 1.0), (augmentation.shear, 0.3)])
def test_what_is_many_sums_is_rounded_once(change, strength):
    """In bfloat16 the images are those of float32."""
    images = IMAGES.astype(jnp.bfloat16)
    exact = change(KEY, images.astype(jnp.float32), strength)
    np.testing.assert_array_equal(change(KEY, images, strength), exact.astype(jnp.bfloat16))


def test_a_box_of_no_width_is_told():
    with pytest.raises(UserError, match=r"cutout of 0\.1 .* of 64x4 and changes none; .* at least 0\.25"):
        augmentation.cutout(KEY, jnp.ones((4, 64, 4, 1)), 0.1)
    assert not jnp.array_equal(augmentation.translation(KEY, IMAGES[:, :, :4], 0.1), IMAGES[:, :, :4])


@pytest.mark.parametrize(
    ("change", "changed"), [("mirror", lambda image: image[:, ::-1]), ("negative", lambda image: 1 - image)]
)
def test_a_share_of_the_images_is_mirrored_or_made_negative(change, changed):
    turned = getattr(augmentation, change)(KEY, IMAGES, 0.5)
    same = [bool(jnp.array_equal(a, b)) for a, b in zip(turned, IMAGES, strict=True)]
    other = [bool(jnp.array_equal(a, changed(b))) for a, b in zip(turned, IMAGES, strict=True)]
    assert 15 < sum(same) < 49 and sum(same) + sum(other) == 64
