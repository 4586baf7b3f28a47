"""Paths that a user wrote."""

import contextlib
import os
import re
import stat
from pathlib import Path

from ali_jax.errors import UserError


def local(written: str | Path, what: str) -> Path:
    """The path on this machine that was written, with ~ for the home directory; whether it is there or not.

    Args:
      what: it is said to be where it cannot be taken, as "The workdir".

    Raises:
      UserError: it names a bucket, or something that may not be looked at.
    """
    if not isinstance(written, str | os.PathLike) or not os.fspath(written):
        raise UserError(f"{what} is {written!r}, and no path; pass one, as text.")
    # Files are appended to, locked and memory-mapped. `Path` makes "gs://" of a path "gs:/".
    if re.match(r"\w\w+:/", str(written)):
        raise UserError(
            f"{what} {written} is not on this machine; mount the bucket (as gcsfuse does) and pass the path "
            "below which it is mounted."
        )
    try:
        path = Path(written).expanduser()
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            if stat.S_ISDIR(path.stat().st_mode) and not os.access(path, os.X_OK):
                raise PermissionError("it may not be entered")
    except (OSError, RuntimeError, ValueError) as error:  # no such home; a character that no path has
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{what} {written} cannot be reached ({reason}); pass another path.") from error
    return path
