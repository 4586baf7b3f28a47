"""The process of `events.Events`: what it reads from its stdin it writes as TensorBoard's events, by clu.

It is run as a file and imports nothing of ali_jax. It ends when its stdin does, and thus with the run,
however that ends; signals to the run do not concern it.
"""

import os
import pickle
import queue
import signal
import sys
import threading
import traceback


def write(folder: str, received: queue.SimpleQueue) -> None:
    """Writes what is received until it is None; of a failure the traceback is left, and the process ends."""
    try:
        from clu import metric_writers

        writer = metric_writers.SummaryWriter(folder)
        while (message := received.get()) is not None:
            step, scalars, pictures = message
            writer.write_scalars(step, scalars)
            writer.write_images(step, {name: picture[None] for name, picture in pictures.items()})
        writer.close()
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)


def main(folder: str) -> None:
    """Receives messages until stdin ends, and waits until all are written."""
    for number in (signal.SIGINT, signal.SIGTERM):  # before anything that takes a while
        signal.signal(number, signal.SIG_IGN)
    # Messages hold its arrays. It is imported here since both threads would, the other by TensorFlow, and of
    # two that import a module at the same time one may find half of it.
    import numpy  # noqa: F401

    received = queue.SimpleQueue()
    # A thread of its own: while it imports TensorFlow the pipe is read, and the run need not wait.
    writer = threading.Thread(target=write, args=(folder, received))
    writer.start()
    try:
        while True:
            received.put(pickle.load(sys.stdin.buffer))
    except (EOFError, pickle.UnpicklingError):  # the run ended: between two messages, or amid one
        pass
    finally:  # also after what nobody expects: the other thread must not wait for ever
        received.put(None)
    writer.join()


if __name__ == "__main__":
    main(sys.argv[1])
