"""From a config to what it describes: networks, optimizers, and the shapes of the state."""

import functools

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from ali_jax import models
from ali_jax.roles import Networks
from ali_jax.train_step import TrainState, init_state


def networks(config: ConfigDict) -> Networks:
    return models.build(config.model, config.dtype)


def optimizers(config: ConfigDict) -> Networks:
    """Adam with the same hyperparameters for each role, moments apart (the paper's Algorithm 1 and table).

    The official library adds epsilon to the uncorrected root of the second moment, optax to the corrected
    one: the only difference, of 3e-7 at the first step and vanishing.
    """
    adam = optax.adam(config.learning_rate, b1=config.b1, b2=config.b2, eps=1e-8)
    return Networks(adam, adam, adam)


def players(config: ConfigDict) -> dict[str, Networks]:
    """The keyword arguments that `init_state` and `train_step` share."""
    return {"networks": networks(config), "optimizers": optimizers(config)}


def batch_shapes(config: ConfigDict) -> dict[str, jax.ShapeDtypeStruct]:
    """What one example of a batch looks like, as a batch of one."""
    shapes = {"x": jax.ShapeDtypeStruct((1, *config.model.x_shape), jnp.float32)}
    if config.model.num_attributes:
        shapes["attributes"] = jax.ShapeDtypeStruct((1, config.model.num_attributes), jnp.uint8)
    return shapes


def state_shapes(config: ConfigDict) -> TrainState:
    """Shapes and dtypes of the training state, without computing it."""
    init = functools.partial(init_state, **players(config))
    return jax.eval_shape(init, jax.random.key(0), batch=batch_shapes(config))
