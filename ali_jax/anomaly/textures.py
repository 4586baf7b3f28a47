"""How much of which pattern is where in an image: energies of patches along their principal components."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.decomposition import PCA

SIDE = 5  # pixels of a patch, at most
PATTERNS = 24  # components of patches, at most
GRID = 4  # places a side, at most, within which energies are averaged
STEPS_A_SIDE = 14  # patches begin every second pixel, or on large images about so often along a side
IMAGES = 300  # that patterns are found in, at most
VALUES = 2**23  # of patches that are held at once
FAINTEST = 1e-5  # energy of what nobody sees in images in [0, 1]


def patterns(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(mean (P,), axes (K, P)) of the patches, of P values each, of images x (N, H, W, C) in [0, 1]."""
    some = _patches(x[:: -(-len(x) // IMAGES)])
    flat = some.reshape(-1, some.shape[-1])
    mean = np.mean(flat, axis=0)
    count = min(PATTERNS, *flat.shape)
    with np.errstate(invalid="ignore"):  # of images that are all the same
        return mean, PCA(count, svd_solver="full").fit(flat - mean).components_.astype(np.float32)


def energies(x: np.ndarray, mean: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """Log of the mean square along each axis, in each place of the grid: (N, places * K) float32.

    Pixels hardly tell a smooth image from those of a rich texture, since what is missing costs nothing
    (Nalisnick et al., 2019); of energies, too little is as far from the mean as too much. Patches along their
    principal components are the first layer of PCANet (Chan et al., 2015).

    Args:
      x: (N, H, W, C) in [0, 1].
      mean, axes: of `patterns`.
    """
    at_once = max(VALUES // (x[0].size * SIDE**2), 1)
    parts = [x[start : start + at_once] for start in range(0, len(x), at_once)]
    return np.concatenate([_energies(part, mean, axes) for part in parts])


def _energies(x: np.ndarray, mean: np.ndarray, axes: np.ndarray) -> np.ndarray:
    squares = np.square((_patches(x) - mean) @ axes.T)
    rows, columns = (np.array_split(np.arange(n), min(GRID, n)) for n in squares.shape[1:3])
    places = [np.mean(squares[:, r][:, :, c], axis=(1, 2)) for r in rows for c in columns]
    return np.log(np.concatenate(places, axis=1) + FAINTEST, dtype=np.float32)


def _patches(x: np.ndarray) -> np.ndarray:
    """(N, rows, columns, P)."""
    side, step = min(SIDE, *x.shape[1:3]), max(2, min(x.shape[1:3]) // STEPS_A_SIDE)
    windows = sliding_window_view(x, (side, side), axis=(1, 2))[:, ::step, ::step]
    return windows.reshape(*windows.shape[:3], -1)
