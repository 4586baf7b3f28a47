"""The data set "arrays:FILE": images of the user's own in a .npy or .npz file.

A .npy file holds images: uint8, or floats in [0, 1], of shape (N, H, W) or (N, H, W, C). A .npz file holds
arrays called by the names of NAMES: x, and perhaps label (N,), classes from 0, and attributes (N, A) of zeros
and ones. With a split's name behind, as x_train and label_test, they are of that split; without, of "train".
"""

import contextlib
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from ali_jax.data import attribute_files, own, pictures
from ali_jax.data.labels import UNLABELLED
from ali_jax.data.pictures import Frame
from ali_jax.data.splits import Split, check_split
from ali_jax.errors import DAMAGED, UserError, first_line
from ali_jax.paths import local
from ali_jax.ranges import ROUNDING

NAMES = {"x": ("x", "images", "arr_0"), "label": ("label", "labels", "y"), "attributes": ("attributes",)}


def load(
    path: str, split: str, data_dir: str | None, frame: Frame | None
) -> tuple[Split, Callable[[int], int]]:
    """A whole split of FILE, and the row at which a percentage of it is; written anew the first time.

    Raises:
      UserError: there is no such file or split, or it does not hold what it should.
    """
    name = f"arrays:{path}"
    frame = pictures.check(name, frame)
    file = local(path, "The file").absolute()
    members = _members(file)
    check_split(name, split, sorted(members))
    status = file.stat()
    folder = own.folder_of(own.store(file, data_dir), split, frame, status.st_size, status.st_mtime_ns)
    with contextlib.ExitStack() as opened:
        return own.load(folder, frame, lambda: _source(opened, name, file, members[split], folder, frame))


def _members(file: Path) -> dict[str, dict[str, str]]:
    """Split -> field -> name of its array in the file."""
    if not file.is_file():
        raise UserError(f"There is no file {file}; write --config.dataset=arrays:FILE with one.")
    if file.suffix not in (".npy", ".npz"):
        raise UserError(f"{file} is no .npy or .npz file; write --config.dataset=arrays:FILE with one.")
    if file.suffix == ".npy":
        return {"train": {"x": ""}}
    try:
        with zipfile.ZipFile(file) as archive:
            arrays = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
    except (*DAMAGED, OSError) as error:
        raise _damaged(file, error) from error
    splits: dict[str, dict[str, str]] = {}
    for array in arrays:
        for field, names in NAMES.items():
            if match := re.fullmatch(rf"(?:{'|'.join(names)})(?:_(\w+))?", array, re.I):
                fields = splits.setdefault((match[1] or "train").lower(), {})
                if field in fields:
                    raise UserError(
                        f"{file} holds two arrays of {field}, {fields[field]} and {array}; leave one out."
                    )
                fields[field] = array
    splits = {split: fields for split, fields in splits.items() if "x" in fields}
    if not splits:
        raise UserError(f"{file} holds no array called x, only {', '.join(arrays)}; save its images as x=...")
    return splits


def _source(
    opened: contextlib.ExitStack, name: str, file: Path, members: dict[str, str], folder: Path, frame: Frame
) -> own.Source:
    """The arrays, as long as what is `opened` stays so."""
    arrays = {field: opened.enter_context(_open(file, member, folder)) for field, member in members.items()}
    x = _check_images(file, arrays.pop("x"))
    keys = np.array([own.key_of(str(row)) for row in range(len(x))], np.uint64)
    order = np.argsort(keys, kind="stable")  # where a row of the new files is in the old
    known = {field: _check_known(file, field, a, len(x))[order] for field, a in arrays.items()}

    def decode(row: int) -> np.ndarray:
        image = _as_uint8(file, int(order[row]), x)
        if image.shape == frame.shape and frame.zoom == 1:
            return image
        from PIL import Image

        return pictures.fit(Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image), frame)

    return own.Source(name, keys[order], known, decode, describe=lambda row: f"row {order[row]}")


@contextlib.contextmanager
def _open(file: Path, member: str, folder: Path) -> Iterator[np.ndarray]:
    """An array of the file, memory-mapped; of a .npz, unpacked beside `folder` for as long as it is used."""
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as room:
        try:
            unpacked = file
            if file.suffix == ".npz":
                with zipfile.ZipFile(file) as archive:
                    unpacked = archive.extract(f"{member}.npy", room)
            array = np.load(unpacked, mmap_mode="r")
        except DAMAGED as error:
            raise _damaged(file, error) from error
        yield array


def _check_images(file: Path, x: np.ndarray) -> np.ndarray:
    """(N, H, W, C); a UserError where it is not of images."""
    x = x[..., None] if x.ndim == 3 else x
    if x.ndim != 4 or x.shape[3] not in (1, 3) or not x.size:
        raise UserError(
            f"The images of {file} have the shape {x.shape}; it must be (N, H, W), or (N, H, W, C) with 1 or "
            "3 channels."
        )
    if x.dtype != np.uint8 and x.dtype.kind != "f":
        raise UserError(f"The images of {file} are {x.dtype}; save them as uint8 or as floats in [0, 1].")
    if x.dtype == np.uint8 and x.max() == 1:
        raise UserError(
            f"The images of {file} hold no value above 1, black among 0 to 255; if 1 is white, save them as "
            "floats, or times 255."
        )
    return x


def _as_uint8(file: Path, row: int, x: np.ndarray) -> np.ndarray:
    """Image x[row], uint8; a UserError where its floats are no brightness."""
    image = x[row]
    if image.dtype == np.uint8:
        return np.asarray(image)
    if not -ROUNDING <= image.min() <= image.max() <= 1 + ROUNDING:  # nor NaN
        raise UserError(
            f"Image {row} (from 0) of {file} holds values from {image.min():g} to {image.max():g}; save the "
            "images as uint8 or as floats in [0, 1]."
        )
    return np.rint(np.asarray(image, np.float32) * 255).astype(np.uint8)


def _check_known(file: Path, field: str, values: np.ndarray, size: int) -> np.ndarray:
    """Labels (N,) or attributes (N, A) as a split has them; a UserError where they are none."""
    rows = len(values) if values.ndim else 0
    if rows != size:
        raise UserError(f"{file} has {size:,} images and {rows:,} rows of {field}; it must have as many.")
    if field == "attributes":
        return attribute_files.as_bits(values, str(file))
    values = values.reshape(size, -1)
    if values.shape[1] != 1 or values.dtype.kind not in "iu" or not _are_int32(values):
        raise UserError(
            f"The labels of {file} are not whole numbers from 0, or -1 where one is not known, one for each "
            "image; make them so, or call the array otherwise where it is none of classes."
        )
    return values[:, 0].astype(np.int32)


def _are_int32(values: np.ndarray) -> bool:
    """Whether whole numbers are from -1, and keep their values in an int32."""
    return values.min() >= UNLABELLED and values.max() <= np.iinfo(np.int32).max


def _damaged(file: Path, reason: object) -> UserError:
    return UserError(f"{file} cannot be read ({first_line(reason)}); save or copy it again.")
