"""One `data` axis over all devices: where the state and the batches live.

Under `jax.jit` with these shardings every mean over the batch (losses, gradients, BatchNorm statistics) is
over the global batch, so 8 devices train what 1 device trains.
"""

from collections.abc import Mapping

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ali_jax.errors import UserError


def make_mesh() -> Mesh:
    """All devices of all processes along one axis, `data`."""
    return Mesh(np.asarray(jax.devices()), ("data",))


def check_batch_size(batch_size: int, mesh: Mesh) -> None:
    """Raises UserError if the devices cannot share a batch equally."""
    if batch_size % mesh.size:
        fits = batch_size // mesh.size * mesh.size or mesh.size
        raise UserError(
            f"config.batch_size is {batch_size}, which {mesh.size} devices cannot share equally; "
            f"it must be a multiple of {mesh.size}, such as {fits}."
        )


def replicated(mesh: Mesh) -> NamedSharding:
    """The whole array on every device: the state."""
    return NamedSharding(mesh, PartitionSpec())


def split_batch(mesh: Mesh) -> NamedSharding:
    """The first axis over the devices: a batch."""
    return NamedSharding(mesh, PartitionSpec("data"))


def put_batches(batches: list[Mapping[str, np.ndarray]], mesh: Mesh) -> dict[str, jax.Array]:
    """This process's rows of consecutive batches, to the devices: (steps, batch_size, ...) arrays."""
    sharding = NamedSharding(mesh, PartitionSpec(None, "data"))
    return {
        key: jax.make_array_from_process_local_data(sharding, np.stack([batch[key] for batch in batches]))
        for key in batches[0]
    }
