"""As many examples at a time as a network takes."""

import jax
import numpy as np
from tqdm import tqdm

CHUNK = 500  # examples through a network at a time


def in_chunks(run, *arrays, packing: int = 1):
    """run(*arrays), at most CHUNK examples, in whole packs, at a time; None stands for an absent array.

    There is at least one example.
    """
    count = len(arrays[0])
    chunks, size = [], max(CHUNK // packing, 1) * packing
    # A bar only where a terminal watches and it takes longer than a few seconds.
    for start in tqdm(range(0, count, size), delay=5, disable=None, leave=False, unit="chunk"):
        part = [None if a is None else a[start : start + size] for a in arrays]
        chunks.append(jax.device_get(run(*part)))
    return jax.tree.map(lambda *parts: np.concatenate(parts), *chunks)
