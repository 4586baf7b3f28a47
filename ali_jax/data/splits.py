"""What a split of a data set is, whichever set it is of, and how its text names slices and sums of it."""

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from ali_jax.errors import UserError, first_line
from ali_jax.ranges import ROUNDING


class Split(NamedTuple):
    """All examples of a split, in a fixed order."""

    x: np.ndarray  # uint8 (N, H, W, C) images, memory-mapped but for digits, or float32 (N, 2) points
    label: np.ndarray | None  # int32 (N,), classes from 0; -1 where it is not known
    attributes: np.ndarray | None  # uint8 (N, A) in {0, 1}; of CelebA see tfds_sets.CELEBA_ATTRIBUTES


def require_split(split: Split, name: str) -> Split:
    """The examples of the data set `name`; lists in it become arrays.

    Raises:
      UserError: they are no `Split`, or its arrays do not fit each other, or no network takes them.
    """
    if not isinstance(split, Split):
        raise UserError(
            f"The data set {name} is of type {type(split).__name__} and no Split; make one with "
            "ali_jax.data.Split(x, label, attributes), the last two None where there are none."
        )
    arrays = {field: _as_array(given, field, name) for field, given in split._asdict().items()}
    if arrays["x"] is None:
        raise UserError(f"The data set {name} has no examples: x of its Split is None.")
    size = len(arrays["x"])
    for field, array in arrays.items():
        if array is not None and len(array) != size:
            raise UserError(f"{name} has {size} examples and {len(array)} of {field}; make as many.")
    _check_examples(arrays["x"], name)
    return Split(**arrays)


def _as_array(given: Any, field: str, name: str) -> Any:
    """An array of NumPy's or JAX's as it is, of anything else NumPy's; None for None.

    A column of pandas, as it is, would be indexed by its index, and not by place as its examples are.
    """
    try:
        array = given if given is None or isinstance(given, np.ndarray | jax.Array) else np.asarray(given)
    except (TypeError, ValueError) as error:  # a list of several shapes
        raise UserError(f"{field} of {name} makes no array ({first_line(error)}); make it one.") from error
    if array is not None and not array.shape:
        raise UserError(f"{field} of {name} is a single {type(given).__name__}; make it an array, (N, ...).")
    return array


def _check_examples(x: Any, name: str) -> None:
    floats = "float" in x.dtype.name  # bfloat16 too
    if x.dtype not in (np.uint8, bool) and not floats:
        raise UserError(f"The examples of {name} are {x.dtype}; make them uint8 images, or floats.")
    if x.ndim == 4 and x.dtype != bool and len(x):
        sample = x[:: -(-len(x) // 1000)]  # a mistake of scale is in all of them
        low, high = sample.min(), sample.max()
        if floats and (low < -ROUNDING or high > 1 + ROUNDING):
            raise UserError(
                f"The images of {name} are floats from {low:g} to {high:g}; make them uint8, or floats from "
                "0 to 1."
            )
        if not floats and high == 1:
            raise UserError(
                f"The images of {name} are uint8 of no more than 1, black among 0 to 255; if 1 is white, "
                "make them booleans or floats."
            )


def take(split: Split, rows: slice | np.ndarray) -> Split:
    """The examples of these numbers; of a slice, views."""
    return Split(*(None if array is None else array[rows] for array in split))


def as_floats(x: np.ndarray, dtype: type = np.float32) -> np.ndarray:
    """Examples as floats, uint8 images scaled to [0, 1]; on a device, networks do this by themselves."""
    return x.astype(dtype) / 255 if x.dtype == np.uint8 else x.astype(dtype)


class Part(NamedTuple):
    """A whole split, or a slice of it: "train[9:90%]" is ("train", "9", "90%")."""

    base: str
    start: str
    stop: str

    def rows(self, name: str, size: int, row_at: Callable[[int], int] | None = None) -> slice:
        """The rows of a whole split of the data set `name` that this part is.

        As in Python, negative bounds count from the end. `row_at` says at which row a percentage is; by
        default in proportion, rounded, as TFDS does.

        Raises:
          UserError: there are none, or not as many.
        """
        row_at = row_at or (lambda percent: round(percent * size / 100))

        def bound(text: str, default: int) -> int:
            if not text.endswith("%"):
                number = int(text or default)
                return number + size if number < 0 else number
            percent = int(text[:-1])
            percent += 100 if percent < 0 else 0
            return row_at(percent) if 0 <= percent <= 100 else -1

        start, stop = bound(self.start, 0), bound(self.stop, size)
        if not 0 <= start < stop <= size:
            raise UserError(
                f"'{self}' of {name} is empty or not within its {size:,} examples; choose other bounds."
            )
        return slice(start, stop)

    def __str__(self) -> str:
        return f"{self.base}[{self.start}:{self.stop}]" if self.start or self.stop else self.base


def parse(text: str) -> list[Part]:
    """The parts of which a split is the sum: one of "train[:1000]", two of "train+extra[:10%]".

    Raises:
      UserError: the text is no split.
    """
    if not isinstance(text, str):
        raise UserError(f"The split is {text!r}; name one, as 'train' or 'test[:1000]'.")
    bound = "(-?[0-9]{1,18}%?|)"
    found = [re.fullmatch(rf"(\w+)(?:\[{bound}:{bound}\])?", part) for part in text.split("+")]
    if None in found:
        raise UserError(
            f"{text!r} is not a split; write 'train', 'train[:1000]', 'train[90%:]' or 'train+extra'."
        )
    return [Part(*match.groups(default="")) for match in found]


def count_common(parts: Sequence[tuple[str, slice]], others: Sequence[tuple[str, slice]]) -> int:
    """Examples that are in two sums of parts, each the name of a whole split and rows of it."""
    pairs = [(a, b) for base, a in parts for other, b in others if base == other]
    return sum(max(0, min(a.stop, b.stop) - max(a.start, b.start)) for a, b in pairs)


def join(parts: Sequence[Split]) -> Split:
    """The examples of all parts, one part after the other; of several, a copy in memory.

    Raises:
      UserError: those of one part have another shape than those of another.
    """
    if len(parts) == 1:
        return parts[0]
    fields = [*zip(*parts, strict=True)]
    for name, field in zip(Split._fields, fields, strict=True):
        shapes = dict.fromkeys(array.shape[1:] for array in field if array is not None)
        if len(shapes) > 1:
            first, second, *_ = shapes
            raise UserError(
                f"A sum of splits has {name} of shape {first} and of {second} for an example; make them one."
            )
    return Split(*(None if any(a is None for a in field) else np.concatenate(field) for field in fields))


def check_split(name: str, split: str, known: list[str]) -> None:
    """Raises UserError if the data set `name` has no such split, only the `known` ones."""
    if split not in known:
        raise UserError(f"{name} has no split {split!r}; choose one of {', '.join(known)}.")
