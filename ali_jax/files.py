"""Files that are there whole or not at all, and a disk that takes no more of them."""

import contextlib
import io
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from ali_jax.errors import UserError


def save_png(path: Path, image: np.ndarray) -> None:
    """uint8 (H, W, 3) -> a PNG file, whole or not at all."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="png")
    write_whole(path, buffer.getvalue())


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file in one stroke: who reads it finds the old content or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # or a power failure could leave the new name without its content
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Raises a UserError where the disk refuses what is written below `folder` within."""
    try:
        yield
    except Exception as error:
        reason = refusal(error)
        if reason is None:
            raise
        raise UserError(
            f"{folder} cannot be written ({reason}); make room or allow writing there, and run the same "
            "command again: a run goes on from its last checkpoint."
        ) from error


@contextlib.contextmanager
def locked(path: Path, when_taken: Callable[[], None]) -> Iterator[bool]:
    """Holds the lock on a file, made where there is none; yields False where the file system knows no locks.

    The lock dies with its process, however that ends; the file stays.

    Args:
      path: in a folder that is there.
      when_taken: called before waiting for another process that holds the lock; it may raise instead.
    """
    import fcntl

    with open(path, "a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            when_taken()
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError:
            yield False
            return
        yield True


def refusal(error: Exception) -> str | None:
    """What the operating system said, in an OSError or in the text of TensorStore's errors; else None."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    code = re.search(r"os_error_code='(\d+)'|\[OS error (\d+)", str(error))
    return code and os.strerror(int(code[1] or code[2]))
