"""Seconds to the first step: experiments/start.py."""

import json
import os
from pathlib import Path

import pytest

from ali_jax.errors import UserError
from experiments import start


def test_a_start_ends_with_its_first_step(tmp_path):
    workdir, cache = tmp_path / "run", Path(os.environ["JAX_COMPILATION_CACHE_DIR"])  # that of all tests
    found = start.start(["--config=tests/tiny.py:noise", f"--workdir={workdir}"], cache)
    assert 0 < found["imported_seconds"] < found["first_step_seconds"]
    assert (workdir / "config.json").exists() and not [*workdir.glob("checkpoints/*")]


def test_a_start_that_fails_is_named(tmp_path):
    with pytest.raises(UserError, match=r"no_such\.py .*ended with status 1 before its first step"):
        start.start(["--config=no_such.py", f"--workdir={tmp_path}"], tmp_path / "cache")


def test_a_config_where_several_are_asked_for_is_refused(in_process):
    with pytest.raises(UserError, match="--configs in place of --config"):
        in_process(start, "--config=configs/celeba.py")


def test_cold_starts_have_an_empty_cache_and_warm_ones_that_of_the_cold(monkeypatch, run_program):
    seen = []

    def pretend(arguments, cache):
        cold = not cache.exists()
        seen.append((arguments[0], cold))
        cache.mkdir(exist_ok=True)
        return {"imported_seconds": 1.0, "first_step_seconds": 3.0 + 4.0 * cold + len(seen) % 3}

    monkeypatch.setattr(start, "start", pretend)
    monkeypatch.setattr(start.sys, "argv", ["start", "--configs=a.py,b.py", "--starts=2"])
    results, _ = run_program(start, configs=["a.py", "b.py"], starts=2)
    a, b = "--config=a.py", "--config=b.py"
    assert seen == [(a, True), (b, True)] + 2 * [(a, True), (a, False), (b, True), (b, False)]
    # The starts of a.py are the 3rd and 4th, and the 7th and 8th.
    assert results["starts"]["a.py"]["cold"]["first_step_seconds"] == {"median": 7.5, "min": 7.0, "max": 8.0}
    assert json.dumps(results["starts"]["a.py"]["warm"])
    *_, cold, warm = start.table({"a.py": results["starts"]["a.py"]}).splitlines()
    assert cold == "| a.py | cold | 1.0 (1.0 to 1.0) | 7.5 (7.0 to 8.0) |" and warm.startswith(
        "| a.py | warm |"
    )
