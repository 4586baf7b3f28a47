"""How much of which pattern is where in an image."""

import numpy as np
import pytest

from ali_jax.anomaly import scaling, textures

STRIPES = np.tile([0.0, 1.0], 8)[None, :, None] * np.ones((16, 16, 1))  # vertical, of one pixel


def test_energies_by_hand():
    """Patches of 5x5 every second pixel, one axis that picks their middle: 6x6 middles, 4x4 places."""
    mean, axis = np.zeros(25, np.float32), np.eye(25, dtype=np.float32)[[12]]
    x = np.arange(256, dtype=np.float32).reshape(1, 16, 16, 1) / 255
    found = textures.energies(x, mean, axis)
    assert found.shape == (1, 16) and found.dtype == np.float32
    middles = x[0, 2:14:2, 2:14:2, 0]
    first = np.mean(np.square(middles[:2, :2]))  # six are two, two, one and one
    last = np.mean(np.square(middles[5:, 5:]))
    np.testing.assert_allclose(found[0, [0, -1]], np.log([first + 1e-5, last + 1e-5]), rtol=1e-5)


def test_one_by_one_or_all_at_once(monkeypatch):
    x = np.random.default_rng(0).uniform(size=(7, 12, 9, 3)).astype(np.float32)
    patterns = textures.patterns(x)
    at_once = textures.energies(x, *patterns)
    monkeypatch.setattr(textures, "VALUES", 1)
    np.testing.assert_allclose(textures.energies(x, *patterns), at_once, rtol=1e-5)


def test_a_missing_texture_is_strange_though_its_pixels_are_not():
    """Among striped images a grey one is nearest to their mean, and farthest by textures."""
    random = np.random.default_rng(0)
    striped = np.stack([np.roll(STRIPES, phase, axis=1) for phase in random.integers(0, 2, 120)]) * 0.8 + 0.1
    striped += random.uniform(-0.1, 0.1, striped.shape)
    made = scaling.components(striped[:60])
    count = len(made.axes)
    of_striped, of_grey = (made.apply(x) for x in (striped[60:], np.full((1, 16, 16, 1), 0.5)))
    assert np.abs(of_grey[:, :count]).sum() < np.abs(of_striped[:, :count]).sum(axis=1).min()
    assert np.square(of_grey[:, count + 1 :]).mean() > 3 * np.square(of_striped[:, count + 1 :]).mean()


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (3, 2, 7, 1), (2, 40, 33, 3)])
def test_images_of_any_size_have_textures(shape):
    x = np.random.default_rng(0).uniform(size=shape).astype(np.float32)
    found = textures.energies(x, *textures.patterns(x))
    assert found.shape[0] == shape[0] and np.isfinite(found).all()
