"""Images of the user's own, written once into array files (`array_files`), whatever they come from.

The order of the rows is that of `key_of`, which hashes the name of an example: a percentage of the rows is a
range of hashes, so that an example stays on its side of it whatever is added or removed. Blocks are decoded
on all cores; where a run was interrupted the next one goes on; and no more than a few blocks are in memory.
"""

import collections
import errno
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ali_jax.data import array_files, once
from ali_jax.data.pictures import Frame
from ali_jax.data.splits import Split
from ali_jax.errors import UserError, first_line
from ali_jax.paths import local

logger = logging.getLogger(__name__)

FULL = (errno.ENOSPC, errno.EDQUOT)
_BLOCK = 64  # examples decoded at a time: 0.8 MB of 64x64 images
PENDING, WRITTEN, UNREADABLE = range(3)  # in `state`, of each row
NAMES = "names.json"  # beside the arrays: of classes, and of what was unreadable
_NAMED = 5  # unreadable files in a message, at most


class Source(NamedTuple):
    """Examples to be written: of N rows, in ascending order of their keys."""

    name: str  # of the data set
    keys: np.ndarray  # uint64 (N,)
    known: Mapping[str, np.ndarray]  # "label" and "attributes", where there are any, without decoding
    decode: Callable[[int], np.ndarray]  # row -> uint8 (H, W, C); what it raises makes the row unreadable
    describe: Callable[[int], str]  # row -> what a message calls it
    classes: Sequence[str] = ()  # names of the labels


def key_of(name: str) -> int:
    """Where an example is in the order of all that could be, in [0, 2**64): from its name alone."""
    return int.from_bytes(hashlib.blake2b(os.fsencode(name), digest_size=8).digest(), "big")


def store(path: Path, data_dir: str | None) -> Path:
    """Where what is decoded of a folder is kept; of a file, below its name."""
    if data_dir:
        mark = hashlib.blake2b(os.fsencode(path), digest_size=4).hexdigest()
        return local(data_dir, "data_dir").absolute() / "own" / f"{path.name}-{mark}"
    return path / ".ali_jax" if path.is_dir() else path.parent / ".ali_jax" / path.name


def folder_of(kept: Path, split: str, frame: Frame, *contents: object) -> Path:
    """The folder of a decoded split in a `store`: another one if its `contents` or the frame are others."""
    digest = hashlib.sha256("\0".join(map(str, contents)).encode(errors="surrogateescape")).hexdigest()
    return kept / f"v{array_files.FORMAT}" / f"{split}-{frame}" / digest[:16]


