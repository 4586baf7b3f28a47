"""A referee kept in a file, so that all runs on a data set are judged by the same one."""

import json
import zlib
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from ali_jax import data, files
from ali_jax.errors import UserError
from ali_jax.run import checksums, tree_files
from experiments.common import referee
from experiments.common.referee import Referee

FORMAT = 1  # of the file, and of the network that `referee.rows` makes of settings


def obtain(path: Path, config: ConfigDict, name: str, split: data.Split) -> Referee:
    """The referee in `path`; where there is no such file, one trained now and kept there.

    Args:
      config: of a run on the data set.
      name: of the split.
      split: its examples, with labels or attributes.

    Raises:
      UserError: the images tell nothing that a referee could learn, the file cannot be read or written, or
        it holds a referee of something else.
    """
    if referee.targets(split) is None:
        raise UserError(
            f"{config.dataset} has neither labels nor attributes for a referee to learn; "
            "experiments.figures and experiments.scores measure what needs none."
        )
    settings = referee.settings_for(config.dataset)
    about = describe(config.dataset, name, split, settings)
    if path.exists():
        return read(path, about)
    with files.writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        with files.locked(path.with_name(f".{path.name}.lock"), _tell_of_another):
            if path.exists():
                return read(path, about)
            trained = referee.train(split, settings)
            write(path, trained, about)
    return trained


def _tell_of_another() -> None:
    print("Waiting for another process that is training the referee.")


def describe(dataset: str, name: str, split: data.Split, settings: referee.Settings) -> dict:
    """All that makes a referee what it is, as JSON has it."""
    kind, y = referee.targets(split)
    return {
        "format": FORMAT,
        "data set": dataset,
        "split": name,
        "examples": len(y),
        "checksum of what they are": zlib.crc32(np.ascontiguousarray(y).tobytes()),
        "shape": list(split.x.shape[1:]),
        "kind": kind,
        "settings": settings._asdict(),
    }


def checksum(trained: Referee) -> int:
    """CRC-32 of all of its numbers."""
    return zlib.crc32(json.dumps(checksums.of_tree(jax.tree.map(jnp.asarray, trained.variables))).encode())


def write(path: Path, trained: Referee, about: dict) -> None:
    tree_files.write(path, about, {"outputs": trained.outputs, **trained.variables}, "pass another --referee")


def read(path: Path, about: dict) -> Referee:
    """The referee in `path`, which must be that of `about`."""
    with tree_files.reading(path, "referee", "remove it, or pass another --referee"):
        found, variables = tree_files.read(path)
        outputs = int(variables.pop("outputs"))
        differing = [name for name in about if found.get(name) != about[name]]
    if differing:
        name = differing[0]
        raise UserError(
            f"{path} holds a referee whose {name} is {found.get(name)}, not {about[name]}; "
            "pass another --referee."
        )
    return Referee(about["kind"], outputs, referee.Settings(**about["settings"]), variables)
