"""Eight devices train what one trains, and exchange gradients and statistics, nothing else."""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from ali_jax import sharding
from ali_jax.errors import UserError

HERE = Path(__file__).parent


@functools.cache
def findings(name: str) -> dict:
    """What eight_devices.py finds out about a config, in a process with 8 host devices."""
    result = subprocess.run(
        [sys.executable, HERE / "eight_devices.py", name],
        cwd=HERE.parent,
        env={**os.environ, "PYTHONPATH": str(HERE.parent)},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


# svhn has batch normalisation in D, cifar10 has none.
@pytest.mark.parametrize("name", ["svhn", "cifar10"])
def test_eight_devices_train_what_one_trains(name):
    """20 steps. Sums over the batch are rounded in another order: 1e-6 of a loss near 2, at first.

    Adam moves a parameter by up to the learning rate, 1e-4, in the direction of its gradient's sign, however
    small the gradient: where rounding turns the sign of a gradient near zero, parameters part by 2e-4 a step.
    Other noise, masks or data would change the losses by their own spread, some 1e-2.
    """
    found = findings(name)
    assert found["largest_loss_difference"] < 2e-3
    assert found["largest_statistic_difference"] < 2e-3
    assert found["largest_parameter_difference"] < 2e-4 * 20


@pytest.mark.parametrize("name", ["svhn", "cifar10"])
def test_a_step_reduces_gradients_and_statistics_and_nothing_else(name, capsys):
    """All-reduces only, of the gradients and of BatchNorm's sums: for each normalised channel two sums in the
    forward pass and two in each of the backward passes, of which D has two. Scalars are losses and metrics.
    """
    found = findings(name)
    reduced = found["collectives"]["all-reduce"]["bytes"]
    least = found["parameter_bytes"]
    most = least + 3 * found["statistic_bytes"] + 4 * 64
    with capsys.disabled():
        print(f"\n{name}: {reduced:,} bytes reduced; {least:,} of gradients, at most {most:,} in all")
    assert set(found["collectives"]) == {"all-reduce"}
    assert least <= reduced <= most


def mesh_of(size: int):
    return jax.sharding.Mesh(np.asarray(jax.devices() * size), ("data",))


def test_a_batch_that_the_devices_cannot_share_is_refused():
    sharding.check_batch_size(100, mesh_of(4))
    with pytest.raises(UserError, match="multiple of 8, such as 96"):
        sharding.check_batch_size(100, mesh_of(8))
    with pytest.raises(UserError, match="such as 8"):
        sharding.check_batch_size(4, mesh_of(8))


def test_put_batches_keeps_values_and_order():
    mesh = mesh_of(1)
    rows = [{"x": np.full((2, 3), step, np.uint8)} for step in range(4)]
    placed = sharding.put_batches(rows, mesh)["x"]
    assert placed.shape == (4, 2, 3)
    np.testing.assert_array_equal(placed[:, 0, 0], range(4))


def test_half_a_description_of_several_processes_is_refused(monkeypatch):
    for name in ("JAX_NUM_PROCESSES", "JAX_PROCESS_ID"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UserError, match="num_processes"):
        sharding.start_processes("localhost:1234", num_processes=2)


def test_alone_without_a_cluster_nothing_is_started():
    sharding.start_processes()
    assert jax.process_count() == 1