def load(folder: Path, frame: Frame, source: Callable[[], Source]) -> tuple[Split, Callable[[int], int]]:
    """The split of `folder`, memory-mapped, written the first time; and the row at which a percentage is.

    Raises:
      UserError: too many of the examples are unreadable, or the files cannot be written.
    """
    try:
        if not folder.exists():
            with once.locked(folder):
                if not folder.exists():
                    _write(folder, frame, _found(source))
    except OSError as error:
        raise UserError(
            f"Cannot write {folder} ({error.strerror or error}); make room or allow writing there, or set "
            "--config.data_dir to a folder of your own."
        ) from error
    split = array_files.read(folder)
    _refuse_what_was_allowed(folder, len(split.x), frame.unreadable)
    keys = _read_keys(folder / "keys.npy", len(split.x))

    def row_at(percent: int) -> int:
        return len(keys) if percent == 100 else int(np.searchsorted(keys, np.uint64((percent << 64) // 100)))

    return split, row_at


def _refuse_what_was_allowed(folder: Path, size: int, share: float) -> None:
    """Raises UserError where more images were unreadable, when they were decoded, than may be now."""
    try:
        bad = json.loads((folder / NAMES).read_text())["unreadable"]
    except (OSError, ValueError, KeyError, TypeError):  # names alone: the images are there without them
        return
    _refuse_share(len(bad), size + len(bad), share, f"in {folder.parent}", bad[:_NAMED])


def _found(source: Callable[[], Source]) -> Source:
    try:
        return source()
    except OSError as error:
        if error.errno in FULL:  # a file of arrays is unpacked to be read
            raise
        raise UserError(
            f"Cannot read {error.filename or 'the examples'} ({error.strerror or error}); allow reading "
            "there, or pass another data set."
        ) from error


def _read_keys(path: Path, size: int) -> np.ndarray:
    """uint64 (size,), ascending; a UserError where they are none."""
    try:
        keys = np.load(path)
        agrees = (keys.shape, keys.dtype) == ((size,), np.uint64) and bool(np.all(keys[1:] >= keys[:-1]))
    except (OSError, ValueError, EOFError):
        agrees = False
    if not agrees:
        raise UserError(
            f"{path} is damaged; delete the folder {path.parent} and run again to decode it anew."
        )
    return keys


def _write(folder: Path, frame: Frame, source: Source) -> None:
    """Decodes what is pending in the partial folder beside `folder`, which then becomes it."""
    partial = folder.with_name(f".{folder.name}.partial")
    specs = _specs(source, frame, len(source.keys))
    arrays = _open(partial, specs | {"state": ((len(source.keys),), np.uint8)})
    _fill(arrays, source, frame)
    state = arrays.pop("state")
    for field, values in {"keys": source.keys, **source.known}.items():
        arrays[field][:] = values
    readable = np.flatnonzero(state == WRITTEN)
    whole = partial
    if len(readable) < len(state):
        whole = folder.with_name(f".{folder.name}-whole")
        arrays = _only(readable, arrays, whole, _specs(source, frame, len(readable)))
    arrays.pop("keys").flush()
    array_files.describe(whole, arrays, source.name)
    (whole / "state.npy").unlink(missing_ok=True)
    names = {
        "classes": [*source.classes],
        "unreadable": [source.describe(r) for r in np.flatnonzero(state == UNREADABLE)],
    }
    (whole / NAMES).write_text(json.dumps(names) + "\n")
    once.publish(whole, folder)
    if whole != partial:
        shutil.rmtree(partial, ignore_errors=True)
    # What was decoded, or half of it, of files that are no longer there as they were.
    for former in folder.parent.iterdir():
        if former.is_dir() and former != folder and not former.name.startswith(f".{folder.name}-"):
            once.remove_unless_written(former)


def _specs(source: Source, frame: Frame, size: int) -> dict[str, tuple[tuple[int, ...], Any]]:
    fields = {"x": ((size, *frame.shape), np.uint8), "keys": ((size,), np.uint64)}
    return fields | {name: ((size, *a.shape[1:]), a.dtype) for name, a in source.known.items()}


def _open(partial: Path, specs: dict) -> dict[str, np.ndarray]:
    """The arrays of an interrupted run, or new ones."""
    try:
        arrays = {field: np.load(partial / f"{field}.npy", mmap_mode="r+") for field in specs}
    except (OSError, ValueError):  # none, or one that was killed while it made them
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        return array_files.create(partial, specs)
    logger.info("Going on with the images decoded in %s.", partial)
    arrays["state"][arrays["state"] == UNREADABLE] = PENDING  # tried again, and told of again
    return arrays


def _fill(arrays: dict[str, np.ndarray], source: Source, frame: Frame) -> None:
    """Decodes every pending row to its place, and marks it in `state`."""
    from tqdm import tqdm

    state = arrays["state"]
    pending = np.flatnonzero(state == PENDING)
    blocks = [pending[start : start + _BLOCK] for start in range(0, len(pending), _BLOCK)]
    reasons = ""
    shown = {"desc": f"Decoding {source.name}", "unit": " images", "disable": None}
    done = len(state) - len(pending)
    with ThreadPoolExecutor(cores()) as pool, tqdm(total=len(state), initial=done, **shown) as bar:
        for rows, x, errors in ahead(pool, lambda rows: _decode(source, frame, rows), blocks, 2 * cores()):
            arrays["x"][rows] = x
            arrays["x"].flush()  # before they are marked: also where the machine stops, marked rows are there
            state[rows] = np.where(np.isin(rows, [*errors]), UNREADABLE, WRITTEN)
            for row, error in errors.items():
                logger.warning("Skipping %s (%s).", source.describe(row), error)
                reasons = reasons or f" ({error})"
            _refuse_too_many(source, state, frame.unreadable, reasons)
            bar.update(len(rows))


def _decode(source: Source, frame: Frame, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, dict[int, str]]:
    """(rows (B,), images (B, H, W, C), row -> why it is unreadable)."""
    x, errors = np.zeros((len(rows), *frame.shape), np.uint8), {}
    for place, row in enumerate(rows):
        try:
            x[place] = source.decode(int(row))
        except UserError:
            raise
        except Exception as error:  # decoders raise whatever they meet
            _refuse_fault_of_machine(error, source.describe(int(row)))
            errors[int(row)] = first_line(error)
    return rows, x, errors


def _refuse_fault_of_machine(error: Exception, named: str) -> None:
    """Raises UserError where not the image is at fault, which another time may be readable."""
    if isinstance(error, MemoryError):
        raise UserError(
            f"{named} needs more memory than there is; free some, or remove it, and run again."
        ) from error
    code = error.errno if isinstance(error, OSError) else None  # decoders raise an OSError without a code
    if code not in (None, errno.ENOENT, errno.ELOOP):  # links that lead nowhere are the folder's own fault
        raise UserError(
            f"{named} cannot be read ({error.strerror}); allow reading it, or remove it, and run again."
        ) from error


def _refuse_too_many(source: Source, state: np.ndarray, share: float, reason: str) -> None:
    bad = np.flatnonzero(state == UNREADABLE)
    named = [source.describe(row) for row in bad[:_NAMED]]
    _refuse_share(len(bad), len(state), share, f"of {source.name}", named, reason)


def _refuse_share(
    bad: int, size: int, share: float, where: str, named: Sequence[str], reason: str = ""
) -> None:
    """Raises UserError where more than a share of `size` images are bad; the first of them are `named`."""
    if bad > share * size:
        more = ", ..." if bad > len(named) else ""
        raise UserError(
            f"{bad} of the {size:,} images {where} cannot be read{reason}: {', '.join(named)}{more};"
            f" mend or remove them, or allow a share of more than {share:g} in config.images.unreadable."
        )


def _only(rows: np.ndarray, arrays: dict, folder: Path, specs: dict) -> dict[str, np.ndarray]:
    """These rows of the arrays, as new files of `folder`."""
    if not len(rows):
        raise UserError(f"None of the images of {folder.parent} can be read.")
    shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed, where there are no locks
    folder.mkdir()
    copies = array_files.create(folder, specs)
    for start in range(0, len(rows), _BLOCK):
        part = slice(start, start + _BLOCK)
        for field, copy in copies.items():
            copy[part] = arrays[field][rows[part]]
    return copies


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ahead(pool: ThreadPoolExecutor, function: Callable, items: Iterable, count: int) -> Iterator:
    """function(item) of each, in order, of which no more than `count` are computed ahead of their use."""
    waiting = collections.deque()
    for item in items:
        waiting.append(pool.submit(function, item))
        if len(waiting) >= count:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
