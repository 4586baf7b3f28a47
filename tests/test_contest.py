"""Ours and opponents in turn: experiments/common/contest.py and the comparison of experiments.benchmark."""

import json
import sys
import types

import pytest

from ali_jax.errors import UserError
from experiments import benchmark
from experiments.common import contest


def test_an_opponent_is_run_and_its_last_line_read():
    script = "print('warming up'); print('{\"images_per_second\": 7.5}')"
    found = contest.run([sys.executable, "-c", script])
    assert found["images_per_second"] == 7.5 and found["process_peak_memory_bytes"] > 2**20


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("print('fast')", "JSON"),
        ("print(7.5)", "JSON object with images_per_second"),
        ("print('{\"rate\": 7.5}')", "JSON object with images_per_second"),
        ("raise SystemExit(3)", "status 3"),
        ("pass", "0 lines"),
    ],
)
def test_an_opponent_that_tells_nothing_is_named(script, words):
    with pytest.raises(UserError, match=words):
        contest.run([sys.executable, "-c", script])
    with pytest.raises(UserError, match="cannot be started"):
        contest.run(["no-such-program", script])


def test_opponents_have_names():
    found = contest.named(["Torch: python a.py --b", "Other: c 'd e'"])
    assert found == {"Torch": ["python", "a.py", "--b"], "Other": ["c", "d e"]}
    with pytest.raises(UserError, match="'Torch': there is no program no-such-program"):
        next(contest.hold({"ours": ["never-run"]}, {"Torch": ["no-such-program", "a.py"]}, 1))
    with pytest.raises(UserError, match="'ours' has the name of one of ours"):
        next(contest.hold({"ours": ["never-run"]}, {"ours": [sys.executable]}, 1))
    for wrong in (["python a.py"], [": a"], ["A:"], ["A: b", "A: c"]):
        with pytest.raises(UserError, match="NAME: COMMAND"):
            contest.named(wrong)


def test_what_follows_a_flag_is_its_value_whatever_it_is_called():
    asked = ["--output", "output", "--config=a.py", "-rounds", "3", "--steps", "rounds", "--rounds=4"]
    assert contest.without(asked, ("output", "rounds")) == ["--config=a.py", "--steps", "rounds"]


def test_ours_are_asked_for_what_we_were_asked_for(monkeypatch):
    asked = ["--config=configs/svhn.py", "--opponent", "A: them", "--opponent=B: it", "--rounds", "2"]
    monkeypatch.setattr(sys, "argv", ["benchmark", *asked, "--steps=5", "--output=out", "--dtypes=a,b"])
    found = benchmark.ours(types.SimpleNamespace(dtypes=["a", "b"]))
    program = [
        sys.executable,
        "-m",
        "experiments.benchmark",
        "--config=configs/svhn.py",
        "--steps=5",
        "--noloop",
    ]
    assert found == {"ours, a": [*program, "--config.dtype=a"], "ours, b": [*program, "--config.dtype=b"]}


def test_all_run_in_turn_and_are_compared_round_by_round(monkeypatch):
    rates = {"us": [20.0, 30.0, 10.0], "slow": [10.0, 10.0, 10.0], "fast": [20.0, 15.0, 40.0]}
    turns = []

    def run(command):
        turns.append(*command)
        rate = rates[command[0]][turns.count(command[0]) - 1]
        return {"images_per_second": rate, "process_peak_memory_bytes": 2e9}

    monkeypatch.setattr(contest, "run", run)
    monkeypatch.setattr(contest.shutil, "which", lambda program: program)
    first, _, found = contest.hold({"us": ["us"]}, {"slow": ["slow"], "fast": ["fast"]}, rounds=3)
    assert turns == ["us", "slow", "fast"] * 3
    assert [len(each) for each in first["runs"].values()] == [1, 1, 1]
    assert first["ratios"]["us"]["slow"] == {"median": 2.0, "min": 2.0, "max": 2.0}
    assert found["best_opponent"] == "fast"
    assert found["ratios"]["us"]["slow"] == {"median": 2.0, "min": 1.0, "max": 3.0}
    assert found["ratios"]["us"]["fast"] == {"median": 1.0, "min": 0.25, "max": 2.0}
    assert json.loads(json.dumps(found)) == found
    *_, us, slow, fast = contest.table(found).splitlines()
    assert us == "| us | 20 (10 to 30) | 2.00 |  |"
    assert slow == "| slow | 10 (10 to 10) | 2.00 | 2.00 (1.00 to 3.00) |"
    assert fast == "| **fast** (best opponent) | 20 (15 to 40) | 2.00 | 1.00 (0.25 to 2.00) |"


def test_rounds_before_an_interruption_are_kept(monkeypatch, in_process, tmp_path):
    found = iter([{"images_per_second": 1.0, "process_peak_memory_bytes": 2e9}] * 3)  # of four that are asked

    def run(command):
        return next(found, None) or interrupt()

    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr(contest, "run", run)
    opponent = f"--opponent=A: {sys.executable}"
    flags = ["--config=tests/tiny.py:noise", opponent, "--dtypes=float32", "--rounds=2"]
    with pytest.raises(KeyboardInterrupt):
        in_process(benchmark, *flags, f"--output={tmp_path}")
    kept = json.loads((tmp_path / "results.json").read_text())
    assert [len(each) for each in kept["runs"].values()] == [1, 1] and kept["best_opponent"] == "A"


def test_a_dtype_that_there_is_not_is_refused_before_anything_runs(in_process):
    with pytest.raises(UserError, match="--dtypes=float16 is none of float32, bfloat16"):
        in_process(benchmark, "--config=tests/tiny.py:noise", "--opponent=A: them", "--dtypes=float16")


@pytest.mark.parametrize("flags", [["--dtypes=float32"], ["--rounds=2", "--noloop"]])
def test_flags_of_a_contest_are_refused_where_there_is_none(flags, in_process):
    with pytest.raises(UserError, match=r"--\w+ is of --opponent, not of ours alone"):
        in_process(benchmark, "--config=tests/tiny.py:noise", *flags)
