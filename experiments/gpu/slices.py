"""Parts of a plan, one after the other, for so many minutes."""

import contextlib
import datetime
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from ali_jax import files
from ali_jax.errors import UserError
from ali_jax.run.signals import Stopped
from experiments.gpu import plan
from experiments.gpu.plan import Part

GRACE = 60.0  # seconds from asking a part to stop to the end of the slice: the step at hand, and a checkpoint
SHORTEST = 60.0  # seconds; with less than these left no part is begun
NEW = {"status": "not begun", "minutes": 0.0, "slices": 0, "said": ""}
# Python's arguments before a part's own. A slice that is killed cannot stop its part, which would hold on to
# the GPU and its workdir, and fail in the next slice; so the part asks Linux for SIGTERM (15) when its parent
# ends (PR_SET_PDEATHSIG, 1), and becomes its command.
STOPPING_WITH_US = (
    "-c",
    "import ctypes, os, sys; sys.platform == 'linux' and ctypes.CDLL(None).prctl(1, 15); "
    "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])",
)

State = dict[str, dict]  # name of a part -> as NEW


def run(folder: Path, minutes: float, names: list[str]) -> None:
    """Works at what is left of the plan, and ends before the minutes are over.

    Args:
      folder: that `plan.prepare` filled.
      minutes: of the slice.
      names: of the parts to work at, failed ones too; [] for all that have not failed.

    Raises:
      UserError: there is no plan or no such part, another slice is at work, or there are too few minutes.
      Stopped: by a signal.
    """
    parts = chosen(plan.read(folder), names)
    until = time.monotonic() + 60 * minutes - GRACE
    if 60 * minutes < GRACE + SHORTEST:
        raise UserError(f"--minutes is {minutes:g}; it must be at least {(GRACE + SHORTEST) / 60:g}.")

    def refuse() -> None:
        raise UserError(f"Another slice is at work in {folder}; wait until it ends.")

    over = {"done"} if names else {"done", "failed"}
    with files.locked(folder / ".lock", refuse), stop_signals() as stop:
        state = read_state(folder)
        refuse_too_early(parts if names else [], state)
        for part in parts:
            if state.get(part.name, NEW)["status"] in over:
                continue
            if part.after and state.get(part.after, NEW)["status"] != "done":
                continue
            if stop or time.monotonic() > until - SHORTEST:
                break
            work_at(part, folder, state, until, stop)
    if stop:
        raise Stopped(f"Stopped; the same command goes on with the plan of {folder}.")


def chosen(parts: list[Part], names: list[str]) -> list[Part]:
    """The parts of these names, in the order of the names; with [] all."""
    by_name = {part.name: part for part in parts}
    for name in names:
        if name not in by_name:
            raise UserError(f"--parts={name} is none of {', '.join(by_name)}.")
    return [by_name[name] for name in names] or parts


def refuse_too_early(asked: list[Part], state: State) -> None:
    """Raises UserError for a part that is asked for before the one that it begins with is done."""
    before: set[str] = set()
    for part in asked:
        if part.after and part.after not in before and state.get(part.after, NEW)["status"] != "done":
            raise UserError(
                f"{part.name} is of what {part.after} makes, which is not done; ask for it first."
            )
        before.add(part.name)


@contextlib.contextmanager
def stop_signals() -> Iterator[list[int]]:
    """A list in which Ctrl-C or SIGTERM leaves its number.

    That of `ali_jax.run.signals` asks JAX for its processes, and thus takes the GPU, which the parts need.
    """
    received: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda number, frame: received.append(number)) for number in numbers]
    try:
        yield received
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def work_at(part: Part, folder: Path, state: State, until: float, stop: list[int]) -> None:
    """Runs a part until it ends, `until` is over or there is something in `stop`; notes how that went."""
    before, began = state.get(part.name, NEW), time.monotonic()

    def note(status: str, said: str) -> None:
        minutes = before["minutes"] + (time.monotonic() - began) / 60
        state[part.name] = {
            **{"status": status, "minutes": round(minutes, 2), "slices": before["slices"] + 1, "said": said},
            "date": datetime.date.today().isoformat(),
        }
        files.write_whole(plan.state_file(folder), (json.dumps(state, indent=2) + "\n").encode())
        print(describe(part.name, state[part.name]), flush=True)

    note("running", "")
    log = folder / "results" / "logs" / f"{part.name}.log"
    note(run_command(part, folder, log, until, stop), last_line(log))


def run_command(part: Part, folder: Path, log: Path, until: float, stop: list[int]) -> str:
    """The status of a part after its command: "done", "failed", "stopped" or, as `end` says, "killed"."""
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [word.replace("{folder}", str(folder.absolute())) for word in part.command]
    with open(log, "a") as output:
        process = subprocess.Popen(
            [sys.executable, *STOPPING_WITH_US, *command],
            cwd=plan.ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **part.environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            process_group=0,  # of which what it starts itself is too; Ctrl-C reaches it through us alone
        )
        while process.poll() is None:
            if stop or time.monotonic() > until:
                return end(process)
            time.sleep(0.05)
    if process.returncode == os.EX_TEMPFAIL:  # the signal that ends us came to it, too, and it heard it first
        return "stopped"
    return "failed" if process.returncode else "done"


def end(process: subprocess.Popen) -> str:
    """Asks a command to stop: "stopped"; or kills it, where it has not before the slice is over: "killed"."""
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(GRACE - 10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return "killed"
    return "stopped"


def last_line(log: Path) -> str:
    """What a command said last."""
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1][:200] if lines else ""


def read_state(folder: Path) -> State:
    """What was noted of parts; a UserError where that is damaged."""
    path = plan.state_file(folder)
    try:
        return json.loads(path.read_text()) if path.exists() else {}
    except (OSError, ValueError):
        raise UserError(f"{path} is damaged; restore it, or remove it to begin the plan anew.") from None


def describe(name: str, of_part: dict) -> str:
    return f"{of_part['status']:9} {of_part['minutes']:7.1f} min {name}: {of_part['said']}"


def status(folder: Path) -> str:
    """A line for each part of the plan, and one for all of it."""
    parts, state = plan.read(folder), read_state(folder)
    lines = [describe(part.name, state.get(part.name, NEW)) for part in parts]
    done = sum(line.startswith("done") for line in lines)
    return "\n".join([*lines, f"{done} of {len(parts)} parts are done."])
