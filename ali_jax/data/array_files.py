"""The array files of a decoded split: x.npy, label.npy, attributes.npy (those it has) and meta.json.

`prepare` writes them once; from then on they are read, memory-mapped, without any library but NumPy.
"""

import json
import math
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ali_jax.data.splits import Split
from ali_jax.errors import UserError

# Part of the path of decoded splits: a change of preprocessing or of file format needs a new number here, and
# then decodes again without disturbing programs that still read the old files.
FORMAT = 1


def read(folder: Path) -> Split:
    """A decoded split, memory-mapped, checked against its meta.json.

    Raises:
        UserError: a file is missing, truncated, or not what meta.json says.
    """
    described = _read_meta(folder)["arrays"]
    return Split(*(_read_array(folder, field, described.get(field)) for field in Split._fields))


def _read_meta(folder: Path) -> dict:
    try:
        meta = json.loads((folder / "meta.json").read_text())
    except (OSError, ValueError) as error:
        raise _damaged(folder / "meta.json", "missing or not readable") from error
    if meta.get("format") != FORMAT:
        raise _damaged(folder / "meta.json", f"not of format {FORMAT}")
    return meta


def _read_array(folder: Path, field: str, described: dict | None) -> np.ndarray | None:
    if described is None:
        return None
    path = folder / f"{field}.npy"
    size = path.stat().st_size if path.exists() else 0
    if size != described["bytes"]:
        raise _damaged(path, f"missing or truncated ({size:,} of {described['bytes']:,} bytes)")
    try:
        array = np.load(path, mmap_mode="r")
    except (OSError, ValueError) as error:
        raise _damaged(path, "not a readable array file") from error
    if [list(array.shape), array.dtype.name] != [described["shape"], described["dtype"]]:
        raise _damaged(path, "not the array that meta.json describes")
    return array


def _damaged(path: Path, fault: str) -> UserError:
    return UserError(f"{path} is {fault}; delete the folder {path.parent} and run again to decode it anew.")


def create(folder: Path, specs: Mapping[str, tuple[tuple[int, ...], type]]) -> dict[str, np.ndarray]:
    """New array files in an existing folder, memory-mapped, to be filled and then described.

    Args:
        folder: where the files are to be.
        specs: the shape and the dtype of each field's array.

    Raises:
        OSError: the disk has no room for them.
    """
    needed = sum(math.prod(shape) * np.dtype(dtype).itemsize for shape, dtype in specs.values())
    # Checked first because writing to a memory-mapped file on a full disk kills the process.
    if shutil.disk_usage(folder).free < 1.01 * needed:
        raise OSError(f"no room for {needed / 1e9:.1f} GB")
    return {
        field: np.lib.format.open_memmap(folder / f"{field}.npy", "w+", dtype, shape)
        for field, (shape, dtype) in specs.items()
    }


def describe(folder: Path, arrays: Mapping[str, np.ndarray], source: str) -> None:
    """Writes the arrays that `create` gave out to disk, and the meta.json by which `read` checks them."""
    described = {}
    for field, array in arrays.items():
        array.flush()
        size = (folder / f"{field}.npy").stat().st_size
        described[field] = {"shape": array.shape, "dtype": array.dtype.name, "bytes": size}
    meta = {"format": FORMAT, "source": source, "arrays": described}
    (folder / "meta.json").write_text(json.dumps(meta) + "\n")
