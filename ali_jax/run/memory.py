"""Memory that a step on a CPU frees is kept for the next one."""

import ctypes
import sys

import jax

# Parameters of glibc's mallopt, by their numbers in malloc.h.
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4


def keep_freed() -> None:
    """Lets this process keep what it frees, and steps on a CPU run where they are called.

    The buffers of a step are one allocation of hundreds of megabytes. glibc takes such from the system and
    gives them back each time, and the system fills every page anew with zeros: of a step of the paper's
    networks that is a sixth of the time, of small ones a quarter. Kept is only what the calling thread frees,
    so that the step has to run there, and a call returns when its step is done.

    To be called before JAX is first used. Nothing changes without glibc, or on GPUs and TPUs but for what
    NumPy frees. What a process held at its peak, it holds to its end.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        return
    mallopt(M_MMAP_MAX, 0)  # all from one heap ...
    mallopt(M_TRIM_THRESHOLD, -1)  # ... whose end is never given back
    jax.config.update("jax_cpu_enable_async_dispatch", False)
