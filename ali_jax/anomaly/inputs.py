"""What comes in, checked: in one sentence each where it cannot be used."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Set
from typing import Any

import numpy as np
from sklearn.utils.validation import validate_data

from ali_jax.data.pictures import as_arrays
from ali_jax.errors import UserError, first_line
from ali_jax.inference.inputs import pixels

MOST_CHANNELS = 4  # of images three pixels high, or one
GREY = ("1", "L", "I", "I;16", "F")  # modes of Pillow's images
COPIED, OWN = 0.5, 0.9  # see `without_copies`
LARGEST = 1e100  # of a cell: sums of squares stay numbers
NO_TABLE = (str, bytes, os.PathLike, Mapping, Set, Iterator)


def checked(estimator: Any, x: Any, *, fitting: bool) -> np.ndarray:
    """x as an array: float64 (N, columns), or images (N, H, W, C), uint8 or float32 in [0, 1].

    What scikit-learn's estimators are asked to note of it (n_features_in_, feature_names_in_) is noted, or
    with `fitting` False compared.

    Raises:
      UserError: there is nothing in it that can be used as it is.
    """
    _refuse_no_table(x)
    x = _as_array(x) if isinstance(x, list | tuple) else x
    if np.ma.is_masked(x):
        raise UserError(
            "X has masked cells; fill them, as sklearn.impute.SimpleImputer does of NaN, or drop them."
        )
    ndim = getattr(x, "ndim", 2)
    if ndim > 4:
        raise UserError(
            f"X has the shape {x.shape}; give a table, (N, columns), or images, (N, H, W) or (N, H, W, C)."
        )
    if ndim in (3, 4):
        return _images(estimator, np.asarray(x), fitting)
    if not fitting and len(estimator.shape_) == 3:
        raise UserError(
            f"The detector was fitted on images of shape {estimator.shape_}; give it such, (N, H, W) or "
            "(N, H, W, C), also where it is one."
        )
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
    _refuse_gaps(x, names)
    return x


def _refuse_no_table(x: Any) -> None:
    """Raises UserError for a file's name, a mapping and the like, or a list of such."""
    first = x[0] if isinstance(x, list | tuple) and x else None
    for what, each in (("", x), ("a list of ", first)):
        if isinstance(each, NO_TABLE):
            raise UserError(
                f"X is {what}{type(each).__name__}; give a table of numbers, (N, columns), or images, "
                "(N, H, W) or (N, H, W, C), as an array, a data frame or a list of rows."
            )


def _as_array(x: Any) -> Any:
    """Lists as an array, Pillow's images grey where all are; what makes none stays, to be told later."""
    if any(hasattr(each, "getbands") for each in x):
        grey = all(getattr(each, "mode", "L") in GREY for each in x)
        x = [np.atleast_3d(each) for each in as_arrays(x, 1 if grey else 3, "X")]
    try:
        return np.asarray(x)
    except ValueError:  # rows of several lengths
        shapes = {shape: None for each in x if len(shape := getattr(each, "shape", ())) > 1}
        if len(shapes) > 1:
            first, second, *_ = shapes
            raise UserError(f"X holds images of {first} and of {second}; resize them to one shape.") from None
        lengths = {len(each): None for each in x if isinstance(each, list | tuple)}
        if len(lengths) > 1:
            first, second, *_ = lengths
            raise UserError(f"X holds rows of {first} and of {second} values; make them as long.") from None
        return x


def without_copies(x: np.ndarray) -> np.ndarray:
    """Rows (N, columns), each once, where most stand there more than once, as after oversampling.

    Rows that are held out of training would have their copies among those trained on, and say nothing of new
    ones. Rows that are alike by chance, as of few categories, all stay: of copies, some column holds hardly
    any value twice.
    """
    _, first, counts = np.unique(x, axis=0, return_index=True, return_counts=True)
    if len(first) < 2 or np.mean(counts > 1) < COPIED:
        return x
    each_once = x[np.sort(first)]
    of_its_own = max(len(np.unique(column)) for column in each_once.T)
    return each_once if of_its_own >= OWN * len(each_once) else x


def _refuse_words(x: Any) -> None:
    """Raises UserError naming the first column, of a data frame or an array of objects, of no numbers."""
    # Of arrays of what is no text either, scikit-learn wants the TypeError that NumPy has for it.
    wrong = (TypeError, ValueError) if hasattr(x, "columns") else ValueError
    for name, column in _columns(x):
        missing = [type(value).__name__ == "NAType" for value in column] if column.dtype == object else []
        if any(missing):
            raise UserError(
                f"Column {name!r} holds pandas.NA in row {missing.index(True)}; fill it, as "
                "sklearn.impute.SimpleImputer does, or drop it."
            )
        try:
            if column.dtype.kind in "mMc":
                raise ValueError(f"{column.dtype}")
            column.astype(np.float64)
        except wrong as error:
            raise UserError(
                f"Column {name!r} holds what is no number ({first_line(error)}); encode it, as "
                "pandas.get_dummies does, or drop it."
            ) from None


def _columns(x: Any) -> Iterator[tuple[Any, np.ndarray]]:
    if hasattr(x, "columns"):
        names = list(x.columns)
        if twice := [name for name, times in Counter(names).items() if times > 1]:
            raise UserError(f"Two columns are called {twice[0]!r}; rename one of them.")
        for name in names:
            if type(x[name].dtype).__name__ == "SparseDtype":
                raise UserError(f"Column {name!r} is sparse; pass X.sparse.to_dense().")
            yield name, np.asarray(x[name])
    elif getattr(x, "ndim", 0) == 2 and getattr(x, "dtype", None) is not None and x.dtype.kind in "OUSmM":
        yield from enumerate(np.asarray(x).T)


def _refuse_gaps(x: np.ndarray, names: Any) -> None:
    """Raises UserError naming the first column that holds NaN, infinity, or what squares to it."""
    usable = np.abs(x) <= LARGEST  # which NaN is not
    if usable.all():
        return
    column = int(np.argmin(usable.all(axis=0)))
    row = int(np.argmin(usable[:, column]))
    value = x[row, column]
    what = "NaN" if np.isnan(value) else "an infinity" if np.isinf(value) else f"{value:g}"
    raise UserError(
        f"Column {column if names is None else names[column]!r} holds {what} in row {row} (NaN, inf or "
        f"beyond {LARGEST:g} are {np.sum(~usable)} cells in all); fill them, as "
        "sklearn.impute.SimpleImputer does, or drop them."
    )


def _images(estimator: Any, x: np.ndarray, fitting: bool) -> np.ndarray:
    if x.dtype.kind not in "buif":  # complex numbers and times are numbers to NumPy
        raise UserError(f"Images must be numbers, and these are {x.dtype}; give uint8, or floats in [0, 1].")
    x = x[..., None] if x.ndim == 3 else x
    if 0 in x.shape[1:]:
        raise UserError(f"X has the shape {x.shape}: images without a pixel; give (N, H, W) or (N, H, W, C).")
    if x.shape[1] in (1, 3) and x.shape[3] > MOST_CHANNELS:
        raise UserError(
            f"X has the shape {x.shape}, as of images whose channels come first; give (N, H, W, C), as "
            "X.transpose(0, 2, 3, 1) makes of them."
        )
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
