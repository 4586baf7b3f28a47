"""Variants of a config: which there are, what each changes, and how many steps of each cost the same."""

import json
import re
import runpy
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from ali_jax import models
from ali_jax.errors import UserError, first_line, nearest
from ali_jax.run import overrides

# Fields that a model may have, and that configs leave out.
OPTIONAL = tuple(f"model.{field}" for field in models.HEADS.values())


class Grid(NamedTuple):
    """What a file of a grid says."""

    variants: dict[str, dict[str, Any]]  # name -> what it changes, by field
    reference: str  # the variant whose steps are the budget

    def folder(self, workdir: Path, name: str, seed: int) -> Path:
        """Of a run."""
        return workdir / slug(name) / str(seed)


def load(path: str | None) -> Grid:
    """VARIANTS and, if there is one, REFERENCE (else the first variant) of a Python file.

    Raises:
      UserError: there is no such file, or it does not hold these.
    """
    if path is None:
        raise UserError("Which variants? Pass --grid=FILE, such as experiments/grids/digits.py.")
    try:
        found = runpy.run_path(path)
    except Exception as error:  # whatever the file raises
        raise UserError(f"--grid={path} cannot be run ({first_line(error)}); mend or replace it.") from None
    variants = found.get("VARIANTS")
    if not variants or not isinstance(variants, Mapping):
        raise UserError(f"--grid={path} has no VARIANTS; make it a dict of name -> fields that it changes.")
    for name, changes in variants.items():
        named = isinstance(changes, Mapping) and all(isinstance(each, str) for each in (name, *changes))
        if not named:
            raise UserError(
                f"--grid={path}: VARIANTS[{name!r}] is {changes!r}; name it by a text, and give a dict of "
                "fields by their names."
            )
    slugs = [slug(name) for name in variants]
    if twice := [name for name in variants if slugs.count(slug(name)) > 1 or not slug(name)]:
        raise UserError(
            f"--grid={path}: {twice[0]!r} and another of VARIANTS would share a folder; rename one of them."
        )
    reference = found.get("REFERENCE", next(iter(variants)))
    if not isinstance(reference, str) or reference not in variants:
        raise UserError(f"--grid={path}: REFERENCE is {reference!r}, which is none of VARIANTS; name one.")
    return Grid({name: dict(changes) for name, changes in variants.items()}, reference)


def slug(name: str) -> str:
    """The name as a folder: "latent regression, 0.3" -> "latent_regression_0.3"."""
    return re.sub(r"[^a-z0-9.]+", "_", name.lower()).strip("_.")


def configured(config: ConfigDict, name: str, changes: Mapping[str, Any]) -> ConfigDict:
    """A copy of the config with what a variant changes.

    Raises:
      UserError: a field that there is not, or a value of another kind than the field's.
    """
    config = config.copy_and_resolve_references()
    known = (*overrides.paths(config), *OPTIONAL)
    for field, value in changes.items():
        if field == "terms" or field.startswith("terms."):
            overrides.set_terms(config, ["", f"--config.{field}={_as_json(name, field, value)}"])
            continue
        if field not in known:
            raise UserError(
                f"VARIANTS[{name!r}] changes config.{field}, which there is not; "
                f"is it {nearest(field, known)}?"
            )
        _set(config, name, field, value)
    return config


def _as_json(name: str, field: str, value: Any) -> str:
    try:
        return json.dumps(value)
    except TypeError as error:  # numbers of NumPy's, say
        raise UserError(
            f"VARIANTS[{name!r}] sets config.{field} to {value!r} ({first_line(error)}); write plain "
            "numbers, texts and dicts."
        ) from None


def _set(config: ConfigDict, name: str, field: str, value: Any) -> None:
    *rooms, last = field.split(".")
    room = config
    for step in rooms:
        room = room[step]
    try:
        with room.unlocked():
            if value is None:  # takes rows away
                with room.ignore_type():
                    room[last] = None
            else:
                room[last] = value
    except TypeError:
        there = repr(room[last])
        if isinstance(room[last], ConfigDict):
            there = f"a group, of which config.{field}.{min(room[last])} is a field,"
        raise UserError(
            f"VARIANTS[{name!r}] sets config.{field} to {value!r}; the config has {there} there."
        ) from None


def steps_of(reference: str, budget_steps: int, flops: Mapping[str, float]) -> dict[str, int]:
    """How many steps of each variant cost as many FLOPs as `budget_steps` of the reference: at least 1.

    Args:
      flops: of a step, by variant.
    """
    budget = budget_steps * flops[reference]
    return {name: max(1, round(budget / each)) for name, each in flops.items()}
