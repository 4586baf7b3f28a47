"""Eight devices train what one trains, and exchange gradients and statistics, nothing else."""

import json
import os
import shutil
import subprocess
import sys
import types
from pathlib import Path

import jax
import numpy as np
import pytest
from helpers import WITHOUT_CLU, environment

from ali_jax import data, inference, train
from ali_jax.errors import UserError
from ali_jax.run import devices
from ali_jax.run.workdirs import read_config

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


def run(script: str, *arguments) -> str:
    """What a script beside this one prints, in a process of its own, for which it sets 8 host devices."""
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "tests", WITHOUT_CLU)))
    done = subprocess.run(
        [sys.executable, HERE / script, *arguments],
        cwd=ROOT,
        env=environment(PYTHONPATH=paths, XLA_FLAGS=os.environ["XLA_FLAGS"]),
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# svhn has batch normalisation in D, cifar10 has none; see eight_devices.py for the others.
NAMES = ("svhn", "cifar10", "packs", "few_labels")


@pytest.fixture(scope="module")
def findings() -> dict:
    """What eight_devices.py finds out about each config."""
    return json.loads(run("eight_devices.py", *NAMES).splitlines()[-1])


@pytest.mark.parametrize("name", NAMES)
def test_eight_devices_train_what_one_trains(name, findings):
    """20 steps; sums over the batch are rounded in another order: 1e-6 of a number near 1.

    Other noise, masks or data would change the losses by their own spread, some 1e-2. Gradients are compared
    by Adam's averages of them: a parameter moves by the learning rate in the direction of its gradient's sign
    however small that is, and says little.
    """
    found = findings[name]
    assert found["largest_loss_difference"] < 1e-4
    assert found["largest_statistic_difference"] < 1e-4
    assert found["largest_moment_difference"] < 1e-2


def test_no_example_of_a_pack_or_of_twins_changes_device(findings):
    assert set(findings["packs"]["collectives"]) == {"all-reduce"}


@pytest.mark.parametrize("name", ("svhn", "cifar10"))
def test_a_step_reduces_gradients_and_statistics_and_nothing_else(name, findings, capsys):
    """All-reduces only, of the gradients and of BatchNorm's sums: for each normalised channel two sums in the
    forward pass and two in each of the backward passes, of which D has two. Scalars are losses and metrics.
    """
    found = findings[name]
    reduced = found["collectives"]["all-reduce"]["bytes"]
    least = found["parameter_bytes"]
    most = least + 3 * found["statistic_bytes"] + 4 * 64
    with capsys.disabled():
        print(f"\n{name}: {reduced:,} bytes reduced; {least:,} of gradients, at most {most:,} in all")
    assert set(found["collectives"]) == {"all-reduce"}
    assert least <= reduced <= most


@pytest.fixture(scope="module")
def workdir_of_eight(tmp_path_factory):
    """A workdir of 12 steps on 8 devices; said.npz holds what the model said there."""
    workdir = tmp_path_factory.mktemp("eight")
    run("eight_devices_checkpoint.py", workdir)
    return workdir


def test_one_device_reads_what_eight_wrote(workdir_of_eight):
    assert len(jax.devices()) == 1
    said = np.load(workdir_of_eight / "said.npz")
    model = inference.load(workdir_of_eight)
    images = data.load("digits", "test").x[:5]
    np.testing.assert_allclose(inference.encode(model, images), said["codes"], rtol=1e-5, atol=1e-6)
    samples = inference.sample(model, jax.random.key(0), 5)
    np.testing.assert_allclose(samples, said["samples"], rtol=1e-5, atol=1e-6)


def test_a_run_on_eight_devices_goes_on_on_one(workdir_of_eight, tmp_path):
    workdir = shutil.copytree(workdir_of_eight, tmp_path / "copy")
    before = inference.load(workdir, step=12)
    config = read_config(workdir)
    config.num_steps = 16
    state = train.train_and_evaluate(config, workdir)
    steps = [json.loads(line)["step"] for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    assert steps == [2, 4, 6, 8, 10, 12, 14, 16]  # none again
    assert state.params.generator["stack"]["layer_1"]["kernel"].dtype == np.float32
    for was, now in zip(jax.tree.leaves(before.params), jax.tree.leaves(state.params), strict=True):
        # Four of Adam's steps, each by the learning rate at most (by little more in its first).
        assert 0 < np.abs(now - was).max() < 2 * 4 * config.learning_rate


def mesh_of(size: int):
    return jax.sharding.Mesh(np.asarray(jax.devices() * size), ("data",))


def test_a_batch_that_the_devices_cannot_share_is_refused():
    devices.check_batch_size(100, mesh_of(4))
    with pytest.raises(UserError, match="multiple of 8, such as 96"):
        devices.check_batch_size(100, mesh_of(8))
    with pytest.raises(UserError, match="such as 8"):
        devices.check_batch_size(4, mesh_of(8))
    devices.check_batch_size(96, mesh_of(4), packing=3)
    with pytest.raises(UserError, match=r"equally in packs of 3; .* of 12, such as 96"):
        devices.check_batch_size(100, mesh_of(4), packing=3)


def test_put_batches_keeps_values_and_order():
    mesh = mesh_of(1)
    rows = [{"x": np.full((2, 3), step, np.uint8)} for step in range(4)]
    placed = devices.put_batches(rows, mesh)["x"]
    assert placed.shape == (4, 2, 3)
    np.testing.assert_array_equal(placed[:, 0, 0], range(4))


@pytest.mark.parametrize("told", [("localhost:1234", 2, None), (None, 2, 1), (None, None, 0)])
def test_half_a_description_of_several_processes_is_refused(monkeypatch, told):
    for name in ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UserError, match="num_processes"):
        devices.start_processes(*told)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (("localhost", 2, 0), "'localhost'; it must be host:port"),
        (("localhost:port", 2, 0), "must be host:port"),
        ((":1234", 2, 0), "must be host:port"),
        (("localhost:123456", 2, 0), "must be host:port"),
        (("localhost:1234", 2, 2), "number 2 of 2 processes; they count from 0 to 1"),
        (("localhost:1234", 0, 0), "processes is 0; it must be at least 1"),
    ],
)
def test_processes_that_cannot_be_are_refused(told, words):
    with pytest.raises(UserError, match=words):
        devices.start_processes(*told)


