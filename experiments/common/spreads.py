"""Several runs as one number: functions of arrays, without JAX."""

from collections.abc import Sequence

import numpy as np


def mean_and_std(values: Sequence[float]) -> dict[str, float]:
    """Mean and population standard deviation, as the paper's code reports them."""
    return {"mean": float(np.mean(values)), "std": float(np.std(values))}
