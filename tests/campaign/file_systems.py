"""File systems that are read-only, or slow: one sentence, or the run that any other gives."""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from conftest import make_tiny_config
from helpers import ROOT, environment

from . import disks
from .tally import Case

DELAY = 0.05  # seconds that each write of a slow file system takes
# In a mount namespace of its own: a file system in memory, filled, and then read-only.
READ_ONLY = (
    'mount -t tmpfs none "$1" && cp -r "$2/." "$1" && mount -o remount,ro "$1" && shift 2 && exec "$@"'
)
# Trains the tiny config for so many steps in a workdir, or says in a sentence why not.
TRAIN = """
import sys
from conftest import make_tiny_config
from ali_jax import train
from ali_jax.errors import UserError
config = make_tiny_config()
config.num_steps = int(sys.argv[2])
try:
    train.train_and_evaluate(config, sys.argv[1])
except UserError as error:
    sys.exit(f"Error: {error}")
"""
LOAD = "import sys; from ali_jax import inference; print(inference.load(sys.argv[1]).step)"


def can_mount() -> bool:
    """Whether this process may mount; only root may, and not in every container."""
    if not shutil.which("unshare"):  # of Linux alone
        return False
    return subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode == 0


def of_mounts(whole: Path, scratch: Path) -> Iterator[Case]:
    """A new run, one to be continued, a finished one and a trained model, each read-only."""
    steps, empty, place = make_tiny_config().num_steps, scratch / "empty", scratch / "mounted"
    empty.mkdir(exist_ok=True)
    place.mkdir(exist_ok=True)

    def refused(content: Path, steps: int) -> None:
        done = run(place, content, TRAIN, place, steps)
        assert done.returncode == 1, done
        [sentence] = done.stderr.strip().splitlines()
        assert sentence.startswith("Error: ") and "cannot be written" in sentence, sentence

    def served(*program) -> None:
        done = run(place, whole, *program)
        assert not done.returncode, done.stderr[-2000:]

    yield "a new run", lambda: refused(empty, steps)
    yield "a run to be continued", lambda: refused(whole, steps + 4)
    yield "a finished run", lambda: served(TRAIN, place, steps)
    yield "a trained model", lambda: served(LOAD, place)


def run(place: Path, content: Path, program: str, *arguments) -> subprocess.CompletedProcess:
    command = ["unshare", "--mount", "sh", "-c", READ_ONLY, "sh", place, content]
    command += [sys.executable, "-c", program, *arguments]
    own = environment(PYTHONPATH=os.pathsep.join((str(ROOT), str(ROOT / "tests"))))
    return subprocess.run(
        [*map(str, command)], cwd=ROOT, env=own, capture_output=True, text=True, timeout=600
    )


def of_slow_ones(whole: Path, scratch: Path) -> Iterator[Case]:
    """Every file or folder made, opened for writing or renamed by Python below the workdir takes its time."""

    def slow(workdir: Path) -> contextlib.AbstractContextManager:
        return disks.before_writes(workdir, lambda path: time.sleep(DELAY))

    yield f"{DELAY} s a write", lambda: disks.run_with(slow, whole, scratch)
