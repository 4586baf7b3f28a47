"""What examples are to the networks: rows of float32, each value about 0 and of spread about 1."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from sklearn.decomposition import PCA

from ali_jax.anomaly import textures
from ali_jax.data.splits import as_floats

FAR = 3.0  # standard deviations up to which columns stay as they are; beyond, they grow as a logarithm
TAILS = (0.01, 0.99)  # quantiles beyond which values count as these when columns are scaled
# A code for what is missing, as -999, may stand in more rows than tails hold. So values count as foreign to a
# column that are further from its middle half than this many of its widths, in up to such a share of rows.
# Long tails are no codes: of the tables in docs/anomaly.md none reaches as far with one value in a hundred.
FOREIGN_BEYOND, FOREIGN_SHARE = 150.0, 0.1
LEAST_CHANGE = 1e-3  # of a column that is constant: the share of its value that counts as its width
COMPONENTS = 128  # of images, at most
IMAGES_FOR_A_COMPONENT = 4
IMAGES = 2000  # that components are computed from, at most, and that are scaled at once
LEAST_COMPONENT = 1e-3  # their least width, a quarter of a grey level: of images that are all the same
# Up to here what an image is told by stays as it is, further than any of usual data sets goes. Where fitted
# images hardly differ, as a fixed camera's, others are thousands of widths away, where networks overflow.
FAR_OF_IMAGES = 40.0
LEAST_WIDTH = 0.05  # added to the spread of an energy's log


class Columns(NamedTuple):
    """Of a table: centre and width of each column, (columns,) float64."""

    centre: np.ndarray
    width: np.ndarray

    def apply(self, x: np.ndarray) -> np.ndarray:
        """(N, columns) -> float32; far values are drawn nearer, in their order."""
        return _drawn_nearer((x - self.centre) / self.width, FAR).astype(np.float32)

    def unseen(self, x: np.ndarray, others: np.ndarray) -> np.ndarray:
        """`apply`: a column's centre and width hardly depend on single rows. See `Components.unseen`."""
        return self.apply(x)

    def undo(self, scaled: np.ndarray) -> np.ndarray:
        """The inverse of `apply`: float64."""
        return _put_back(scaled.astype(np.float64), FAR) * self.width + self.centre


def _drawn_nearer(deviations: np.ndarray, far: float) -> np.ndarray:
    """Deviations, of which those beyond `far` grow as a logarithm: in their order."""
    beyond = np.maximum(np.abs(deviations) - far, 0)
    return np.clip(deviations, -far, far) + np.sign(deviations) * np.log1p(beyond)


def _put_back(nearer: np.ndarray, far: float) -> np.ndarray:
    """The inverse of `_drawn_nearer`."""
    beyond = np.expm1(np.maximum(np.abs(nearer) - far, 0))
    return np.clip(nearer, -far, far) + np.sign(nearer) * beyond


def columns(x: np.ndarray) -> Columns:
    """The scaling of rows (N, columns): by mean and spread of what is not among their most extreme 2 %.

    So a few huge values do not flatten the others, one at each end even of few rows, nor do those of a
    tenth of the rows where all the rest lie close together (`FOREIGN_BEYOND`). A column that is constant
    but for these is scaled by all of it; of one that is constant altogether, a change by more than a
    thousandth of its value is strange (where it is 0, by more than 0.001).
    """
    trimmed = np.clip(x, *_tails(x))
    few = _is_constant(np.mean(trimmed, axis=0), np.std(trimmed, axis=0))
    centre, width = (np.where(few, f(x, axis=0), f(trimmed, axis=0)) for f in (np.mean, np.std))
    least = LEAST_CHANGE * np.where(centre == 0, 1.0, np.abs(centre))
    return Columns(centre, np.where(_is_constant(centre, width), least, width))


