"""From a config to what it describes: networks, optimizers, and the shapes of the state."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from ali_jax import models, terms
from ali_jax.errors import UserError, first_line
from ali_jax.models import Row
from ali_jax.roles import Roles
from ali_jax.supervised import supervised_step
from ali_jax.train_step import TrainState, init_state, train_step


def networks(config: ConfigDict) -> Roles:
    """The modules of the config.

    Raises:
      UserError: naming the field of `config.model` that is wrong, or does not fit the objective.
    """
    built = models.build(config.model, config.dtype)
    if config.objective == "joint_adversarial" and num_logits(config) != 1:
        raise UserError(
            f"The last row of config.model.discriminator_joint has {num_logits(config)} features; for the "
            "objective joint_adversarial it needs 1."
        )
    if config.objective != "feature_matching":
        return built
    return built._replace(discriminator=built.discriminator.clone(with_features=True))


def objective(config: ConfigDict) -> Callable:
    """What the players of the config play for; see `losses`."""
    weight = {"unsupervised_weight": config.unsupervised_weight}
    if config.objective == "semi_supervised":
        return functools.partial(terms.semi_supervised, **weight)
    if config.objective == "feature_matching":
        return functools.partial(terms.feature_matching, num_classes=num_logits(config), **weight)
    return terms.joint_adversarial


def num_logits(config: ConfigDict) -> int:
    """Width of D's last layer: 1, or the number of classes."""
    return Row(*config.model.discriminator_joint[-1]).features


def optimizers(config: ConfigDict) -> Roles:
    """Adam with the same hyperparameters for each role, moments apart (the paper's Algorithm 1 and table).

    The official library adds epsilon to the uncorrected root of the second moment, optax to the corrected
    one: the only difference, of 3e-7 at the first step and vanishing.
    """
    rate = config.learning_rate
    if config.decay_after < 1:
        constant = round(config.decay_after * config.num_steps)
        rate = optax.linear_schedule(rate, 0.0, config.num_steps - constant, transition_begin=constant)
    adam = optax.adam(rate, b1=config.b1, b2=config.b2, eps=1e-8)
    if config.weight_decay:
        adam = optax.chain(optax.add_decayed_weights(config.weight_decay), adam)
    return Roles(adam, adam, adam)


def players(config: ConfigDict) -> dict[str, Roles]:
    """The keyword arguments that `init_state` and `train_step` share."""
    return {"networks": networks(config), "optimizers": optimizers(config)}


def init(config: ConfigDict) -> Callable:
    """`init_state` of the config: (key, batch=...) -> state."""
    return functools.partial(init_state, keep_average=config.average_rate > 0, **players(config))


def step(config: ConfigDict) -> Callable:
    """`train_step` of the config, or its supervised baseline: (state, batch) -> (state, metrics)."""
    roles, average_rate = players(config), config.average_rate
    if config.objective == "supervised":
        return functools.partial(supervised_step, average_rate=average_rate, **roles)
    return functools.partial(train_step, objective=objective(config), average_rate=average_rate, **roles)


def batch_shapes(config: ConfigDict) -> dict[str, jax.ShapeDtypeStruct]:
    """What one example of a batch looks like, as a batch of one."""
    shapes = {"x": jax.ShapeDtypeStruct((1, *config.model.x_shape), jnp.float32)}
    if config.model.num_attributes:
        shapes["attributes"] = jax.ShapeDtypeStruct((1, config.model.num_attributes), jnp.uint8)
    if config.num_labels:
        shapes["label"] = jax.ShapeDtypeStruct((1,), jnp.int32)
    return shapes


def state_shapes(config: ConfigDict) -> TrainState:
    """Shapes and dtypes of the training state, without computing it.

    Raises:
      UserError: the rows of `config.model` do not fit each other.
    """
    try:
        return jax.eval_shape(init(config), jax.random.key(0), batch=batch_shapes(config))
    except (AttributeError, TypeError, ValueError) as error:  # of the first operation that could not be
        raise UserError(
            "The rows of config.model do not fit each other, its x_shape or its latent_dim "
            f"({first_line(error)}); compare them with the config they come from."
        ) from error
