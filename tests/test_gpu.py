"""experiments.gpu: a plan in slices, and what its parts need."""

import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import flags_of, load_config
from helpers import environment

from ali_jax import data
from ali_jax.data import array_files
from ali_jax.errors import UserError
from ali_jax.run import command_line
from ali_jax.run.signals import Stopped
from experiments.gpu import __main__ as program
from experiments.gpu import plan, slices
from experiments.gpu.plan import Part

# Parts that stand for programs: one counts how often it ran, one stops when it is asked to, and then goes on.
COUNT = "import sys; print(len(open(sys.argv[1], 'a+').read()), file=open(sys.argv[1], 'a'), end='')"
GO_ON = """
import pathlib, signal, sys, time
done = pathlib.Path(sys.argv[1])
def save(*_):
    done.touch()
    sys.exit("Stopped at step 1 of 2.")
signal.signal(signal.SIGTERM, save)
if not done.exists():
    print("begun", flush=True)
    time.sleep(60)
print("Done at step 2 of 2.")
"""
DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("begun", flush=True)
time.sleep(60)
"""
STOPPED_ONCE = """
import os, pathlib, sys
done = pathlib.Path(sys.argv[1])
if not done.exists():
    done.touch()
    sys.exit(os.EX_TEMPFAIL)
"""
IMPORT = """
import importlib, sys
blocked, modules = sys.argv[1].split(), sys.argv[2].split()
sys.modules.update(dict.fromkeys(blocked))  # imports of these raise
for module in modules:
    importlib.import_module(module)
