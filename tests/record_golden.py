"""Writes the values that tests/test_golden.py compares with, as they are with the code and the jax of now.

    python tests/record_golden.py

The values of another version of jax are kept, those of this one are replaced only with --overwrite. The run
in tests/golden/run is trained where there is none; it is there to be read by later code, so keep it.
"""

import argparse
import re
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import json

import golden_games as games
import golden_values as golden


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--overwrite", action="store_true", help="replace the values of this version of jax")
    overwrite = parser.parse_args().overwrite
    machine = golden.machine()
    path = golden.GOLDEN / f"jax-{machine['jax']}.json"
    if path.exists() and not overwrite:
        sys.exit(f"{path} is there; pass --overwrite to replace its values by those of this code.")
    if not golden.RUN.exists():
        with tempfile.TemporaryDirectory() as folder:
            write_run(Path(folder) / "trained")
    values = {
        "machine": machine,
        "courses": {name: golden.values_of_course(name, c) for name, c in games.configs().items()},
        "draws": games.draws(),
        "run": golden.values_of_run_as_used(),
    }
    path.write_text(to_text(values))
    print(f"Wrote {path}.")


def write_run(workdir: Path) -> None:
    """tests/golden/run: what loading and resuming need, and no more."""
    games.train_run(workdir)
    golden.RUN.mkdir(parents=True)
    shutil.copy(workdir / "config.json", golden.RUN)
    shutil.copytree(workdir / "checkpoints", golden.RUN / "checkpoints")
    for note in golden.RUN.rglob("commit_success.txt"):
        note.write_text("")  # its text is a path of the machine; that it is there is all that counts


def to_text(values: dict) -> str:
    """JSON with a line for each list, so that a change shows as the lines that changed."""
    text = json.dumps(values, indent=1)
    return re.sub(r"\[[^][{}]*\]", lambda found: re.sub(r"\s+", " ", found[0]), text) + "\n"


if __name__ == "__main__":
    main()
