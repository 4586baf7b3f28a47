"""Ctrl-C and SIGTERM as a request to stop after the step at hand."""

import contextlib
import logging
import signal
import threading
from collections.abc import Iterator

import jax

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def stop_signals() -> Iterator[list[int]]:
    """A list in which Ctrl-C or SIGTERM leaves its number; a second Ctrl-C interrupts at once.

    Of several processes each would stop at its own step. There JAX's preemption service takes SIGTERM and
    agrees with all of them on one step (`Checkpoints.preempted`). Signals reach the main thread alone: in
    another, nothing is noted.
    """
    received: list[int] = []

    def note(number, frame):
        if received and number == signal.SIGINT:
            raise KeyboardInterrupt
        received.append(number)
        logger.info("%s: saving, then stopping.", signal.Signals(number).name)

    in_main = threading.current_thread() is threading.main_thread()
    ours = (signal.SIGINT, signal.SIGTERM) if in_main and jax.process_count() == 1 else ()
    before = {number: signal.signal(number, note) for number in ours}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
