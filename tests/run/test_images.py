import numpy as np

from ali_jax.run import images


def test_grid_places_images_row_by_row_and_fills_with_white():
    values = np.arange(3, dtype=np.uint8)[:, None, None, None] * np.ones((1, 32, 32, 1), np.uint8)
    out = images.grid(values, columns=2)
    assert out.shape == (65, 65, 3) and out.dtype == np.uint8
    assert (out[0, 0], out[0, 40], out[40, 0])[1].tolist() == [1, 1, 1]
    assert out[40, 0].tolist() == [2, 2, 2] and out[40, 40].tolist() == [255] * 3


def test_of_channels_that_are_no_colours_the_first_are_shown():
    x = np.random.default_rng(0).integers(256, size=(3, 32, 32, 5), dtype=np.uint8)
    np.testing.assert_array_equal(images.grid(x, 2), images.grid(x[..., :3], 2))
    np.testing.assert_array_equal(images.grid(x[..., :2], 2), images.grid(x[..., :1], 2))


def test_small_images_are_enlarged_by_a_whole_factor():
    x = np.random.default_rng(0).random((1, 8, 8, 1))
    out = images.grid(x, columns=1)
    assert out.shape == (32, 32, 3)
    np.testing.assert_array_equal(out[::4, ::4, 0], np.round(x[0, :, :, 0] * 255))


def test_floats_are_clipped_and_rounded():
    x = np.array([-0.5, 0.5 / 255, 0.7 / 255, 1.5])
    np.testing.assert_array_equal(images.to_uint8(x), [0, 0, 1, 255])


def test_reconstructions_stand_right_of_their_originals():
    originals, again = np.full((2, 1, 1, 1), 10, np.uint8), np.full((2, 1, 1, 1), 20, np.uint8)
    np.testing.assert_array_equal(images.alternate(originals, again).ravel(), [10, 20, 10, 20])


def test_scatter_panels_draw_points():
    blank = images.scatter_panels({"a": (np.zeros((0, 2)), None, 6.0)})
    dots = images.scatter_panels({"a": (np.zeros((1, 2)), np.zeros(1), 6.0)})
    assert dots.shape == blank.shape and (dots != blank).any()
    of_one_value = images.scatter_panels({"a": (np.zeros((1, 1)), np.zeros(1), 6.0)})
    np.testing.assert_array_equal(of_one_value, dots)
