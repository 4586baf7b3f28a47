"""The README's code runs as printed."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
ENCODE, LOOP = re.findall(r"^```python\n(.*?)^```", README, re.M | re.S)


def test_the_loop_trains():
    assert len(LOOP.splitlines()) <= 20
    # In a process without the tests' flags of the compiler, with which 1,000 steps take long.
    command = [sys.executable, "-c", LOOP + "print(int(state.step), float(metrics['sigma_mean']))"]
    environment = {**os.environ, "XLA_FLAGS": ""}
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    *printed, last = done.stdout.splitlines()
    assert len(printed) == 10 and printed[-1].startswith("900 D_real 0.")
    steps, sigma = last.split()
    # E grows surer than the prior it starts at.
    assert int(steps) == 1000 and float(sigma) < 0.9


def test_five_lines_encode_images(tmp_path, tiny_workdir, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_workdir, "runs/digits")
    assert len([line for line in ENCODE.splitlines() if line]) <= 5
    scope: dict = {}
    exec(ENCODE, scope)
    assert scope["codes"].shape == (297, 3) and np.isfinite(scope["codes"]).all()


@pytest.mark.parametrize("number", [0, 1])
def test_both_commands_set_everything_up(number):
    block = re.findall(r"^```bash\n(.*?)^```", README, re.M | re.S)[number]
    assert "pip install -r requirements.txt" in block
    assert ("ali_jax.main" if number == 0 else "pytest") in block
