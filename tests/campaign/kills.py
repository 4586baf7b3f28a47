"""Kills at random moments: what is resumed afterwards ends as the run that nothing disturbed, to the bit."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from helpers import environment, free_port, start

from . import states
from .tally import Case

GAMES = {
    "digits": [],
    "mixture": ["--config=configs/mixture.py"],
    "semi-supervised": [
        "--config=configs/digits_semi_supervised.py",
        *("--config.num_labels=20", "--config.labelled_batch_size=8"),
    ],
}
FLAGS = ["--config.batch_size=16", "--config.steps_per_dispatch=1", "--config.log_every=1"]
FLAGS += ["--config.num_steps=60", "--config.checkpoint_every=10", "--config.figures_every=20"]


def of_runs(processes: int, scratch: Path, seed: int) -> Iterator[Case]:
    """Without end: game by game, in so many processes of four devices together, killed once or twice."""
    chance = random.Random(seed)
    whole: dict[str, tuple[float, Path]] = {}
    while True:
        for game in GAMES:
            if game not in whole:
                whole[game] = undisturbed(game, processes, scratch)
            number = chance.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM))
            seconds, workdir = whole[game]
            moments = [chance.uniform(0, seconds) for _ in range(chance.choice((1, 2)))]

            def case(game=game, number=number, moments=moments, workdir=workdir):
                killed = scratch / "killed"
                shutil.rmtree(killed, ignore_errors=True)
                for moment in moments:
                    with start_all(game, processes, killed) as started:
                        kill_after(moment, number, started)
                with start_all(game, processes, killed) as started:
                    finish(started)
                states.require_same(states.newest(killed)[1], states.newest(workdir)[1])

            at = " and ".join(f"{moment:.1f} s" for moment in moments)
            yield f"{game}, {processes} process(es), {signal.Signals(number).name} after {at}", case


def undisturbed(game: str, processes: int, scratch: Path) -> tuple[float, Path]:
    """(seconds that a run takes, its workdir)."""
    workdir, begun = scratch / f"whole_{game}", time.monotonic()
    with start_all(game, processes, workdir) as started:
        finish(started)
    return time.monotonic() - begun, workdir


@contextlib.contextmanager
def start_all(game: str, processes: int, workdir: Path) -> Iterator[list[subprocess.Popen]]:
    flags = [*GAMES[game], *FLAGS, f"--workdir={workdir}"]
    if processes > 1:
        flags += [f"--coordinator=localhost:{free_port()}", f"--num_processes={processes}"]
    devices = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count={4 // processes}"
    options = {"env": environment(XLA_FLAGS=devices), "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    own = ([f"--process_id={number}"] if processes > 1 else [] for number in range(processes))
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(start(*flags, *numbered, **options)) for numbered in own]


def kill_after(seconds: float, number: int, processes: list[subprocess.Popen]) -> None:
    time.sleep(seconds)
    for process in processes:
        process.send_signal(number)
    for process in processes:
        process.communicate(timeout=600)


def finish(processes: list[subprocess.Popen]) -> None:
    said = [process.communicate(timeout=600)[1] for process in processes]
    assert not any(process.returncode for process in processes), said[0][-2000:]
