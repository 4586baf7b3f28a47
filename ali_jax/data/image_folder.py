"""The data set "images:FOLDER": images of the user's own, in a folder or in one folder a class.

All files of SUFFIXES count, in folders of any depth, but for figures of runs. Where all are below folders
called by names of SPLITS, "train" among them, those are the splits; else all images are "train", for slices
to divide. The first folder below that is the class of an image, where all images have one and there are two
or more; but that of images in a folder of UNKNOWN is not known. A table of attributes may stand beside them
(`attribute_files`).

Not TFDS's ImageFolder, which knows no folders without classes, no deeper ones and no WebP, and stops at the
first file that it cannot read.
"""

import logging
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ali_jax.data import attribute_files, own, pictures
from ali_jax.data.labels import UNLABELLED
from ali_jax.data.pictures import Frame
from ali_jax.data.splits import Split, check_split
from ali_jax.errors import UserError
from ali_jax.paths import local

logger = logging.getLogger(__name__)

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif")
OTHERS = (".heic", ".heif", ".avif", ".jp2", ".jxl", ".ppm", ".pgm", ".tga")  # images too, and told of
UNKNOWN = ("unlabelled", "unlabeled")
RUNS = ("checkpoints", "figures", "results")  # folders that a run writes into its workdir
SPLITS = ("train", "validation", "val", "valid", "test", "extra")


class Listing(NamedTuple):
    """The image files of a folder, of one split, in the order of their keys."""

    root: Path
    names: list[str]  # paths in the folder, with "/"
    keys: np.ndarray  # uint64 (N,), see `own.key_of`
    marks: list[tuple[int, int]]  # bytes and time of change of each, by which another file is known
    classes: list[str]  # of all splits; none where the images are not in folders of classes
    labels: list[str]  # the class of each, where there are classes
    table: Path | None  # of attributes
    others: list[str]  # names of the images of other splits


def load(
    path: str, split: str, data_dir: str | None, frame: Frame | None
) -> tuple[Split, Callable[[int], int]]:
    """A whole split of FOLDER, and the row at which a percentage of it is; decoded the first time.

    Raises:
      UserError: there is no such folder, image or split, or more are unreadable than may be.
    """
    name = f"images:{path}"
    frame = pictures.check(name, frame)
    listing = list_split(local(path, "The folder").absolute(), name, split)
    table = listing.table and (listing.table.stat().st_size, listing.table.stat().st_mtime_ns)
    kept = own.store(listing.root, data_dir)
    folder = own.folder_of(kept, split, frame, listing.names, listing.marks, listing.classes, table)
    return own.load(folder, frame, lambda: _source(name, listing, frame))


def _source(name: str, listing: Listing, frame: Frame) -> own.Source:
    _tell_left_out(listing.root)  # once, as what is unreadable: when the others are decoded
    known = {}
    if listing.classes:
        number = {label: place for place, label in enumerate(listing.classes)}
        known["label"] = np.array([number.get(label, UNLABELLED) for label in listing.labels], np.int32)
    if listing.table:
        known["attributes"] = attribute_files.read(listing.table).of(listing.names, listing.others)
    return own.Source(
        name,
        listing.keys,
        known,
        decode=lambda row: pictures.read(listing.root / listing.names[row], frame),
        describe=lambda row: listing.names[row],
        classes=listing.classes,
    )


def list_split(root: Path, name: str, split: str) -> Listing:
    """The images of a split below `root`; a UserError where there are none."""
    if not root.is_dir():
        raise UserError(f"{root} is no folder; name one of images, as in images:FOLDER.")
    found = dict(sorted(_find(root, SUFFIXES)))
    if not found:
        raise UserError(f"{root} holds no images; there must be files ending in {', '.join(SUFFIXES)}.")
    rooms = _rooms(found, root)
    check_split(name, split, sorted(rooms))
    inside = {path: path.removeprefix(room) for room in rooms.values() for path in _below(found, room)}
    names = _below(found, rooms[split])
    keys = np.array([own.key_of(inside[path]) for path in names], np.uint64)
    order = np.argsort(keys, kind="stable")
    names = [names[place] for place in order]
    classes = _classes(inside.values())
    labels = [inside[path].split("/")[0] for path in names]
    marks = [found[path] for path in names]
    others = sorted({*inside} - {*names})
    return Listing(root, names, keys[order], marks, classes, labels, attribute_files.find(root), others)