from ali_jax import data
print(data.load("cifar10", "test[1:]", sys.argv[3]).label.tolist())
"""


@pytest.fixture(autouse=True)
def short_slices(monkeypatch):
    monkeypatch.setattr(slices, "SHORTEST", 0.0)
    monkeypatch.setattr(slices, "GRACE", 30.0)


@pytest.fixture
def folder(tmp_path):
    """A plan of four parts: the first goes on when it was stopped, the third fails."""
    parts = [
        Part("train", ["-c", GO_ON, "{folder}/saved"]),
        Part("count", ["-c", COUNT, "{folder}/count"]),
        Part("fail", ["-c", "import sys; sys.exit('No such thing.')"]),
        Part("look", ["-c", "import os; print(os.environ['LOOK'])"], {"LOOK": "seen"}),
    ]
    plan.write(tmp_path, parts)
    return tmp_path


@pytest.fixture
def decoded(tmp_path):
    """A root of data sets that were decoded before: three images a split."""
    for name, splits in plan.DATA.items():
        for split in splits:
            (tmp_path / "root" / name / "1.0.0").mkdir(parents=True, exist_ok=True)
            place = plan.tfds_files.decoded_folder(tmp_path / "root", name, split)
            place.mkdir(parents=True)
            specs = {"x": ((3, 32, 32, 3), np.uint8), "label": ((3,), np.int32)}
            arrays = array_files.create(place, specs)
            arrays["label"][:] = len(split), 1, 2
            array_files.describe(place, arrays, split)
    return tmp_path / "root"


def state_of(folder: Path) -> dict[str, str]:
    return {name: part["status"] for name, part in slices.read_state(folder).items()}


def stop_when_begun(log: Path) -> threading.Thread:
    """Sends this process SIGTERM, as who ends a slice early does, once a part has said something."""

    def wait():
        while not (log.exists() and log.read_text()):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def test_a_slice_stops_its_part_and_the_next_goes_on_until_all_is_done(folder, capsys):
    waiting = stop_when_begun(folder / "results" / "logs" / "train.log")
    with pytest.raises(Stopped):
        slices.run(folder, 2, [])
    waiting.join()
    assert state_of(folder) == {"train": "stopped"}
    assert slices.read_state(folder)["train"]["said"] == "Stopped at step 1 of 2."

    slices.run(folder, 2, [])
    assert state_of(folder) == {"train": "done", "count": "done", "fail": "failed", "look": "done"}
    state = slices.read_state(folder)
    assert [state[name]["slices"] for name in ("train", "count")] == [2, 1]
    assert [state[name]["said"] for name in ("train", "fail", "look")] == [
        *("Done at step 2 of 2.", "No such thing.", "seen"),
    ]
    assert slices.status(folder).endswith("3 of 4 parts are done.")

    before = plan.state_file(folder).read_bytes()
    slices.run(folder, 2, [])  # finds nothing to do: what failed is left
    assert plan.state_file(folder).read_bytes() == before
    slices.run(folder, 2, ["fail", "count"])
    assert slices.read_state(folder)["fail"]["slices"] == 2
    assert (folder / "count").read_text() == "0"


def test_a_slice_ends_by_itself_before_its_minutes_are_over(folder):
    slices.run(folder, 31 / 60, [])
    assert state_of(folder) == {"train": "stopped"}


def test_a_part_that_was_stopped_by_others_goes_on_in_the_next_slice(tmp_path):
    """As where a scheduler signals all processes, and the part hears it before the slice does."""
    parts = [Part("part", ["-c", STOPPED_ONCE, "{folder}/stopped"]), Part("of_it", ["-c", ""], after="part")]
    plan.write(tmp_path, parts)
    slices.run(tmp_path, 2, [])
    assert state_of(tmp_path) == {"part": "stopped"}, "what is of its run waits"
    with pytest.raises(UserError, match="of_it is of what part makes, which is not done; ask for it first"):
        slices.run(tmp_path, 2, ["of_it"])
    slices.run(tmp_path, 2, [])
    assert state_of(tmp_path) == {"part": "done", "of_it": "done"}


def test_what_does_not_stop_is_killed(tmp_path, monkeypatch):
    plan.write(tmp_path, [Part("deaf", ["-c", DEAF])])
    monkeypatch.setattr(slices, "GRACE", 10.1)
    waiting = stop_when_begun(tmp_path / "results" / "logs" / "deaf.log")
    with pytest.raises(Stopped):
        slices.run(tmp_path, 2, [])
    waiting.join()
    assert state_of(tmp_path) == {"deaf": "killed"}


def test_a_part_of_a_slice_that_was_killed_is_begun_again(folder):
    killed = {"count": slices.NEW | {"status": "running", "minutes": 3.0, "slices": 1}}
    plan.state_file(folder).parent.mkdir()
    plan.state_file(folder).write_text(json.dumps(killed))
    slices.run(folder, 2, ["count"])
    found = slices.read_state(folder)["count"]
    assert (found["status"], found["slices"]) == ("done", 2) and found["minutes"] >= 3


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone tells a process that its parent was killed")
def test_a_part_ends_with_a_slice_that_is_killed(folder):
    log = folder / "results" / "logs" / "train.log"
    code = f"import pathlib, experiments.gpu.slices as s; s.run(pathlib.Path({str(folder)!r}), 9, [])"
    with subprocess.Popen([sys.executable, "-c", code], cwd=plan.ROOT, env=environment()) as slice_:
        while not (log.exists() and log.read_text()):
            assert slice_.poll() is None
            time.sleep(0.01)
        slice_.kill()
    until = time.monotonic() + 30
    while "Stopped at step 1 of 2." not in log.read_text():
        assert time.monotonic() < until
        time.sleep(0.01)
    slices.run(folder, 2, ["train"])
    assert state_of(folder)["train"] == "done" and "Done at step 2 of 2." in log.read_text()


def test_one_slice_at_a_time(folder):
    with slices.files.locked(folder / ".lock", lambda: None), pytest.raises(UserError, match="at work"):
        slices.run(folder, 2, [])


@pytest.mark.parametrize(
    ("arguments", "words"), [((1, ["magic"]), "none of train"), ((0.1, []), "at least 0.5")]
)
def test_slices_that_cannot_be_are_named(folder, arguments, words):
    with pytest.raises(UserError, match=words):
        slices.run(folder, *arguments)


def test_a_folder_without_a_plan_is_named(tmp_path):
    with pytest.raises(UserError, match="run `prepare`"):
        slices.run(tmp_path, 1, [])
    (tmp_path / "plan.json").write_text('{"parts": [{"title": "no part"}]}')
    with pytest.raises(UserError, match=r"is no plan .*title"):
        slices.status(tmp_path)
    plan.write(tmp_path, [])
    plan.state_file(tmp_path).parent.mkdir()
    plan.state_file(tmp_path).write_text('{"a')
    with pytest.raises(UserError, match=r"state\.json is damaged; restore it"):
        slices.status(tmp_path)


def test_a_prepared_folder_is_all_that_its_parts_need(decoded, tmp_path, in_process, capsys):
    """Its data load, and the programs start, where what reads TensorFlow's data is not installed."""
    folder = tmp_path / "gpu"
    in_process(program, "prepare", f"--workdir={folder}", f"--config.data_dir={decoded}")
    assert capsys.readouterr().out.endswith(f"0 of {len(plan.read(folder))} parts are done.\n")
    # Also from the copy itself, which is not written over.
    in_process(program, "prepare", f"--workdir={folder}", f"--config.data_dir={folder / 'data'}")
    for name, splits in plan.DATA.items():
        for split in splits:
            assert data.load(name, split, str(folder / "data")).label.tolist() == [len(split), 1, 2]
    blocked = "tensorflow tensorflow_datasets clu tensorboard importlib_resources"
    modules = {part.command[1] for part in plan.read(folder)} - {"pytest"}
    given = [blocked, " ".join(["experiments.gpu.__main__", *modules]), str(folder / "data")]
    run = subprocess.run(
        [sys.executable, "-c", IMPORT, *given], cwd=plan.ROOT, capture_output=True, text=True
    )
    assert (run.returncode, run.stdout) == (0, "[1, 2]\n"), run.stderr

    plan.state_file(folder).parent.mkdir()
    plan.state_file(folder).write_text("{}")
    with pytest.raises(UserError, match="was begun"):
        in_process(program, "prepare", f"--workdir={folder}", f"--config.data_dir={decoded}")


