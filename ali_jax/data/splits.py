"""Splits of data sets, and the array files that hold those of TFDS once they are decoded.

`data` reads them through here, `prepare` writes them.
"""

import json
import os
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ali_jax.errors import UserError

# Part of the path of decoded splits: a change of preprocessing or of file format needs a new number
# here, and then decodes again without disturbing programs that still read the old files.
FORMAT = 1

IMAGE_SHAPES = {  # of the TFDS data sets, as decoded: (height, width, channels)
    "svhn_cropped": (32, 32, 3),
    "cifar10": (32, 32, 3),
    "celeb_a": (64, 64, 3),
    "imagenet_resized/64x64": (64, 64, 3),
    "imagenet2012": (64, 64, 3),
    "mnist": (28, 28, 1),
    "fashion_mnist": (28, 28, 1),
}

CELEBA_ATTRIBUTES = tuple(
    """5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose
    Black_Hair Blond_Hair Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee
    Gray_Hair Heavy_Makeup High_Cheekbones Male Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard
    Oval_Face Pale_Skin Pointy_Nose Receding_Hairline Rosy_Cheeks Sideburns Smiling Straight_Hair
    Wavy_Hair Wearing_Earrings Wearing_Hat Wearing_Lipstick Wearing_Necklace Wearing_Necktie Young""".split()
)


class Split(NamedTuple):
    """All examples of a split, in a fixed order."""

    x: np.ndarray  # uint8 (N, H, W, C) images, memory-mapped, or float32 (N, 2) points
    label: np.ndarray | None  # int32 (N,)
    attributes: np.ndarray | None  # uint8 (N, 40) in {0, 1}, CelebA only


def check_split(name: str, split: str, known: list[str]) -> None:
    """Raises UserError if `split` is not one of the `known` ones."""
    if split not in known:
        raise UserError(f"{name} has no split {split!r}; choose one of {', '.join(known)}.")


def tfds_root(data_dir: str | None) -> Path:
    """The folder of all data sets; `data_dir` None means what it means to TFDS."""
    data_dir = data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    if "://" in data_dir:
        raise UserError(f"data_dir {data_dir} is not a local folder; copy it to one, as it is memory-mapped.")
    return Path(data_dir).expanduser().absolute()


def version_folder(root: Path, name: str) -> Path | None:
    """The newest version of a data set on disk (<root>/<name>/3.1.0), or None."""
    versions = [path for path in (root / name).glob("*.*.*") if re.fullmatch(r"\d+\.\d+\.\d+", path.name)]
    return max(versions, key=lambda path: tuple(map(int, path.name.split("."))), default=None)


def decoded_folder(root: Path, name: str, split: str) -> Path | None:
    """Where a decoded split is, or will be; None if TFDS has not prepared the data set."""
    version = version_folder(root, name)
    return version and version / "ali_jax" / f"v{FORMAT}" / split


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
