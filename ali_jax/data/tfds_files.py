"""The files of TFDS: where they are, and how they get there. TFDS is imported inside functions only."""

import os
import re
from pathlib import Path
from typing import Any

from ali_jax.data import array_files
from ali_jax.errors import UserError, first_line
from ali_jax.paths import local


def root_folder(data_dir: str | None) -> Path:
    """The folder of all data sets; `data_dir` None means what it means to TFDS.

    Raises:
      UserError: `data_dir` is not of this machine's file system, or may not be looked at.
    """
    data_dir = data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return local(data_dir, "data_dir").absolute()


def version_folder(root: Path, name: str) -> Path | None:
    """The newest version of a data set on disk (<root>/<name>/3.1.0), or None."""
    versions = [path for path in (root / name).glob("*.*.*") if re.fullmatch(r"\d+\.\d+\.\d+", path.name)]
    return max(versions, key=lambda path: tuple(map(int, path.name.split("."))), default=None)


def decoded_folder(root: Path, name: str, split: str) -> Path | None:
    """Where a decoded split is, or will be; None if TFDS has not prepared the data set."""
    version = version_folder(root, name)
    return version and version / "ali_jax" / f"v{array_files.FORMAT}" / split


def open_builder(root: Path, name: str, by_hand: str = "") -> Any:
    """The TFDS builder of the newest version on disk, downloaded if there is none.

    Args:
      root: the folder of all data sets.
      name: of the data set in TFDS.
      by_hand: the files that TFDS cannot download by itself, and where to get them.

    Raises:
      UserError: the data set is neither there nor to be downloaded, or is damaged.
      OSError: `root` cannot be written to.
    """
    import tensorflow_datasets as tfds

    if not _is_prepared(root, name):
        _download(root, name, by_hand)
    folder = version_folder(root, name)
    try:
        return tfds.builder_from_directory(folder)
    except Exception as error:  # TFDS raises whatever its libraries raise
        raise damaged(folder, error) from error


def _is_prepared(root: Path, name: str) -> bool:
    folder = version_folder(root, name)
    return folder is not None and (folder / "dataset_info.json").exists()


def _download(root: Path, name: str, by_hand: str) -> None:
    import tensorflow_datasets as tfds

    if not root.is_dir() and root != root_folder(None):
        raise UserError(
            f"{root} is no folder; set --config.data_dir to the one that has {name}, or make it to have the "
            "data set downloaded there."
        )
    root.mkdir(parents=True, exist_ok=True)
    if not os.access(root, os.W_OK):
        raise PermissionError("no write access")
    failure: Exception = FileNotFoundError("only decoded files are there")
    try:
        builder = tfds.builder(name, data_dir=root)
        if not builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
            _require_network(next(iter(builder.url_infos)))
        builder.download_and_prepare()
    except Exception as error:
        failure = error
    if not _is_prepared(root, name):  # in spite of a failure it is, if another process prepared it
        raise _missing(root, name, by_hand, failure) from failure


def _require_network(url: str) -> None:
    """Raises within seconds where TFDS itself would try again for minutes."""
    import requests

    try:
        requests.head(url, timeout=10)
    except requests.RequestException as error:
        raise ConnectionError(f"no connection to {url.split('/')[2]}") from error


def _missing(root: Path, name: str, by_hand: str, reason: object) -> UserError:
    if by_hand:
        remedy = f"put {by_hand} into {root}/downloads/manual and run again"
    else:
        command = f"import tensorflow_datasets as tfds; tfds.builder('{name}').download_and_prepare()"
        remedy = (
            f'run `python -c "{command}"` on a machine with network and copy its '
            f"~/tensorflow_datasets/{name} to {root / name}"
        )
    return UserError(
        f"The data set {name} is not in {root} and could not be prepared there ({first_line(reason)}); "
        f"{remedy}, or set --config.data_dir to the folder that has it."
    )


def damaged(folder: Path | str, reason: object) -> UserError:
    """The error to raise for TFDS files of `folder` that cannot be read."""
    fault = f"The TFDS data in {folder} are damaged ({first_line(reason)})"
    return UserError(f"{fault}; delete that folder and run again, or copy it again from where it came.")
