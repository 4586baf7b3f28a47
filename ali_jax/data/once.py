"""Folders of files that are written once, by one process, and are there whole or not at all."""

import contextlib
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from ali_jax import files

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds the lock on writing `folder`; without one where the file system knows no locks.

    The lock dies with its process, so a temporary folder `.<name>-...` found by its next holder is of a dead
    run, and removed.
    """

    def wait() -> None:
        logger.info("waiting for another process that is decoding %s", folder)

    folder.parent.mkdir(parents=True, exist_ok=True)
    with files.locked(folder.with_name(f"{folder.name}.lock"), wait) as alone:
        if alone:
            for stale in folder.parent.glob(f".{folder.name}-*"):
                shutil.rmtree(stale, ignore_errors=True)
        else:
            logger.info("no file locks below %s: decoding without one", folder.parent)
        yield


def remove_unless_written(former: Path) -> None:
    """Removes a folder, or the temporary one of an interrupted run, but not while another process writes it.

    Where the file system knows no locks, a temporary one stays: nothing says whether it is written.
    """
    temporary = former.name.startswith(".")
    name = former.name.lstrip(".").split(".")[0].split("-")[0]

    def leave() -> None:
        raise BlockingIOError

    with (
        contextlib.suppress(OSError),
        files.locked(former.with_name(f"{name}.lock"), leave) as alone,
    ):
        if alone or not temporary:
            shutil.rmtree(former, ignore_errors=True)


def publish(temporary: Path, folder: Path) -> None:
    """Renames what was written in `temporary` to `folder`, the last thing that is done."""
    try:
        os.rename(temporary, folder)
    except OSError:
        if not folder.exists():  # else another process was first, and its files are as good
            raise
