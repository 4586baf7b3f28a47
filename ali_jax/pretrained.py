"""Trained networks without what trained them: what a workdir's checkpoints hold of the model.

Nothing here depends on the game that was played, its terms or its optimizers.
"""

import functools
from pathlib import Path
from typing import Any, NamedTuple

import jax
from ml_collections import ConfigDict

from ali_jax import models
from ali_jax.errors import UserError
from ali_jax.roles import Roles, variables
from ali_jax.run import workdirs
from ali_jax.run.checkpoints import Checkpoints


class Model(NamedTuple):
    """Networks with their trained values."""

    networks: Roles
    params: Roles
    batch_stats: Roles
    step: int | None = None  # of the checkpoint they come from

    def variables(self, role: str) -> dict:
        return variables(self.params, self.batch_stats, role)


def load(workdir: str | Path, step: int | None = None) -> Model:
    """The model of a workdir, at its newest readable checkpoint or at `step`, on one device.

    Nothing in the workdir is changed.

    Raises:
      UserError: the workdir holds no run, or no checkpoint.
    """
    workdir = workdirs.folder(workdir)
    config = workdirs.read_config(workdir)
    networks = models.build(config.model, config.dtype)
    device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    with Checkpoints(workdir, read_only=True) as checkpoints:
        restored = checkpoints.restore(_kept(config, networks), device, step)
    if restored is None:
        raise UserError(f"{workdir} holds no checkpoint yet; train longer, or load another workdir.")
    found, kept = restored
    return of_state(networks, kept)._replace(step=found)


class Kept(NamedTuple):
    """The fields of a training state that a model is made of."""

    params: Roles | None = None
    batch_stats: Roles | None = None
    average: tuple[Roles, Roles] | None = None


def of_state(networks: Roles, state: Any) -> Model:
    """The model that a training state stands for: its average over steps where it keeps one."""
    return Model(networks, *(state.average or (state.params, state.batch_stats)))


def _kept(config: ConfigDict, networks: Roles) -> Kept:
    """Shapes of what a run's checkpoints hold of its model."""
    example = models.batch_of_one(config.model)
    keys = Roles(*[jax.random.key(0)] * 3)
    made = jax.eval_shape(
        functools.partial(models.initialize, networks), keys, example["x"], example.get("attributes")
    )
    return Kept(average=made) if config.average_rate > 0 else Kept(*made)
