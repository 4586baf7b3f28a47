"""Trained networks without what trained them: of a workdir, of an exported file, or by name.

Nothing here depends on the game that was played, its terms or its optimizers. `load` takes the name of a
model that comes with the package, too: models/NAME.safetensors, with its card NAME.md and pictures beside it,
all of which `python -m ali_jax.export` makes.
"""

import functools
import os
from pathlib import Path
from typing import Any, NamedTuple

import jax
from ml_collections import ConfigDict

from ali_jax import models
from ali_jax.errors import UserError
from ali_jax.paths import local
from ali_jax.pretrained import weights
from ali_jax.ranges import NUMBER, require
from ali_jax.roles import Roles, variables
from ali_jax.run import workdirs
from ali_jax.run.checkpoints import Checkpoints

MODELS = Path(__file__).parent / "models"  # those that come with the package


class Model(NamedTuple):
    """Networks with their trained values."""

    networks: Roles
    params: Roles
    batch_stats: Roles
    step: int | None = None  # of the checkpoint they come from

    def variables(self, role: str) -> dict:
        """What Flax applies the network of a role with; a UserError where it was exported without."""
        if getattr(self.networks, role) is None:
            raise UserError(f"This model has no {role}; load one that was trained with it.")
        if getattr(self.params, role) is None:
            raise UserError(
                f"This model was exported without its {role}; load the workdir of a run, or a file that was "
                f"exported with --{role}."
            )
        return variables(self.params, self.batch_stats, role)


def load(source: str | Path, step: int | None = None) -> Model:
    """The model of a workdir, of a file of `ali_jax.export`, or of a name of `names()`, on one device.

    Of a workdir, at its newest readable checkpoint or at `step`. Nothing is changed there.

    Raises:
      UserError: there is no such model, the file is damaged, or the workdir holds no run or no checkpoint.
    """
    path = find(source)
    if step is not None:
        require("step", step, NUMBER)
    if path.is_dir():
        return _of_workdir(path, step)
    arrays, known = weights.read(path)
    if step not in (None, known.step):
        raise UserError(f"{path} holds the model of step {known.step}, not of {step}; load its workdir.")
    config = weights.config_of(path, known)
    networks = models.build(config.model, config.dtype)
    return Model(networks, *weights.as_roles(path, arrays, _shapes(config, networks)), known.step)


def about(source: str | Path) -> weights.About:
    """What is known of an exported model: its config, step, data, command, scores and checksum.

    Raises:
      UserError: it is none, or is damaged.
    """
    path = find(source)
    if path.is_dir():
        raise UserError(f"{source} is a workdir; export its model, or read its config.json.")
    return weights.read(path)[1]


def config_of(source: str | Path) -> ConfigDict:
    """The config that a workdir, an exported file or a named model was trained with.

    Raises:
      UserError: there is no such model, or the file or its workdir's config.json is damaged.
    """
    path = find(source)
    return workdirs.read_config(path) if path.is_dir() else weights.config_of(path, about(path))


def names() -> list[str]:
    """The models that come with the package."""
    return sorted(path.stem for path in MODELS.glob(f"*{weights.SUFFIX}"))


def find(source: str | Path) -> Path:
    """The path of a workdir or of a file; of a name of `names()`, wherever it is said, of its file.

    Raises:
      UserError: there is nothing of the kind, or a workdir here has the name of a model.
    """
    if not isinstance(source, str | os.PathLike):
        raise UserError(
            f"A model is loaded from a workdir, a file or a name, and this is a {type(source).__name__}; a "
            "model that is loaded is used as it is."
        )
    if source in names():  # "./mnist" is a path of the user's own
        if Path(source, "config.json").is_file():
            raise UserError(
                f"{source} is a model that comes with the package, and a workdir in this folder; say "
                f"./{source} for the workdir, and rename that for the model."
            )
        return MODELS / f"{source}{weights.SUFFIX}"
    path = local(source, "The model")
    if path.exists():
        return path
    if str(source) in names():
        raise UserError(f"There is no {source} in this folder; to load the model of that name pass a string.")
    known = ", ".join(names()) or "none yet"
    raise UserError(
        f"{source} is no workdir, no file of ali_jax.export and no model that comes with the package "
        f"({known}); load one of these."
    )


def _of_workdir(workdir: Path, step: int | None) -> Model:
    config = workdirs.read_config(workdir)
    networks = models.build(config.model, config.dtype)
    device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    made = _shapes(config, networks)
    kept = Kept(average=made) if config.average_rate > 0 else Kept(*made)
    with Checkpoints(workdir, read_only=True) as checkpoints:
        restored = checkpoints.restore(kept, device, step)
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
    """The model that a training state stands for: its average over steps where it keeps one.

    Its arrays are the state's. A step that is given the state to donate deletes them; to keep a model beyond
    it, pass `jax.device_get(state)`.
    """
    if not hasattr(state, "batch_stats"):
        raise UserError(f"The state is a {type(state).__name__}; pass a TrainState, as train_step gives it.")
    return Model(networks, *(state.average or (state.params, state.batch_stats)))


def _shapes(config: ConfigDict, networks: Roles) -> tuple[Roles, Roles]:
    """Shapes of the parameters and of the running statistics of a config's networks."""
    example = models.batch_of_one(config.model)
    keys = Roles(*[jax.random.key(0)] * 3)
    initialize = functools.partial(models.initialize, networks)
    return jax.eval_shape(initialize, keys, example["x"], example.get("attributes"))
