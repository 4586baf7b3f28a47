"""The array files of a decoded split: x.npy, label.npy, attributes.npy (those it has) and meta.json.

`prepare` and `own` write them once; from then on they are read, memory-mapped, without any library but NumPy.
verified.json says which state of the files was last compared with the checksums in meta.json.
"""

import contextlib
import json
import math
import shutil
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ali_jax.data.splits import Split
from ali_jax.errors import UserError
from ali_jax.files import write_whole

# Part of the path of decoded splits: a change of preprocessing or of file format needs a new number here, and
# then decodes again without disturbing programs that still read the old files.
FORMAT = 1


def read(folder: Path) -> Split:
    """A decoded split, memory-mapped, checked against its meta.json.

    The content of a file is read through once after every change of it, for its checksum: not at every start.

    Raises:
      UserError: a file is missing, or not what meta.json says.
    """
    described = _read_meta(folder)
    for field in described:
        if not (folder / f"{field}.npy").is_file():
            raise _damaged(folder / f"{field}.npy", "missing")
    _verify(folder, described)
    split = Split(*(_read_array(folder, field, described.get(field)) for field in Split._fields))
    lengths = {field: len(getattr(split, field)) for field in described}
    if len(set(lengths.values())) != 1:
        raise _damaged(folder / "meta.json", f"of arrays of several lengths ({lengths})")
    return split


def _read_meta(folder: Path) -> dict[str, dict]:
    """What meta.json says of each array: "shape", "dtype", "bytes" and, but for the oldest files, "crc32"."""
    try:
        meta = json.loads((folder / "meta.json").read_text())
    except (OSError, ValueError) as error:
        raise _damaged(folder / "meta.json", "missing or not readable") from error
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        raise _damaged(folder / "meta.json", f"not of format {FORMAT}")
    described = meta.get("arrays")
    if not isinstance(described, dict) or not {"x"} <= described.keys() <= {*Split._fields}:
        raise _damaged(folder / "meta.json", f"not about arrays of {', '.join(Split._fields)}")
    for field, array in described.items():
        if not isinstance(array, dict) or not {"shape", "dtype", "bytes"} <= array.keys():
            raise _damaged(folder / "meta.json", f"without shape, dtype and bytes of {field}")
    return described


def _verify(folder: Path, described: Mapping[str, dict]) -> None:
    """Compares sizes and, of files changed since the last time, checksums with those of meta.json.

    Where the folder cannot be written to, the last time is not noted, and checksums are compared every time.
    """
    stamps = {field: _stamp(folder / f"{field}.npy") for field in described}
    for field, array in described.items():
        if stamps[field][0] != array["bytes"]:
            fault = f"truncated or of another length ({stamps[field][0]:,} of {array['bytes']!r} bytes)"
            raise _damaged(folder / f"{field}.npy", fault)
    verified = folder / "verified.json"
    with contextlib.suppress(OSError, ValueError):
        if json.loads(verified.read_text()) == stamps:
            return
    for field, array in described.items():
        path = folder / f"{field}.npy"
        if "crc32" in array and checksum(path) != array["crc32"]:
            raise _damaged(path, "not as it was written")
    with contextlib.suppress(OSError):
        write_whole(verified, json.dumps(stamps).encode())


def _stamp(path: Path) -> list[int]:
    """[size, time of the last change], which no program can set back as it can st_mtime."""
    found = path.stat()
    return [found.st_size, found.st_ctime_ns]


def checksum(path: Path) -> int:
    """CRC-32 of a file."""
    crc = 0
    with open(path, "rb") as file:
        while block := file.read(2**22):
            crc = zlib.crc32(block, crc)
    return crc


def _read_array(folder: Path, field: str, described: dict | None) -> np.ndarray | None:
    if described is None:
        return None
    path = folder / f"{field}.npy"
    try:
        array = np.load(path, mmap_mode="r")
        # The dtype itself: of one with its bytes swapped the name is the same.
        agrees = [*array.shape] == described["shape"] and array.dtype == np.dtype(described["dtype"])
        agrees &= array.offset + array.nbytes == described["bytes"]
    except Exception as error:  # A damaged header may raise anything.
        raise _damaged(path, "not a readable array file") from error
    if not agrees or not array.flags.c_contiguous:
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
        from tqdm import tqdm

        raise OSError(f"no room for {tqdm.format_sizeof(needed, 'B')}")
    return {
        field: np.lib.format.open_memmap(folder / f"{field}.npy", "w+", dtype, shape)
        for field, (shape, dtype) in specs.items()
    }


def describe(folder: Path, arrays: Mapping[str, np.ndarray], source: str) -> None:
    """Writes the arrays that `create` gave out to disk, and the meta.json by which `read` checks them."""
    described = {}
    for field, array in arrays.items():
        array.flush()
        path = folder / f"{field}.npy"
        described[field] = {"shape": array.shape, "dtype": array.dtype.name, "bytes": path.stat().st_size}
        described[field]["crc32"] = checksum(path)
    meta = {"format": FORMAT, "source": source, "arrays": described}
    (folder / "meta.json").write_text(json.dumps(meta) + "\n")
