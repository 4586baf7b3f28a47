"""What comes in, checked: in one sentence each where it cannot be used."""

from typing import Any

import numpy as np
from sklearn.utils.validation import validate_data

from ali_jax.errors import UserError, first_line
from ali_jax.inference.inputs import pixels


def checked(estimator: Any, x: Any, *, fitting: bool) -> np.ndarray:
    """x as an array: float64 (N, columns), or images (N, H, W, C), uint8 or float32 in [0, 1].

    What scikit-learn's estimators are asked to note of it (n_features_in_, feature_names_in_) is noted, or
    with `fitting` False compared.

    Raises:
      UserError: there is nothing in it that can be used as it is.
    """
    if getattr(x, "ndim", 2) in (3, 4):
        return _images(estimator, np.asarray(x), fitting)
    _refuse_words(x)
    names = getattr(x, "columns", None)
    x = validate_data(
        estimator,
        x,
        dtype=np.float64,
        reset=fitting,
        ensure_all_finite=False,
        ensure_min_samples=2 if fitting else 1,
    )
    if not fitting and estimator.shape_ != x.shape[1:]:
        raise UserError(f"The detector was fitted on images, of shape {estimator.shape_}; give it such.")
    _refuse_gaps(x, names)
    return x


def _refuse_words(x: Any) -> None:
    """Raises UserError naming the first column of a data frame that holds text."""
    for name in x.columns if hasattr(x, "columns") else ():
        try:
            np.asarray(x[name], np.float64)
        except (TypeError, ValueError) as error:
            raise UserError(
                f"Column {name!r} holds what is no number ({first_line(error)}); encode it, as "
                "pandas.get_dummies does, or drop it."
            ) from None


def _refuse_gaps(x: np.ndarray, names: Any) -> None:
    """Raises UserError naming the first column that holds NaN or infinity."""
    finite = np.isfinite(x)
    if finite.all():
        return
    column = int(np.argmin(finite.all(axis=0)))
    row = int(np.argmin(finite[:, column]))
    what = "NaN" if np.isnan(x[row, column]) else "an infinity"
    raise UserError(
        f"Column {column if names is None else names[column]!r} holds {what} in row {row} (NaN or inf are "
        f"{np.sum(~finite)} cells in all); fill them, as sklearn.impute.SimpleImputer does, or drop them."
    )


def _images(estimator: Any, x: np.ndarray, fitting: bool) -> np.ndarray:
    if not np.issubdtype(x.dtype, np.number) and x.dtype != bool:
        raise UserError(f"Images must be numbers, and these are {x.dtype}; give uint8, or floats in [0, 1].")
    x = x[..., None] if x.ndim == 3 else x
    if len(x) < (2 if fitting else 1):
        raise UserError(f"n_samples = {len(x)} images are too few; give at least {2 if fitting else 1}.")
    if not fitting and x.shape[1:] != estimator.shape_:
        raise UserError(
            f"Examples have the shape {x.shape[1:]}, but the detector was fitted on {estimator.shape_}; give "
            "it such."
        )
    if fitting:
        estimator.n_features_in_ = int(np.prod(x.shape[1:]))
    return pixels(x, "X")
