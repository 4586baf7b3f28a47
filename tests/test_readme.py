"""The README's code runs as printed."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
ENCODE, PIPELINE, LOOP = re.findall(r"^```python\n(.*?)^```", README, re.M | re.S)


def test_the_loop_trains(monkeypatch, capsys):
    """200 of its 1,000 steps."""
    assert len(LOOP.splitlines()) <= 20 and LOOP.count("range(1000)") == 1
    monkeypatch.chdir(ROOT)
    scope: dict = {}
    exec(LOOP.replace("range(1000)", "range(200)"), scope)
    assert int(scope["state"].step) == 200
    printed = capsys.readouterr().out.splitlines()
    assert [line.split(" 0.")[0] for line in printed] == [f"{number} D_real" for number in (0, 100)]
    # E grows surer than the prior it starts at.
    assert scope["metrics"]["sigma_mean"] < 0.9


def test_five_lines_encode_images(tmp_path, tiny_workdir, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_workdir, "runs/digits")
    assert len([line for line in ENCODE.splitlines() if line]) <= 5
    scope: dict = {}
    exec(ENCODE, scope)
    assert scope["codes"].shape == (297, 3) and np.isfinite(scope["codes"]).all()


def test_a_pipeline_classifies_digits(tmp_path, tiny_workdir, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_workdir, "runs/digits")
    exec(PIPELINE.replace('"layer_2"', '"layer_1"'), {})  # the tiny run has one hidden layer
    assert float(capsys.readouterr().out) > 0.6


@pytest.mark.parametrize("number", [0, 1])
def test_both_commands_set_everything_up(number):
    block = re.findall(r"^```bash\n(.*?)^```", README, re.M | re.S)[number]
    assert "pip install -r requirements.txt" in block
    assert ("ali_jax.main" if number == 0 else "pytest") in block
