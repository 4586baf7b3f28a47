"""The states that a workdir's checkpoints hold, and whether two are the same."""

from pathlib import Path
from typing import Any

import jax
import numpy as np

from ali_jax import build
from ali_jax.run.checkpoints import Checkpoints, kept_steps
from ali_jax.run.workdirs import read_config

kept = kept_steps


def newest(workdir: Path) -> tuple[int, Any]:
    """(step, state) of the newest readable checkpoint; as a run does, it may move the others."""
    return _restore(workdir, None, read_only=False)


def of(workdir: Path, step: int) -> Any:
    return _restore(workdir, step, read_only=True)[1]


def _restore(workdir: Path, step: int | None, read_only: bool) -> tuple[int, Any]:
    device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    with Checkpoints(workdir, read_only=read_only) as checkpoints:
        return checkpoints.restore(build.game(read_config(workdir)).shapes, device, step)


def require_same(a: Any, b: Any) -> None:
    """To the bit."""
    a, b = (jax.tree.leaves(s._replace(key=jax.random.key_data(s.key))) for s in (a, b))
    for x, y in zip(a, b, strict=True):
        np.testing.assert_array_equal(x, y)
