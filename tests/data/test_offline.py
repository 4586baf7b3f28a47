import numpy as np
import pytest

from ali_jax import data


def test_digits_are_disjoint_scans_with_their_labels():
    load_digits = pytest.importorskip("sklearn.datasets", reason="scikit-learn is not installed").load_digits
    train, test = data.load("digits", "train"), data.load("digits", "test")
    assert (train.x.shape, test.x.shape, train.x.dtype) == ((1500, 8, 8, 1), (297, 8, 8, 1), np.uint8)
    bunch = load_digits()
    official = sorted((image.tobytes(), y) for image, y in zip(bunch.images, bunch.target, strict=True))
    ours = [
        ((image / 255 * 16).round().tobytes(), y)
        for split in (train, test)
        for image, y in zip(split.x[..., 0], split.label, strict=True)
    ]
    assert sorted(ours) == official


def test_five_gaussians_are_those_of_alice():
    train, test = data.load("five_gaussians", "train"), data.load("five_gaussians", "test")
    assert (train.x.shape, test.x.shape, train.x.dtype) == ((2_048, 2), (1_024, 2), np.float32)
    means = np.stack([train.x[train.label == k].mean(axis=0) for k in range(5)])
    np.testing.assert_allclose(means, [(0, 0), (2, 2), (-2, -2), (2, -2), (-2, 2)], atol=0.04)
    np.testing.assert_allclose((train.x - means[train.label]).std(axis=0), 0.2, rtol=0.05)
    assert not np.isin(test.x[:, 0], train.x[:, 0]).any(), "test is a draw of its own"


def test_mixture_has_25_components_numbered_row_by_row():
    train, test = data.load("mixture", "train"), data.load("mixture", "test")
    assert train.x.shape == (100_000, 2) and test.x.shape == (10_000, 2) and train.x.dtype == np.float32
    means = np.stack([train.x[train.label == k].mean(axis=0) for k in range(25)])
    expected = [(row, column) for row in (-4, -2, 0, 2, 4) for column in (-4, -2, 0, 2, 4)]
    np.testing.assert_allclose(means, expected, atol=0.005)
    np.testing.assert_allclose((train.x - means[train.label]).std(axis=0), 0.05, rtol=0.02)
    assert np.bincount(train.label).min() > 3_700
    assert not np.isin(test.x[:, 0], train.x[:, 0]).all(), "test is a draw of its own"
