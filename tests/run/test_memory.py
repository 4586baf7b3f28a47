"""What a step frees is kept for the next one."""

import ctypes
import subprocess
import sys

import pytest
from helpers import ROOT, environment

# The fewest page faults of ten calls, each of which takes 34 MB on the way and gives as many.
FAULTS = """
import resource
import jax, jax.numpy as jnp
from ali_jax.run import command_line, memory

def main(argv):
    step, x = jax.jit(jnp.cumsum), jnp.arange(2.0**23)
    faults, found = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt, []
    for _ in range(10):
        before = faults()
        step(x).block_until_ready()
        found.append(faults() - before)
    print(min(found))

"""


def faults(call: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", FAULTS + call],
        cwd=ROOT,
        env=environment(),
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallopt"), reason="not glibc")
def test_a_step_does_not_fault_in_the_pages_that_the_last_one_freed():
    assert faults("main([])") > 4_000
    assert faults("memory.keep_freed(); main([])") < 100
    assert faults("command_line.run(main, lambda: None)") < 100, "a program of ours"
