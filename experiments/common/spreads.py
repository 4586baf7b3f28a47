"""Several runs as one number: functions of arrays, without JAX."""

import statistics
from collections.abc import Mapping, Sequence

import numpy as np


def mean_and_std(values: Sequence[float]) -> dict[str, float]:
    """Mean and population standard deviation, as the paper's code reports them."""
    return {"mean": float(np.mean(values)), "std": float(np.std(values))}


def median_and_range(values: Sequence[float]) -> dict[str, float]:
    """Median, minimum and maximum, as of rates, which other programs make lower and nothing makes higher."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def told(of: Mapping[str, float], digits: int) -> str:
    """A `median_and_range` in words: "1.33 (1.31 to 1.35)"."""
    return "{:.{d}f} ({:.{d}f} to {:.{d}f})".format(of["median"], of["min"], of["max"], d=digits)


def of_finite(values: np.typing.ArrayLike) -> dict[str, float] | None:
    """Mean, standard deviation (of the values, not of a population they stand for), minimum and maximum.

    Of the values that are finite: where a run diverged there is no number. None where there is none at all.
    """
    values = np.asarray(values)
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    return {how: float(getattr(np, how)(values)) for how in ("mean", "std", "min", "max")}
