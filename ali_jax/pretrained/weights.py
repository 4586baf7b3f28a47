"""The file of an exported model: arrays and a header in JSON (safetensors), nothing that could run.

Arrays are called by role, kind and place, as "generator/params/stack/layer_1/kernel". The header says what
the model is (`About`), and has a checksum of all arrays and one of itself.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from ali_jax.errors import UserError, first_line
from ali_jax.files import write_whole
from ali_jax.roles import Roles
from ali_jax.run import workdirs
from ali_jax.trees import by_name, name_of

SUFFIX = ".safetensors"
FORMAT = "ali_jax model 1"
CHECK = "sha256_of_header"
KINDS = ("params", "batch_stats")


class About(NamedTuple):
    """What is known of a model, beside its arrays."""

    config: dict[str, Any]  # as in the config.json of its run
    step: int
    dataset: str  # and split
    command: str | None  # that began its training, where that is known
    # results.json of programs that measured it, and then its twins of other seeds
    scores: list[dict[str, Any]]
    sha256: str = ""  # of its arrays


def flatten(params: Roles, batch_stats: Roles, roles: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The arrays of these roles, by name."""
    flat = {}
    for kind, of_kind in zip(KINDS, (params, batch_stats), strict=True):
        for role in roles:
            for place, leaf in by_name(getattr(of_kind, role)).items():
                flat[f"{role}/{kind}/{place}"] = np.asarray(leaf)
    return flat


def as_roles(
    path: Path, arrays: Mapping[str, np.ndarray], shapes: tuple[Roles, Roles]
) -> tuple[Roles, Roles]:
    """Parameters and running statistics of these shapes, in float32; None of a role that is not there.

    Raises:
      UserError: an array is missing or of another shape.
    """
    there = {name.split("/")[0] for name in arrays}

    def fetch(role: str, kind: str, tree: Any) -> Any:
        if role not in there:
            return None
        return jax.tree_util.tree_map_with_path(
            lambda place, leaf: _checked(path, arrays, f"{role}/{kind}/{name_of(place)}", leaf), tree
        )

    return tuple(
        Roles(*(fetch(role, kind, tree) for role, tree in of_kind._asdict().items()))
        for kind, of_kind in zip(KINDS, shapes, strict=True)
    )


def _checked(path: Path, arrays: Mapping[str, np.ndarray], name: str, like: Any) -> jax.Array:
    if name not in arrays or arrays[name].shape != like.shape:
        found = arrays[name].shape if name in arrays else "missing"
        raise UserError(
            f"{path} does not hold what its config says: {name} is {found} and not {like.shape}; export the "
            "model again."
        )
    return jax.numpy.asarray(arrays[name], like.dtype)


def write(path: Path, arrays: Mapping[str, np.ndarray], about: About) -> None:
    """Writes the file, whole or not at all, with the checksum of its arrays in place of that of `about`."""
    from safetensors.numpy import save

    fields = about._replace(sha256=checksum(arrays))._asdict()
    header = {name: json.dumps(value) for name, value in fields.items()}
    write_whole(path, save(dict(arrays), {"format": FORMAT, CHECK: _check_of(header)} | header))


def read(path: Path) -> tuple[dict[str, np.ndarray], About]:
    """The arrays of a file, and what is known of them.

    Raises:
      UserError: it is damaged, or no file of `write`.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            header = file.metadata() or {}
            if header.get("format") != FORMAT:
                raise UserError(
                    f"{path} is no model of ali_jax; make one by `python -m ali_jax.export --workdir=...`."
                )
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
            said = {name: header[name] for name in About._fields}
            if header.get(CHECK) not in (None, _check_of(said)):  # not in files older than it is
                raise _damaged(path, "the checksum of its header is another")
            about = About(**{name: json.loads(value) for name, value in said.items()})
    except (OSError, KeyError, json.JSONDecodeError, SafetensorError) as error:
        raise _damaged(path, first_line(error)) from error
    if checksum(arrays) != about.sha256:
        raise _damaged(path, "its checksum is another")
    return arrays, about


def config_of(path: Path, about: About) -> ConfigDict:
    """The config that the header of a file says; a UserError where it is none."""
    try:
        return workdirs.as_config(about.config)
    except workdirs.NO_CONFIG as error:
        raise _damaged(path, f"its config: {first_line(error)}") from error


def _check_of(header: Mapping[str, str]) -> str:
    return hashlib.sha256("\0".join(header[name] for name in About._fields).encode()).hexdigest()


def checksum(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of all arrays, with their names, shapes and dtypes, in the order of their names."""
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.name} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _damaged(path: Path, fault: str) -> UserError:
    return UserError(f"{path} is no whole model of ali_jax ({fault}); export or copy it again.")
