"""Nested arrays, and what is to be said of them as JSON, in one .npz; nothing in it is run by reading."""

import contextlib
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from flax import traverse_util

from ali_jax.errors import DAMAGED, UserError, first_line
from ali_jax.files import write_whole

# Also of whoever makes something of the contents of a foreign file.
FAULTS = (*DAMAGED, AttributeError, KeyError, OSError, TypeError)


def write(path: Path, about: Mapping[str, Any], arrays: Mapping[str, Any], remedy: str) -> None:
    """Writes nested dicts of arrays and what JSON can say of them, whole or not at all.

    Args:
      remedy: what to do where the file cannot be written, as "pass another path".

    Raises:
      UserError: it cannot be written.
    """
    buffer = io.BytesIO()
    np.savez(buffer, about=json.dumps(about), **traverse_util.flatten_dict(arrays, sep="/"))
    try:
        write_whole(path, buffer.getvalue())
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}); {remedy}.") from None


def read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """(what is said of them, nested arrays) of a file of `write`; raises FAULTS, so open it in `reading`."""
    with np.load(path, allow_pickle=False) as stored:
        arrays = dict(stored)
    about = json.loads(str(arrays.pop("about")))
    return about, traverse_util.unflatten_dict(arrays, sep="/")


@contextlib.contextmanager
def reading(path: Path, what: str, remedy: str) -> Iterator[None]:
    """Where `read` and what is made of it happen: their faults become one sentence.

    Raises:
      UserError: the file is no `what`; do as `remedy` says.
    """
    try:
        yield
    except FAULTS as error:
        raise UserError(f"{path} cannot be read as a {what} ({first_line(error)}); {remedy}.") from None
