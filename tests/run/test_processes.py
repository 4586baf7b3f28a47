"""Several processes, really: on loopback, with collectives between them."""

import contextlib
import json
import logging
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from helpers import SMALL, environment, free_port, last_state, start, wait_for_lines

from ali_jax import main


@contextlib.contextmanager
def start_two(*flags, log: Path) -> Iterator[list]:
    """Two processes of two devices each, of one run -> their Popen objects."""
    env = environment(XLA_FLAGS=f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=2")
    flags = [*flags, f"--coordinator=localhost:{free_port()}", "--num_processes=2"]
    with contextlib.ExitStack() as stack:
        outputs = [stack.enter_context(open(f"{log}.{number}", "w")) for number in range(2)]
        yield [
            stack.enter_context(start(*flags, f"--process_id={number}", env=env, stdout=out, stderr=out))
            for number, out in enumerate(outputs)
        ]


def finish(processes, log: Path) -> list[str]:
    """What each said, stopped by a signal."""
    codes = [process.wait(timeout=300) for process in processes]
    logs = [Path(f"{log}.{number}").read_text() for number in range(len(processes))]
    assert codes == [os.EX_TEMPFAIL] * len(codes), "\n".join(logs)
    return logs


def test_two_processes_killed_and_stopped_are_one_undisturbed_and_one_goes_on(tmp_path, in_process, caplog):
    """SIGKILL ends both between checkpoints; two go on from there, until SIGTERM to one of them."""
    workdir, whole = tmp_path / "run", tmp_path / "whole"
    # A constant low rate, so that rounding does not grow, and all checkpoints.
    flags = [
        *SMALL,
        "--config.learning_rate=1e-4",
        "--config.decay_after=1.0",
        "--config.checkpoint_every=10",
    ]
    endless = [
        *flags,
        f"--workdir={workdir}",
        "--config.num_steps=1000000",
        "--config.keep_checkpoints=1000000",
    ]
    metrics = workdir / "metrics.jsonl"
    with start_two(*endless, log=tmp_path / "killed") as two:
        wait_for_lines(two[0], metrics, 25)
        for process in two:
            process.send_signal(signal.SIGKILL)
            process.wait()
    killed = metrics.read_text().count("\n")

    with start_two(*endless, log=tmp_path / "stopped") as two:
        wait_for_lines(two[0], metrics, killed + 15)
        two[1].send_signal(signal.SIGTERM)  # not the one that writes the logs
        logs = finish(two, tmp_path / "stopped")
    for log in logs:
        assert 10 <= int(re.search(r"from the checkpoint of step (\d+)", log)[1]) <= killed
    [stopped] = {int(re.search(r"Stopped by SIGTERM at step (\d+)", log)[1]) for log in logs}
    steps = [json.loads(line)["step"] for line in metrics.read_text().splitlines()]
    assert steps == [*range(1, stopped + 1)]
    saved = {int(path.name) for path in (workdir / "checkpoints").iterdir()}
    assert saved == {*range(10, stopped, 10), stopped}

    # This process, of one device, does in one piece what the two did in two, and goes on from where they are.
    compared = 10 * (killed // 10 + 1)
    in_process(main, *flags, f"--workdir={whole}", f"--config.num_steps={compared}")
    (_, alone), (_, together) = last_state(whole), last_state(workdir, compared)
    for a, b in zip(alone, together, strict=True):
        # Sums between processes may be rounded in another order; see test_devices.
        np.testing.assert_allclose(a, b, atol=5e-4)
    caplog.set_level(logging.INFO, "ali_jax")
    in_process(main, *flags, f"--workdir={workdir}", f"--config.num_steps={stopped + 5}")
    assert f"from the checkpoint of step {stopped}" in caplog.text
    assert last_state(workdir)[0] == stopped + 5
