"""A fault in any one file of a checkpoint, a workdir, a decoded data set: noticed, and never believed."""

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from conftest import make_tiny_config

from ali_jax import train
from ali_jax.data import array_files
from ali_jax.data.splits import Split
from ali_jax.errors import UserError

from . import damage, states
from .tally import Case

FLIPS = 4  # of each file, in different places


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def kinds() -> list[tuple[str, object]]:
    return [(kind.__name__, kind) for kind in damage.KINDS] + [("flip", damage.flip)] * (FLIPS - 1)


def of_checkpoints(workdir: Path, scratch: Path, seed: int) -> Iterator[Case]:
    """Of the newest of a finished run's checkpoints: it reads as it was saved, or the one before does."""
    chance = random.Random(seed)
    newest, before = states.kept(workdir)[-1], states.kept(workdir)[-2]
    saved = {step: states.of(workdir, step) for step in (newest, before)}
    for path in files_of(workdir / "checkpoints" / str(newest)):
        for name, kind in kinds():
            inner = path.relative_to(workdir)

            def case(inner=inner, kind=kind) -> None:
                copy = fresh_copy(workdir, scratch)
                kind(copy / inner, chance)
                step, state = states.newest(copy)
                states.require_same(state, saved[step])

            yield f"{name} of {inner}", case


def of_workdirs(workdir: Path, scratch: Path, seed: int) -> Iterator[Case]:
    """Of a finished run's own files: it goes on, or says in one sentence why it does not."""
    chance = random.Random(seed)
    for path in (path for path in files_of(workdir) if path.parent == workdir):
        for name, kind in kinds():

            def case(path=path, kind=kind) -> None:
                copy = fresh_copy(workdir, scratch)
                kind(copy / path.name, chance)
                config = make_tiny_config()
                config.num_steps += 1
                try:
                    train.train_and_evaluate(config, copy)
                except UserError as error:
                    assert "\n" not in str(error)

            yield f"{name} of {path.name}", case


def of_data(scratch: Path, seed: int, flips: int = 50) -> Iterator[Case]:
    """Of the files of a decoded data set: it is read as it was written, or refused with what to do."""
    chance, written = random.Random(seed), scratch / "written"
    shutil.rmtree(written, ignore_errors=True)
    written.mkdir(parents=True)
    draws = np.random.default_rng(seed)
    specs = {"x": ((64, 8, 8, 1), np.uint8), "label": ((64,), np.int32), "attributes": ((64, 40), np.uint8)}
    arrays = array_files.create(written, specs)
    for array in arrays.values():
        array[:] = draws.integers(0, 2, array.shape)
    array_files.describe(written, arrays, "made up")
    whole = Split(*(np.array(array) for array in array_files.read(written)))
    for path in files_of(written):
        for name, kind in [*kinds(), *[("flip", damage.flip)] * flips]:

            def case(path=path, kind=kind) -> None:
                copy = fresh_copy(written, scratch)
                kind(copy / path.name, chance)
                try:
                    for found, right in zip(array_files.read(copy), whole, strict=True):
                        np.testing.assert_array_equal(found, right)
                except UserError as error:
                    assert "delete the folder" in str(error) and "\n" not in str(error)

            yield f"{name} of {path.name}", case


def fresh_copy(folder: Path, scratch: Path) -> Path:
    copy = scratch / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    return shutil.copytree(folder, copy)
