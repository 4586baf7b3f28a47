"""Checksums of the arrays of a state: what tells a checkpoint with a flipped bit from a good one."""

import zlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ali_jax.trees import by_name


def of_tree(tree: Any) -> dict[str, int]:
    """CRC-32 of the bytes of every array, by its path: {"params/encoder/stack/layer_1/kernel": 2837465, ...}.

    Of an array that several devices hold, each whole, it is that of the first one's copy.
    """
    held = jax.device_get({name: _first_copy(leaf) for name, leaf in by_name(tree).items()})  # all at once
    return {name: zlib.crc32(np.ascontiguousarray(a).reshape(-1).view(np.uint8)) for name, a in held.items()}


def _first_copy(array: jax.Array) -> jax.Array:
    if jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        array = jax.random.key_data(array)
    return array.addressable_data(0)


def first_difference(tree: Any, expected: Mapping[str, int]) -> str | None:
    """The path of the first array whose checksum is not the expected one, or that has none, if any."""
    return next((path for path, found in of_tree(tree).items() if expected.get(path) != found), None)
