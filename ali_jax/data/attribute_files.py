"""Attributes of the user's own images, from a table beside them: attributes.csv or attributes.npz."""

import csv
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ali_jax.errors import DAMAGED, UserError, first_line

NAMES = ("attributes.csv", "attributes.npz")


class Attributes(NamedTuple):
    """The table: names of the columns, and uint8 (A,) of zeros and ones by file."""

    file: Path
    columns: tuple[str, ...]
    of_file: Mapping[str, np.ndarray]

    def of(self, names: list[str], others: Iterable[str] = ()) -> np.ndarray:
        """uint8 (N, A) of images by their path, which the table may have without its first folders.

        Args:
          others: images of other splits, whose rows are not those of these.

        Raises:
          UserError: one of them is not in the table, or is one row there with another.
        """
        found: dict[str, str] = {}  # the name of an image by that of its row
        for name in names:
            in_table = self._in_table(name)
            if in_table is None:
                raise UserError(f"{self.file} has no row for {name}; add it, or remove the image.")
            self._check_alone(found, in_table, name)
            found[in_table] = name
        for name in others:
            self._check_alone(found, self._in_table(name), name)
        return np.stack([self.of_file[in_table] for in_table in found])

    def _check_alone(self, found: Mapping[str, str], in_table: str | None, name: str) -> None:
        if in_table in found:
            raise UserError(
                f"{self.file} has one row, {in_table}, for {found[in_table]} and {name}; name both there, by "
                "more of their folders."
            )

    def _in_table(self, name: str) -> str | None:
        """What the table calls an image, if it has it."""
        parts = name.split("/")
        rows = ("/".join(parts[start:]) for start in range(len(parts)))
        return next((in_table for in_table in rows if in_table in self.of_file), None)


def find(folder: Path) -> Path | None:
    """The table of a folder of images."""
    return next((folder / name for name in NAMES if (folder / name).is_file()), None)


def read(path: Path) -> Attributes:
    """The table of a file.

    A .csv has a line of names, the first of which is that of the files; a .npz has `names` (N,), `attributes`
    (N, A) and, if wanted, `columns` (A,). Values are 0 and 1, or -1 and 1.

    Raises:
      UserError: the file is neither, or has two rows for an image.
    """
    try:
        columns, names, values = (_read_csv if path.suffix == ".csv" else _read_npz)(path)
    except (*DAMAGED, KeyError, OSError, TypeError, csv.Error) as error:
        raise UserError(
            f"{path} is no table of attributes ({first_line(error)}); it needs a name and values of 0 and 1 "
            "for each image, as README.md says."
        ) from error
    if len({*columns}) < len(columns):
        (twice, _), *_ = Counter(columns).most_common(1)
        raise UserError(f"{path} has two columns called {twice}; rename one of them.")
    of_file = dict(zip(names, as_bits(values, str(path)), strict=True))
    if len(of_file) < len(names):
        (twice, _), *_ = Counter(names).most_common(1)
        raise UserError(f"{path} has two rows for {twice}; remove one of them.")
    return Attributes(path, columns, of_file)


def _read_csv(path: Path) -> tuple[tuple[str, ...], list[str], np.ndarray]:
    with open(path, newline="", encoding="utf-8-sig") as file:
        rows = csv.reader(file)
        _, *columns = next(rows, [""])
        names, values = [], []
        for name, *cells in filter(None, rows):
            if len(cells) != len(columns):
                found = f"{len(cells)} values for {len(columns)} attributes"
                raise ValueError(f"line {rows.line_num} has {found}")
            names.append(name)
            values.append(np.array(cells, np.float32))
    return tuple(columns), names, np.array(values, np.float32).reshape(len(names), len(columns))


def _read_npz(path: Path) -> tuple[tuple[str, ...], list[str], np.ndarray]:
    with np.load(path) as file:
        names, values = file["names"], file["attributes"]
        if values.ndim != 2 or len(values) != len(names):
            raise ValueError(f"attributes have the shape {values.shape} for {len(names)} names")
        columns = file["columns"] if "columns" in file else np.arange(values.shape[1])
        if len(columns) != values.shape[1]:
            raise ValueError(f"it has {len(columns)} columns for {values.shape[1]} attributes")
    return tuple(map(_text, columns)), [_text(name) for name in names], values


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def as_bits(values: np.ndarray, where: str) -> np.ndarray:
    """(N, A) of zeros and ones, or as CelebA has them of -1 and 1, as uint8.

    Raises:
      UserError: there are none, or others.
    """
    found = set(np.unique(values).tolist())
    if values.ndim != 2 or not values.size or not (found <= {0, 1} or found <= {-1, 1}):
        raise UserError(
            f"The attributes in {where} are not a table of 0 and 1 (or -1 and 1) with a row for each image; "
            "make them so, or call the table otherwise where it is none of these."
        )
    return (values > 0).astype(np.uint8)