def _tell_left_out(root: Path) -> None:
    """Warns of images that are in no format that is read here."""
    others = sorted(path for path, _ in _find(root, OTHERS))
    if others:
        logger.warning(
            "%d images in %s are left out, such as %s; those ending in %s are read: convert the others.",
            *(len(others), root, others[0], ", ".join(SUFFIXES)),
        )


def _find(root: Path, suffixes: tuple[str, ...]) -> Iterator[tuple[str, tuple[int, int]]]:
    """(path in `root`, bytes and time of change) of every file that ends so.

    But for what is hidden, and for workdirs, whose figures would be trained on when the run is gone on with.
    """
    above = {os.fspath(root): ()}  # of a folder that is yet to be looked into, which ones it is in
    for folder, inner, files in os.walk(root, onerror=_refuse, followlinks=True):
        status, outer = os.stat(folder), above.pop(folder)
        itself = status.st_dev, status.st_ino
        # A link that leads back; one to a folder elsewhere may be another class, or another split.
        is_workdir = "config.json" in files and "checkpoints" in inner
        if itself in outer or (is_workdir and outer):
            inner.clear()
            continue
        # Of the folder of the images, too, which may be the workdir, what a run has written is left out.
        written = RUNS if is_workdir else ()
        inner[:] = [name for name in inner if not name.startswith(".") and name not in written]
        above |= {os.path.join(folder, name): (*outer, itself) for name in inner}
        for name in files:
            if name.lower().endswith(suffixes) and not name.startswith("."):
                path = os.path.join(folder, name)
                if mark := _mark(path):
                    yield os.path.relpath(path, root).replace(os.sep, "/"), mark


def _refuse(error: OSError) -> None:
    """Without the images of a folder others would be their classes, and no one would know."""
    raise UserError(
        f"The folder {error.filename} cannot be read ({error.strerror}); allow reading it, or remove it."
    ) from error


def _mark(path: str) -> tuple[int, int] | None:
    """(bytes, time of change); None of what is there and no file, as a pipe, on which reading would wait."""
    try:
        status = os.stat(path)
    except OSError:  # a link to nowhere, which decoding will name
        return 0, 0
    if not stat.S_ISREG(status.st_mode):
        return None
    return status.st_size, status.st_mtime_ns


def _rooms(names: Iterable[str], root: Path) -> dict[str, str]:
    """Split -> how the paths of its images begin.

    Raises:
      UserError: folders are called by names of splits, and others are not.
    """
    tops = _tops(names)
    splits = {top.lower(): f"{top}/" for top in sorted(tops) if top.lower() in SPLITS}
    if "train" not in splits:
        return {"train": ""}
    if len(splits) == len(tops):
        return splits
    if len(splits) > 1:  # "train" alone may well be a class, beside "bus" and "car"
        other = min(tops - {room.rstrip("/") for room in splits.values()})
        raise UserError(
            f"{root} holds folders called as splits ({', '.join(sorted(splits))}) and, beside them, "
            f"{f'the folder {other}' if other else 'images'}; move that into one of them, or away."
        )
    return {"train": ""}


def _below(names: Iterable[str], room: str) -> list[str]:
    return [name for name in names if name.startswith(room)]


def _classes(names: Iterable[str]) -> list[str]:
    """The first folders but those of UNKNOWN, where all images are in one and there are two or more."""
    tops = _tops(names)
    classes = sorted(top for top in tops if top.lower() not in UNKNOWN)
    return [] if "" in tops or len(classes) < 2 else classes


def _tops(names: Iterable[str]) -> set[str]:
    """The first folder of each path, "" where it has none."""
    return {name.partition("/")[0] if "/" in name else "" for name in names}