def test_the_environment_may_be_wrong(monkeypatch):
    monkeypatch.setenv("JAX_NUM_PROCESSES", "two")
    with pytest.raises(UserError, match=r"\$JAX_NUM_PROCESSES is 'two'"):
        devices.start_processes("localhost:1234", None, 0)


def test_processes_that_do_not_find_each_other_are_told(monkeypatch):
    def refuse(*told):
        raise RuntimeError("DEADLINE_EXCEEDED: nobody there\nmore")

    monkeypatch.setattr(jax.distributed, "initialize", refuse)
    with pytest.raises(UserError, match=r"do not find each other at localhost:1234 .*nobody there"):
        devices.start_processes("localhost:1234", 2, 1)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (RuntimeError("There is no 'cuda'\nmore"), r"\(There is no 'cuda'\); install what it needs"),
        (AssertionError(), r"\(AssertionError\); install what it needs"),
    ],
)
def test_a_platform_that_cannot_be_started_is_told(monkeypatch, error, words):
    def refuse():
        raise error

    devices.check_platform()
    monkeypatch.setattr(jax, "devices", refuse)
    with pytest.raises(UserError, match=words):
        devices.check_platform()


def test_a_process_says_that_it_waits(monkeypatch, caplog):
    caplog.set_level("INFO")
    monkeypatch.setattr(jax.distributed, "initialize", lambda *told: None)
    devices.start_processes("localhost:1234", 2, 1)
    assert "Waiting for the other processes of the run at localhost:1234" in caplog.text


def test_a_cluster_that_does_not_say_where_the_others_are_is_told(monkeypatch):
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "2")
    with pytest.raises(UserError, match=r"do not find each other where the cluster says \(.*--coordinator"):
        devices.start_processes()


def test_alone_without_a_cluster_nothing_is_started():
    devices.start_processes()
    assert jax.process_count() == 1


@pytest.mark.parametrize(("platforms", "found"), [("", True), ("tpu,cpu", True), ("cpu", False)])
def test_a_run_on_the_cpu_of_a_tpu_is_alone(monkeypatch, platforms, found):
    monkeypatch.setattr(devices.Path, "glob", lambda path, pattern: iter([path / "accel0"]))
    monkeypatch.setattr(devices.importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(devices.jax, "config", types.SimpleNamespace(jax_platforms=platforms))
    for name in ("SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert devices._in_cluster() is found
