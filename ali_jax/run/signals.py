"""Ctrl-C and SIGTERM as a request to stop after the step at hand."""

import contextlib
import dataclasses
import logging
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import jax

logger = logging.getLogger(__name__)


class Stopped(Exception):
    """A signal came before the last step of a training; all is saved, and the same command goes on."""


def require_last_step(step: int, num_steps: int, workdir: str | Path) -> None:
    """Raises Stopped where a training ended before its last step."""
    if step < num_steps:
        raise Stopped(f"Stopped; the same command goes on from {workdir}.")


@dataclasses.dataclass
class _Noting:
    """A handler of signals that leaves their numbers in a list."""

    received: list[int] = dataclasses.field(default_factory=list)

    def __call__(self, number: int, frame) -> None:
        if self.received and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.received.append(number)
        logger.info("%s: saving, then stopping.", signal.Signals(number).name)


class _Interrupting:
    """Python's own handler of Ctrl-C, which also notes that there was one."""

    noted = False

    def __call__(self, number: int, frame) -> None:
        self.noted = True
        raise KeyboardInterrupt


def note_interrupts() -> None:
    """Notes every Ctrl-C from now on, for `stop_signals` to stop where it went unheard.

    Python drops the exception of one that falls into a callback of C code, such as JAX's of the garbage
    collector, of which there are many while a program starts.
    """
    in_main = threading.current_thread() is threading.main_thread()
    if in_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a shell may ignore it
        signal.signal(signal.SIGINT, _Interrupting())


@contextlib.contextmanager
def stop_signals() -> Iterator[list[int]]:
    """A list in which Ctrl-C or SIGTERM leaves its number; a second Ctrl-C interrupts at once.

    Within another `stop_signals` it is the same list. What a process was started to ignore, as shells have
    jobs in the background ignore Ctrl-C, stays ignored.

    Of several processes each would stop at its own step. There JAX's preemption service takes SIGTERM and
    agrees with all of them on one step (`Checkpoints.preempted`). Signals reach the main thread alone: in
    another, nothing is noted.
    """
    in_main = threading.current_thread() is threading.main_thread()
    if getattr(signal.getsignal(signal.SIGINT), "noted", False):
        raise KeyboardInterrupt
    ours = (signal.SIGINT, signal.SIGTERM) if in_main and jax.process_count() == 1 else ()
    ours = [number for number in ours if signal.getsignal(number) is not signal.SIG_IGN]
    outer = [handler for number in ours if isinstance(handler := signal.getsignal(number), _Noting)]
    note = outer[0] if outer else _Noting()
    before = {number: signal.signal(number, note) for number in ours}
    try:
        yield note.received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
