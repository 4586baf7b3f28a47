"""What a split of a data set is, whichever set it is of."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ali_jax.errors import UserError

CELEBA_ATTRIBUTES = tuple(
    """5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose
    Black_Hair Blond_Hair Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee
    Gray_Hair Heavy_Makeup High_Cheekbones Male Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard
    Oval_Face Pale_Skin Pointy_Nose Receding_Hairline Rosy_Cheeks Sideburns Smiling Straight_Hair
    Wavy_Hair Wearing_Earrings Wearing_Hat Wearing_Lipstick Wearing_Necklace Wearing_Necktie Young""".split()
)


class Split(NamedTuple):
    """All examples of a split, in a fixed order."""

    x: np.ndarray  # uint8 (N, H, W, C) images, memory-mapped but for digits, or float32 (N, 2) points
    label: np.ndarray | None  # int32 (N,), classes from 0
    attributes: np.ndarray | None  # uint8 (N, 40) in {0, 1}, one column for each of CELEBA_ATTRIBUTES


def take(split: Split, rows: slice | np.ndarray) -> Split:
    """The examples of these numbers; of a slice, views."""
    return Split(*(None if array is None else array[rows] for array in split))


def join(splits: Sequence[Split]) -> Split:
    """The examples of one split after the other: copies, but for one split alone, which it gives back."""
    if len(splits) == 1:
        return splits[0]
    fields = zip(*splits, strict=True)
    return Split(*(None if arrays[0] is None else np.concatenate(arrays) for arrays in fields))


def check_split(name: str, split: str, known: list[str]) -> None:
    """Raises UserError if the data set `name` has no such split, only the `known` ones."""
    if split not in known:
        raise UserError(f"{name} has no split {split!r}; choose one of {', '.join(known)}.")
