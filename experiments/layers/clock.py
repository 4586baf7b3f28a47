"""The clock of ours and of theirs: of Python's own alone, as it also runs in the opponent's environment."""

import statistics
import time

LEAST_CALLS, LEAST_SECONDS = 5, 0.05  # of each thing that is timed, in each round


def median_seconds(call):
    """Median seconds of a call that waits for its result, after one that is not counted."""
    call()
    seconds = []
    while len(seconds) < LEAST_CALLS or sum(seconds) < LEAST_SECONDS:
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)
