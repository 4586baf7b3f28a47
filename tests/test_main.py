"""The program as a user starts it: in a process of its own."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from ali_jax import build
from ali_jax.run.checkpoints import Checkpoints
from ali_jax.run.workdirs import read_config

ROOT = Path(__file__).parent.parent
SMALL = ["--config.batch_size=16", "--config.log_every=1", "--config.steps_per_dispatch=1"]


def command(*flags):
    return [sys.executable, "-m", "ali_jax.main", *map(str, flags)]


def run(*flags):
    return subprocess.run(command(*flags), cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


def last_state(workdir):
    device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    with Checkpoints(workdir) as checkpoints:
        shapes = build.game(read_config(workdir)).shapes
        step, state = checkpoints.restore(shapes, device)
    return step, jax.tree.leaves(state._replace(key=jax.random.key_data(state.key)))


def test_killed_at_any_moment_and_resumed_it_ends_bit_identical(tmp_path):
    """A run that SIGKILL ends twice, against a run that nothing disturbed."""
    flags = [*SMALL, "--config.checkpoint_every=20", "--config.figures_every=1000"]
    whole = run(*flags, f"--workdir={tmp_path / 'whole'}", "--config.num_steps=200")
    assert whole.returncode == 0, whole.stderr
    workdir = tmp_path / "killed"
    for lines in (30, 75):
        process = subprocess.Popen(
            command(*flags, f"--workdir={workdir}", "--config.num_steps=200"),
            cwd=ROOT,
            stderr=subprocess.DEVNULL,
        )
        wait_for_lines(process, workdir / "metrics.jsonl", lines)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    resumed = run(*flags, f"--workdir={workdir}", "--config.num_steps=200")
    assert resumed.returncode == 0, resumed.stderr
    begun_at = int(re.search(r"from the checkpoint of step (\d+)", resumed.stderr)[1])
    assert 20 <= begun_at < 200
    (step_whole, state_whole), (step, state) = last_state(tmp_path / "whole"), last_state(workdir)
    assert step_whole == step == 200
    for a, b in zip(state_whole, state, strict=True):
        np.testing.assert_array_equal(a, b)


def wait_for_lines(process, path, count):
    for _ in range(2000):
        assert process.poll() is None, "the run ended before it could be killed"
        if path.exists() and path.read_text().count("\n") >= count:
            return
        time.sleep(0.05)
    raise AssertionError(f"{path} did not reach {count} lines")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--config=configs/nowhere.py"], "configs/nowhere.py"),
        (["--config=configs/svhn.py", "--config.data_dir=/nowhere/at/all"], "/nowhere/at/all is no folder"),
        (["--config=configs/cifar10.py:other"], "other"),
        (["--config=configs/svhn.py:paper"], "knows no variants"),
        (["--config.batch_size=0"], "batch_size"),
        (["--config.batch_sise=10"], "batch_sise"),
        (["--config.batch_size=ten"], "ten"),
        (["--workdir=/dev/null/run"], "/dev/null/run"),
        (["config=configs/svhn.py"], "config=configs/svhn.py"),
    ],
)
def test_mistakes_end_in_one_sentence(tmp_path, flags, words):
    if not any(flag.startswith("--workdir") for flag in flags):
        flags = [*flags, f"--workdir={tmp_path}"]
    result = run(*flags)
    assert result.returncode != 0
    assert words in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "checkpoints").exists()


def test_importing_the_game_needs_no_tensorflow_and_the_package_little_time():
    script = (
        "import time; start = time.perf_counter(); import ali_jax; seconds = time.perf_counter() - start\n"
        "import sys; sys.modules['tensorflow'] = sys.modules['tensorflow_datasets'] = None\n"
        "import ali_jax.train, ali_jax.inference, ali_jax.train_step\n"
        "assert 'clu' not in sys.modules and 'matplotlib' not in sys.modules\n"
        "assert seconds < 2, seconds\n"
        "from ali_jax import data; data.load('digits', 'train')"
    )
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment, check=True, timeout=120)
