"""How images are brought to one size."""

import numpy as np
import pytest

from ali_jax.data import tfds_sets

pytest.importorskip("PIL", reason="Pillow is not installed")


def patch(height: int, width: int, rows: slice, columns: slice) -> np.ndarray:
    """A white patch on black."""
    image = np.zeros((height, width, 3), np.uint8)
    image[rows, columns] = 255
    return image


def edges(image: np.ndarray) -> tuple[list[int], list[int]]:
    """The first and the last row of the white patch, and column."""
    return tuple(np.flatnonzero(image[..., 0].max(axis=axis) > 128)[[0, -1]].tolist() for axis in (1, 0))


def test_celeba_is_cropped_as_the_official_conversion():
    """To 64 wide x 78 high, of which the first 7 rows and the last 7 are dropped."""
    small = tfds_sets.resize_celeba(patch(218, 178, slice(109, 165), slice(30, 60)))
    assert small.shape == (64, 64, 3) and small.dtype == np.uint8
    # 109 x 78 / 218 = 39.0 and 165 x 78 / 218 = 59.0; 30 x 64 / 178 = 10.8 and 60 x 64 / 178 = 21.6
    assert edges(small) == ([39 - 7, 58 - 7], [11, 21])


@pytest.mark.parametrize(("height", "width"), [(64, 200), (500, 333), (40, 30), (65, 64)])
def test_imagenet_pictures_are_centred_squares(height, width):
    ramp = np.linspace(0, 255, width)[None, :, None] * np.ones((height, 1, 3))
    picture = tfds_sets.resize_imagenet(ramp.astype(np.uint8))
    assert picture.shape == (64, 64, 3)
    assert abs(picture[:, :32].astype(float).mean() + picture[:, 32:].mean() - 255) < 6


@pytest.mark.parametrize(("height", "width"), [(256, 512), (512, 256)])
def test_imagenet_pictures_show_all_of_the_shorter_side(height, width):
    around = slice(height // 2 - 64, height // 2 + 64), slice(width // 2 - 32, width // 2 + 32)
    small = tfds_sets.resize_imagenet(patch(height, width, *around))
    assert edges(small) == ([16, 47], [24, 39])  # a quarter of 128 x 64, in the middle
