"""As many examples at a time as a network takes."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

CHUNK = 500  # examples through a network at a time


def in_chunks(run: Callable, *arrays: np.ndarray | None, packing: int = 1) -> Any:
    """run(*arrays), at most CHUNK examples, in whole packs, at a time; see `each_chunk`."""
    count = len(arrays[0])
    size = min(max(CHUNK // packing, 1) * packing, count)
    chunks = each_chunk(run, *arrays, size=size, packing=packing)
    # A bar only where a terminal watches and it takes longer than a few seconds.
    shown = {"total": math.ceil(count / size), "delay": 5, "disable": None, "leave": False, "unit": "chunk"}
    return jax.tree.map(lambda *parts: np.concatenate(parts), *tqdm(chunks, **shown))


def each_chunk(run: Callable, *arrays: np.ndarray | None, size: int, packing: int = 1) -> Iterator[Any]:
    """run(*arrays) of `size` examples at a time, in NumPy's arrays, while the device works on the next ones.

    The last chunk is filled up with examples from the beginning, of which the result lacks what came of them:
    with passes of one size nothing compiles twice.

    Args:
      run: what it returns has a row for each pack of the examples that it is given.
      arrays: of as many examples each, one at least; None stands for an absent one.
      size: examples of a pass, whole packs.
      packing: examples of a pack.
    """
    count, before = len(arrays[0]), None
    for start in range(0, count, size):
        rows = slice(start, start + size)
        if start + size > count:
            rows = np.arange(start, start + size) % count
        made = run(*(None if a is None else a[rows] for a in arrays))
        if before is not None:
            yield jax.device_get(before)
        before = made
    yield jax.tree.map(lambda a: a[: (count - start) // packing], jax.device_get(before))
