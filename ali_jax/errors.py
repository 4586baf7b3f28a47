"""The one exception that is addressed to the user, and how it quotes others."""

import zipfile
import zlib

# What NumPy and zipfile raise for a .npy or .npz that is damaged or something else; a RuntimeError where a
# member seems to be encrypted, or compressed in a way that zipfile does not know. Not OSError, a disk's.
DAMAGED = (EOFError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error)


class UserError(ValueError):
    """A mistake that the user can mend.

    The message is one sentence naming what is wrong, where, and what to do about it; `main` prints
    it and exits with status 1. Anything else that is raised is a defect of the program and keeps
    its traceback.
    """


def first_line(reason: object) -> str:
    """The first line of another error's message, short enough to be quoted within a sentence."""
    line = (str(reason).strip() or type(reason).__name__).splitlines()[0].rstrip(".:")
    if "allow_pickle" in line:  # what NumPy says of any file but its own, and how to run it
        return "it is no file of arrays, or one of Python's objects"
    return line if len(line) <= 160 else line[:157] + "..."
