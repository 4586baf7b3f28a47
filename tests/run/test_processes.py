"""Several processes, really: on loopback, with collectives between them."""

import os
import re
import signal
import socket
from pathlib import Path

import numpy as np
from helpers import SMALL, environment, last_state, start, wait_for_lines


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("localhost", 0))
        return s.getsockname()[1]


def start_run(workdir, *flags, processes: int, log: Path):
    """`processes` processes of four devices together -> their Popen objects."""
    count = f"--xla_force_host_platform_device_count={4 // processes}"
    env = environment(XLA_FLAGS=f"{os.environ['XLA_FLAGS']} {count}")
    flags = [*SMALL, f"--workdir={workdir}", *flags]
    if processes > 1:
        flags += [f"--coordinator=localhost:{free_port()}", f"--num_processes={processes}"]
    started = []
    for number in range(processes):
        own = [f"--process_id={number}"] if processes > 1 else []
        with open(f"{log}.{number}", "w") as output:
            started.append(start(*flags, *own, env=env, stdout=output, stderr=output))
    return started


def finish(processes, log: Path) -> list[str]:
    codes = [process.wait(timeout=300) for process in processes]
    logs = [Path(f"{log}.{number}").read_text() for number in range(len(processes))]
    assert codes == [0] * len(codes), "\n".join(logs)
    return logs


def test_two_processes_killed_and_resumed_by_one_end_as_one_undisturbed(tmp_path):
    flags = ["--config.num_steps=40", "--config.checkpoint_every=10", "--config.figures_every=1000"]
    whole = tmp_path / "whole"
    undisturbed = start_run(whole, *flags, processes=1, log=tmp_path / "a")  # beside the others
    workdir = tmp_path / "killed"
    two = start_run(workdir, *flags, processes=2, log=tmp_path / "b")
    wait_for_lines(two[0], workdir / "metrics.jsonl", 25)
    for process in two:
        process.send_signal(signal.SIGKILL)
        process.wait()
    [log] = finish(start_run(workdir, *flags, processes=1, log=tmp_path / "c"), tmp_path / "c")
    finish(undisturbed, tmp_path / "a")
    assert re.search(r"from the checkpoint of step [12]0", log)

    (step_a, state_a), (step_b, state_b) = last_state(whole), last_state(workdir)
    assert step_a == step_b == 40
    for a, b in zip(state_a, state_b, strict=True):
        # Sums between processes may be rounded in another order; see test_devices.
        np.testing.assert_allclose(a, b, atol=5e-3)


def test_sigterm_to_one_process_leaves_one_checkpoint_of_all(tmp_path):
    workdir = tmp_path / "run"
    flags = ["--config.num_steps=1000000", "--config.checkpoint_every=1000000"]
    flags += ["--config.figures_every=1000000"]
    two = start_run(workdir, *flags, processes=2, log=tmp_path / "a")
    wait_for_lines(two[0], workdir / "metrics.jsonl", 3)
    two[1].send_signal(signal.SIGTERM)  # not the one that writes the logs
    logs = finish(two, tmp_path / "a")
    stopped = {re.search(r"Stopped by SIGTERM at step (\d+)", log)[1] for log in logs}
    assert len(stopped) == 1
    assert [p.name for p in (workdir / "checkpoints").iterdir()] == list(stopped)
