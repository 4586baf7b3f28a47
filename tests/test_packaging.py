"""What `pip install .` brings, and that the game needs no more."""

import os
import subprocess
import sys
import tomllib

from helpers import ROOT, WITHOUT_CLU

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
DYNAMIC = PROJECT["tool"]["setuptools"]["dynamic"]

# A default run of two steps, in a process where only what `pip install .` brings can be imported.
RUN = """
import sys

for name in sys.argv[1:]:
    sys.modules[name] = None  # "import name" raises ImportError

import pkgutil
import runpy

import ali_jax

for module in pkgutil.walk_packages(ali_jax.__path__, "ali_jax."):
    if not module.name.startswith("ali_jax.app.page"):  # the only place that imports NiceGUI
        __import__(module.name)

sys.argv[1:] = ["--workdir=run", "--config.num_steps=2", "--config.log_every=1"]
runpy.run_module("ali_jax.main", run_name="__main__")
"""


def names(path: str) -> set[str]:
    """The requirements of a file, without their versions."""
    lines = [line.split("#")[0].strip() for line in (ROOT / path).read_text().splitlines()]
    return {line.split(">=")[0].split(";")[0].split("[")[0] for line in lines if line}


def test_the_package_requires_the_game_alone():
    (path,) = DYNAMIC["dependencies"]["file"]
    assert names(path) >= {"jax", "flax", "optax", "orbax-checkpoint", "scikit-learn"}
    extras = {file for extra in DYNAMIC["optional-dependencies"].values() for file in extra["file"]}
    assert extras | {path} == {f"requirements/{file.name}" for file in (ROOT / "requirements").iterdir()}
    for extra in extras:
        assert extra == "requirements/tpu.txt" or not names(path) & names(extra)


def test_requirements_are_the_game_and_all_extras_but_tpus():
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    listed = {line.removeprefix("-r ") for line in lines if line.startswith("-r ")}
    there = {f"requirements/{file.name}" for file in (ROOT / "requirements").iterdir()}
    assert listed == there - {"requirements/tpu.txt"}


def test_no_part_of_the_package_is_left_out():
    rooms = {
        ".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "ali_jax").rglob("__init__.py")
    }
    assert rooms | {"ali_jax.configs"} == set(PROJECT["tool"]["setuptools"]["packages"])


def test_the_default_trains_without_any_extra(tmp_path):
    missing = "clu tensorboard tensorflow tensorflow_datasets importlib_resources nicegui pytest ruff".split()
    run = subprocess.run(
        [sys.executable, "-c", RUN, *missing],
        cwd=tmp_path,
        env={
            **{name: value for name, value in os.environ.items() if name.startswith(("JAX_", "XLA_"))},
            # Its module clu is none, for the process that writes events.
            **{"PYTHONPATH": f"{ROOT}{os.pathsep}{WITHOUT_CLU}", "HOME": str(tmp_path), "PATH": ""},
        },
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert run.stderr.count("Not writing to TensorBoard") == 1
    assert (tmp_path / "run" / "metrics.jsonl").read_text().count("\n") == 1
    assert (tmp_path / "run" / "checkpoints" / "2").is_dir()
