"""Training that starts from the networks of a trained model."""

import logging
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ali_jax import pretrained
from ali_jax.errors import UserError
from ali_jax.pretrained import Model, weights
from ali_jax.roles import Roles
from ali_jax.run import provenance
from ali_jax.trees import by_name

logger = logging.getLogger(__name__)


def load(source: str | Path, shapes: Any) -> Model:
    """The model of a workdir, a file or a name, for a training state of these shapes.

    Raises:
      UserError: there is none, or its networks have arrays of other names or shapes.
    """
    model = pretrained.load(source)
    for kind in weights.KINDS:
        for role, values in getattr(model, kind)._asdict().items():
            if values is None:
                continue
            here, there = _shapes(getattr(getattr(shapes, kind), role)), _shapes(values)
            for name in sorted({*here, *there}):
                if here.get(name) != there.get(name):
                    raise UserError(
                        f"The {role} of {source} is another than config.model's: {name} is {there.get(name)} "
                        f"there and {here.get(name)} here; pass the config that {source} was trained with."
                    )
    missing = [role for role, values in model.params._asdict().items() if values is None]
    fresh = [role for role in missing if getattr(shapes.params, role) is not None]
    if fresh:
        logger.info("%s holds no %s; that of the run starts afresh.", source, " and no ".join(fresh))
    return model


def _shapes(tree: Any) -> dict[str, tuple[int, ...]]:
    """Name -> shape."""
    return {name: leaf.shape for name, leaf in by_name(tree).items()}


def start_from(state: Any, model: Model) -> Any:
    """A fresh training state with the networks of a model that fits; roles that it lacks stay as they are."""

    def replaced(fresh: Roles, trained: Roles) -> Roles:
        pairs = zip(fresh, trained, strict=True)
        # Copies: a state whose buffers are donated may hold none of them twice, nor those of the model.
        return Roles(*(f if t is None else jax.tree.map(_loose_copy, t) for f, t in pairs))

    values = replaced(state.params, model.params), replaced(state.batch_stats, model.batch_stats)
    average = None if state.average is None else jax.tree.map(jnp.copy, values)
    return state._replace(params=values[0], batch_stats=values[1], average=average)


def _loose_copy(array: jax.Array) -> jax.Array:
    """A copy that is committed to no device, which several processes may lay out over all of theirs."""
    return jnp.array(np.asarray(array))


def describe(
    command: str | None, source: str | Path | None = None, model: Model | None = None
) -> dict[str, Any]:
    """How a run is begun, see `run.begun`."""
    begun: dict[str, Any] = ({"command": command} if command else {}) | provenance.of_here()
    if model is not None:
        path = pretrained.find(source)
        if path.is_file():
            digest = pretrained.about(path).sha256
        else:
            digest = weights.checksum(weights.flatten(model.params, model.batch_stats, Roles._fields))
        begun["init_from"] = {"source": str(source), "step": model.step, "sha256": digest}
    return begun
