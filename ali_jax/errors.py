"""The one exception that is addressed to the user, and what its sentences are made of."""

import contextlib
import difflib
import traceback
import zipfile
import zlib
from collections.abc import Iterable, Iterator

# What NumPy and zipfile raise for a .npy or .npz that is damaged or something else; a RuntimeError where a
# member seems to be encrypted, or compressed in a way that zipfile does not know. Not OSError, a disk's.
DAMAGED = (EOFError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error)


class UserError(ValueError):
    """A mistake that the user can mend.

    The message is one sentence naming what is wrong, where, and what to do about it; `main` prints
    it and exits with status 1. Anything else that is raised is a defect of the program and keeps
    its traceback.
    """


def require_known(given: Iterable[str], known: Iterable[str], before: str) -> None:
    """Raises UserError for a name that is not known: one that is misspelt would be left unread."""
    known = [*known]
    for name in given:
        if name not in known:
            raise UserError(f"There is no {before}{name}; is it {nearest(name, known, before)}?")


def nearest(field: str, fields: Iterable[str], before: str = "config.") -> str:
    """ "config.b1 or config.b2": those of `fields` that may have been meant."""
    fields = [*fields]
    near = difflib.get_close_matches(field, fields, n=3, cutoff=0.4) or fields[:3]
    near += [name for name in fields if name.endswith(f"_{field}")]
    return " or ".join(f"{before}{name}" for name in dict.fromkeys(near))


def first_line(reason: object) -> str:
    """The first line of another error's message, short enough to be quoted within a sentence."""
    line = (str(reason).strip() or type(reason).__name__).splitlines()[0].rstrip(".:")
    if "allow_pickle" in line:  # what NumPy says of any file but its own, and how to run it
        return "it is no file of arrays, or one of Python's objects"
    return line if len(line) <= 160 else line[:157] + "..."


@contextlib.contextmanager
def telling_where(file: str) -> Iterator[None]:
    """What a file of the user's raises, as a UserError that names its line."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if isinstance(error, SyntaxError) and error.filename == file:
            line = error.lineno
        else:
            frames = traceback.extract_tb(error.__traceback__)
            line = next((frame.lineno for frame in reversed(frames) if frame.filename == file), 1)
        what = traceback.format_exception_only(error)[-1].strip().splitlines()[0]
        raise UserError(f"{file} has a mistake in line {line} ({what}); mend it there.") from error
