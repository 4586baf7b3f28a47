"""What was measured of a run, kept beside it, so that it is measured once."""

import json
from pathlib import Path
from typing import NamedTuple

from ali_jax.errors import UserError
from ali_jax.files import write_whole, writing

NAME = "measures.json"


class Measures(NamedTuple):
    """Of a run."""

    by_step: dict[int, dict]
    diverged: str | None = None  # why it did not come to its end


def read(path: Path, settings: dict) -> Measures:
    """What was measured with these settings; of others, or where nothing was, no steps.

    Raises:
      UserError: the file is damaged.
    """
    if not path.exists():
        return Measures({})
    try:
        found = json.loads(path.read_text())
        if found["settings"] != settings:
            return Measures({})
        by_step = {int(step): numbers for step, numbers in found["by_step"].items()}
        return Measures(by_step, found["diverged"])
    except (AttributeError, KeyError, OSError, TypeError, ValueError):
        raise UserError(f"{path} cannot be read; remove it, and the run is measured anew.") from None


def write(path: Path, settings: dict, measures: Measures) -> None:
    content = {"settings": settings, **measures._asdict()}
    with writing(path.parent):
        write_whole(path, (json.dumps(content, indent=2) + "\n").encode())