@pytest.mark.parametrize("share", [1.0, 1e-6])
def test_every_command_of_the_plan_is_one_that_its_program_knows(share, monkeypatch):
    parts = plan.all_parts(share, "PyTorch: torch_ali.py {model} --batch {batch} --{dtype}")
    assert len({part.name for part in parts}) == len(parts)
    monkeypatch.chdir(plan.ROOT)
    for part in parts:
        flag, module, *arguments = part.command
        assert flag == "-m"
        if module == "pytest":
            assert Path(arguments[-1]).is_file()
            continue
        main = f"{module}.__main__" if (plan.ROOT / module.replace(".", "/")).is_dir() else module
        with flags_of(importlib.import_module(main)):
            command_line.parse_flags([module, *arguments])
            command_line.config_lib.check(command_line.flags.FLAGS.config)


def test_lengths_are_those_of_the_configs_and_their_share():
    assert (
        f"--config.num_steps={load_config('cifar10_semi_supervised').num_steps}"
        in plan.cifar10(1.0)[0].command
    )
    assert f"--config.num_steps={load_config('mixture', 'ali').num_steps}" in plan.mixture(1.0)[0].command
    assert plan.lengths(540_000, 0.5) == [
        *("--config.num_steps=270000", "--config.log_every=1000"),
        *("--config.figures_every=10000", "--config.checkpoint_every=10000"),
    ]


def test_benchmarks_run_beside_an_opponent_of_the_same_size():
    found = plan.benchmarks(1.0, "PyTorch: torch_ali.py {model} --batch {batch}")
    last = found[-1]
    assert last.name == "benchmark_cifar10_1000_bfloat16" and last.environment == {}
    beside = {"--opponent=PyTorch: torch_ali.py cifar10 --batch 1000", "--dtypes=bfloat16"}
    assert {*beside, "--config.dtype=bfloat16"} < {*last.command}
    assert "--dtypes=float32" in found[1].command and "--config.dtype=bfloat16" not in found[1].command
    assert found[1].environment == {"JAX_DEFAULT_MATMUL_PRECISION": "tensorfloat32"}


@pytest.mark.parametrize(
    ("command", "flag"), [("status", "--share=0.5"), ("run", "--share=0.5"), ("prepare", "--parts=a")]
)
def test_a_flag_of_another_command_is_refused(command, flag, tmp_path, in_process):
    with pytest.raises(UserError, match=rf"--\w+ is of \w+, not of {command}; leave it out"):
        in_process(program, command, flag, f"--workdir={tmp_path}")


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ("--opponent=torch_ali.py {model}", "NAME: COMMAND"),
        ("--share=nan", "--share is nan"),
        ("--minutes=nan", "--minutes is nan"),
        ("--config.dtype=bfloat16", "each of its parts; leave --config.dtype out"),
    ],
)
def test_what_cannot_be_planned_is_refused_before_anything_is_copied(flag, said, tmp_path, in_process):
    with pytest.raises(UserError, match=said):
        in_process(program, "prepare", f"--workdir={tmp_path / 'gpu'}", flag)
    assert not (tmp_path / "gpu").exists()
