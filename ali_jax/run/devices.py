"""One `data` axis over all devices: where the state and the batches live.

Under `jax.jit` with these shardings every mean over the batch (losses, gradients, BatchNorm statistics) is
over the global batch, so 8 devices train what 1 device trains.
"""

import importlib.util
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ali_jax.errors import UserError, first_line

logger = logging.getLogger(__name__)


def start_processes(
    coordinator: str | None = None, num_processes: int | None = None, process_id: int | None = None
) -> None:
    """Joins the processes of a run; to be called before anything else touches a device.

    Without arguments, JAX finds the others where the environment tells of them: $JAX_COORDINATOR_ADDRESS
    (with $JAX_NUM_PROCESSES and $JAX_PROCESS_ID), a SLURM or Open MPI step of several tasks, a Cloud TPU.
    Elsewhere this process is alone.

    Args:
      coordinator: host:port of process 0.
      num_processes: of the whole run.
      process_id: of this one, from 0.

    Raises:
      UserError: some of the three are given, but not all.
    """
    coordinator = coordinator or os.environ.get("JAX_COORDINATOR_ADDRESS")
    num_processes = _number(num_processes, "JAX_NUM_PROCESSES")
    process_id = _number(process_id, "JAX_PROCESS_ID")
    told = (coordinator, num_processes, process_id)
    if told == (None, None, None):
        if _in_cluster():
            _initialize("where the cluster says")
        return
    if None in told:
        raise UserError(
            f"Of several processes, the coordinator is {coordinator}, their number {num_processes} and this "
            f"one's {process_id}: pass all three of --coordinator, --num_processes and --process_id (or set "
            "JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID), or none."
        )
    _check_processes(*told)
    _initialize(f"at {coordinator}", *told)


def _initialize(where: str, *told: str | int) -> None:
    logger.info("Waiting for the other processes of the run %s.", where)
    try:
        jax.distributed.initialize(*told)
    except (RuntimeError, ValueError) as error:  # of what this process or JAX's service meets
        raise UserError(
            f"The processes of the run do not find each other {where} ({first_line(error)}); pass "
            "--coordinator, the address of process 0, the same to all, with --num_processes and "
            "--process_id, and start all of them."
        ) from error


def _number(given: int | None, variable: str) -> int | None:
    """What was given, or the environment says."""
    if given is not None or variable not in os.environ:
        return given
    if not os.environ[variable].isdecimal():
        raise UserError(f"${variable} is {os.environ[variable]!r}; it must be a whole number.")
    return int(os.environ[variable])


def _check_processes(coordinator: str, num_processes: int, process_id: int) -> None:
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise UserError(f"The coordinator is {coordinator!r}; it must be host:port, such as localhost:1234.")
    if not 0 <= process_id < num_processes:
        raise UserError(
            f"This process is number {process_id} of {num_processes} processes; they count from 0 to "
            f"{num_processes - 1}."
            if num_processes > 0
            else f"The number of processes is {num_processes}; it must be at least 1."
        )


def _in_cluster() -> bool:
    """Whether JAX would find other processes, or the TPU runtime that tells of them."""
    tasks = (os.environ.get(name, "1") for name in ("SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE"))
    chips = [*Path("/dev").glob("accel[0-9]*"), *Path("/dev/vfio").glob("[0-9]*")]
    # On the machine of a TPU a run on its CPU is alone: the others are not told to join.
    asked = jax.config.jax_platforms
    may_be_tpu = not asked or "tpu" in asked.split(",")
    on_tpu = bool(chips) and importlib.util.find_spec("libtpu") is not None and may_be_tpu
    return any(int(count) > 1 for count in tasks) or on_tpu


def check_platform() -> None:
    """Raises UserError where JAX cannot start what $JAX_PLATFORMS asks for, or finds no device."""
    try:
        jax.devices()
    except (AssertionError, RuntimeError) as error:
        asked = jax.config.jax_platforms
        reason = first_line(error) or type(error).__name__
        raise UserError(
            f"JAX cannot start the platform {asked or 'it found'} ({reason}); install what it needs, such as "
            "jax[cuda12] for a GPU, or set JAX_PLATFORMS to another, such as cpu."
        ) from error


def make_mesh(over: Sequence[jax.Device] | None = None) -> Mesh:
    """All devices of all processes, or those given, along one axis, `data`."""
    return Mesh(np.asarray(jax.devices() if over is None else over), ("data",))


def check_batch_size(batch_size: int, mesh: Mesh, packing: int = 1) -> None:
    """Raises UserError if the devices cannot share a batch, in whole packs of examples, equally."""
    share = mesh.size * packing
    if batch_size % share:
        fits = batch_size // share * share or share
        packs = "" if packing == 1 else f" in packs of {packing}"
        raise UserError(
            f"config.batch_size is {batch_size}, which {mesh.size} devices cannot share equally{packs}; "
            f"it must be a multiple of {share}, such as {fits}."
        )


def replicated(mesh: Mesh) -> NamedSharding:
    """The whole array on every device: the state."""
    return NamedSharding(mesh, PartitionSpec())


def split_batch(mesh: Mesh) -> NamedSharding:
    """The first axis over the devices: a batch."""
    return NamedSharding(mesh, PartitionSpec("data"))


def split_batches(mesh: Mesh) -> NamedSharding:
    """The second axis over the devices: consecutive batches, (steps, batch_size, ...)."""
    return NamedSharding(mesh, PartitionSpec(None, "data"))


def put_batches(batches: list[Mapping[str, np.ndarray]], mesh: Mesh) -> dict[str, jax.Array]:
    """This process's rows of consecutive batches, to the devices: (steps, batch_size, ...) arrays."""
    sharding = split_batches(mesh)
    return {
        key: jax.make_array_from_process_local_data(sharding, np.stack([batch[key] for batch in batches]))
        for key in batches[0]
    }


def placed(shapes, sharding: jax.sharding.Sharding):
    """Shapes of arrays that are laid out so, to trace or compile for them before they are there."""
    return jax.tree.map(lambda s: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=sharding), shapes)


def local_copy(tree):
    """The first local device's copy of replicated arrays, for computations that one process does alone."""
    return jax.tree.map(lambda array: array.addressable_data(0), tree)


def any_process(condition: bool) -> bool:
    """Whether the condition holds in any process of the run; to be asked by all of them."""
    if jax.process_count() == 1:
        return condition
    from jax.experimental import multihost_utils

    return bool(multihost_utils.process_allgather(np.asarray(condition)).any())


def by_process_0(write: Callable[[], None], elsewhere: UserError) -> None:
    """Calls `write` in the first process of the run, for which all wait.

    Raises:
      UserError: `write` raised it; in the other processes `elsewhere`, as they would wait without end.
    """
    refused = None
    if jax.process_index() == 0:
        try:
            write()
        except UserError as error:
            refused = error
    if any_process(refused is not None):
        raise refused or elsewhere