def _tails(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(low, high) of each column: (columns,)."""
    low, high = _quantiles(x)
    quarter, three_quarters = np.quantile(x, (0.25, 0.75), axis=0)
    width = three_quarters - quarter
    # Where half of the values or more are one, as counts that are mostly 0: what nine in ten are within.
    same = np.flatnonzero(width == 0)
    away = np.abs(x[:, same] - quarter[same])
    width[same] = np.quantile(away, 1 - FOREIGN_SHARE, axis=0, method="lower")
    reach = FOREIGN_BEYOND * width
    least, most = quarter - reach, three_quarters + reach
    for n in np.flatnonzero((reach > 0) & ((low < least) | (high > most))):
        own = x[(least[n] <= x[:, n]) & (x[:, n] <= most[n]), n]
        if len(own) >= (1 - FOREIGN_SHARE) * len(x):
            low[n], high[n] = _quantiles(own)
    return low, high


def _quantiles(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(low, high) of rows or of one column: values that are there, as one between two may be huge."""
    low, high = (np.quantile(x, q, axis=0, method=m) for q, m in zip(TAILS, ("higher", "lower"), strict=True))
    return np.minimum(low, high), high


def _is_constant(centre: np.ndarray, width: np.ndarray) -> np.ndarray:
    """But for rounding."""
    return width <= 1e-12 * np.abs(centre)


class Components(NamedTuple):
    """Of images: their principal components, one value for what these leave out, and what textures they have.

    Networks of these train in seconds where those of pixels take minutes. Components keep their sizes among
    each other, so that errors count as in pixels; energies of textures (`textures.energies`) count alike.
    """

    mean: np.ndarray  # (H, W, C), in [0, 1]
    axes: np.ndarray  # (K, H * W * C)
    width: np.ndarray  # (): what components are divided by
    centre_left: np.ndarray  # (): mean of the log of what is left out
    width_left: np.ndarray  # ()
    patch_mean: np.ndarray  # (P,): see `textures.patterns`
    patch_axes: np.ndarray  # (patterns, P)
    centre_textures: np.ndarray  # (T,): means of energies
    width_textures: np.ndarray  # (T,)

    def apply(self, x: np.ndarray) -> np.ndarray:
        """(N, H, W, C), uint8 or floats in [0, 1] -> (N, K + 1 + T) float32."""
        return _in_parts(self._apply, x)

    def _apply(self, x: np.ndarray) -> np.ndarray:
        x = as_floats(x)
        along, left = _split(_deviations(x, self.mean), self.axes)
        found = textures.energies(x, self.patch_mean, self.patch_axes)
        found = (found - self.centre_textures) / self.width_textures
        scaled = np.concatenate([along / self.width, self._scaled(left)[:, None], found], axis=1)
        return _drawn_nearer(scaled, FAR_OF_IMAGES).astype(np.float32)

    def unseen(self, x: np.ndarray, others: np.ndarray) -> np.ndarray:
        """`apply` to images x (N, H, W, C), but for what is left out: by axes of the others (M, H, W, C).

        Of images that axes were computed from they leave out less than of new ones, by far where images are
        few and noisy. Scores of x as they are would make a threshold that many new ones are beyond.
        """
        some = as_floats(_evenly(others))
        mean = np.mean(some, axis=0)
        axes = _axes(_deviations(some, mean), len(self.axes))
        left = _in_parts(lambda part: _split(_deviations(as_floats(part), mean), axes)[1], x)
        scaled = self.apply(x)
        scaled[:, len(self.axes)] = _drawn_nearer(self._scaled(left), FAR_OF_IMAGES)
        return scaled

    def _scaled(self, left: np.ndarray) -> np.ndarray:
        return (left - self.centre_left) / self.width_left

    def undo(self, scaled: np.ndarray) -> np.ndarray:
        """The images of components, without what is left out: (N, H, W, C) float32."""
        along = _put_back(scaled[:, : len(self.axes)].astype(np.float64), FAR_OF_IMAGES)
        x = (along * self.width) @ self.axes
        return (x.reshape(len(x), *self.mean.shape) + self.mean).astype(np.float32)


def components(x: np.ndarray) -> Components:
    """The scaling of images (N, H, W, C)."""
    some = as_floats(_evenly(x))
    mean = np.mean(some, axis=0)
    deviations = _deviations(some, mean)
    axes = _axes(
        deviations, max(min(COMPONENTS, len(some) // IMAGES_FOR_A_COMPONENT, deviations.shape[1]), 1)
    )
    along, left = _split(deviations, axes)
    width = max(np.sqrt(np.mean(np.square(along))), LEAST_COMPONENT)
    scales = (width, np.mean(left), np.std(left) + 0.1)
    patches = textures.patterns(some)
    found = textures.energies(some, *patches)
    return Components(
        mean,
        axes,
        *map(np.float32, scales),
        *patches,
        np.mean(found, axis=0),
        np.std(found, axis=0) + LEAST_WIDTH,
    )


def _in_parts(scale: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> np.ndarray:
    """`scale` of all images x, of not so many at once that their floats and patches need much memory."""
    return np.concatenate([scale(x[start : start + IMAGES]) for start in range(0, len(x), IMAGES)])


def _evenly(x: np.ndarray) -> np.ndarray:
    """So many of the images x (N, H, W, C) as components are computed from, from the first to the last."""
    return x[:: -(-len(x) // IMAGES)]


def _axes(deviations: np.ndarray, count: int) -> np.ndarray:
    """The first principal axes of deviations (N, D), or as many as there are: (K, D) float32."""
    count = min(count, *deviations.shape)
    with np.errstate(invalid="ignore"):  # of images that are all the same
        pca = PCA(count, svd_solver="randomized", random_state=0).fit(deviations)
    return pca.components_.astype(np.float32)


def _deviations(x: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """(N, H * W * C), of images as floats."""
    return (x - mean).reshape(len(x), -1)


def _split(deviations: np.ndarray, axes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(what lies along the axes (N, K), log of the squared length of the rest (N,))."""
    along = deviations @ axes.T
    # Not the difference of two lengths, which of images that axes span is what rounding left of them.
    left = np.sum(np.square(deviations - along @ axes), axis=1)
    return along, np.log(np.maximum(left, 1e-6))
