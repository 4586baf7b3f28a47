"""From a config to the game it describes: networks, optimizers, terms, and the shapes of its state."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from ali_jax import config as config_lib
from ali_jax import disturbance, models
from ali_jax.errors import UserError
from ali_jax.roles import Roles
from ali_jax.terms import Needs, Term, bind, check_needs, needs_of
from ali_jax.train_step import TrainState, init_state, train_step


class Game(NamedTuple):
    """All that a config says of the game, built once for a start of training."""

    networks: Roles
    optimizers: Roles
    terms: Mapping[str, Term]
    needs: Needs  # of all terms together
    init: Callable[..., TrainState]  # (key, batch=...) -> state
    step: Callable  # `train_step` of this game: (state, batch, sharding=, terms=) -> (state, metrics)
    example: Mapping[str, jax.ShapeDtypeStruct]  # a batch of one
    shapes: TrainState  # shapes and dtypes of the state
    dtype: str  # of the computation


def game(config: ConfigDict) -> Game:
    """The game of a config.

    Raises:
      UserError: naming the field that is wrong, or those that do not fit each other.
    """
    config_lib.check(config)
    terms = bind(config.terms)
    wanted = needs_of(terms)
    networks = models.build(config.model, config.dtype)
    _check(config, networks, wanted)
    players = {"networks": networks, "optimizers": optimizers(config)}
    init = functools.partial(init_state, keep_average=config.average_rate > 0, **players)
    step = functools.partial(
        train_step,
        terms=terms,
        disturb=disturbance.of_settings(config.disturbance, config.num_steps),
        average_rate=config.average_rate,
        **players,
    )
    example = models.batch_of_one(config.model)
    if wanted.labels:
        example["label"] = jax.ShapeDtypeStruct((1,), jnp.int32)
    return Game(
        **players,
        terms=terms,
        needs=wanted,
        init=init,
        step=step,
        example=example,
        shapes=jax.eval_shape(init, jax.random.key(0), batch=example),
        dtype=config.dtype,
    )


def needs_of_config(config: ConfigDict) -> Needs:
    """What the terms of the config need, without building the game."""
    return needs_of(bind(config.terms))


def optimizers(config: ConfigDict) -> Roles:
    """Adam for each role (the paper's Algorithm 1 and table), moments apart.

    The official library adds epsilon to the uncorrected root of the second moment, optax to the corrected
    one: the only difference, of 3e-7 at the first step and vanishing.
    """

    def optimizer(role: str) -> optax.GradientTransformation:
        adam = optax.adam(_rate(config, role), b1=config.b1, b2=config.b2, eps=1e-8)
        if not config.weight_decay:
            return adam
        return optax.chain(optax.add_decayed_weights(config.weight_decay, mask=is_kernel), adam)

    return Roles(*map(optimizer, Roles._fields))


def _rate(config: ConfigDict, role: str) -> optax.ScalarOrSchedule:
    """The learning rate of a role, by step where it changes."""
    rate, steps = config.learning_rate * config.rate_of[role], config.num_steps
    if config.decay_after < 1:
        # At least the last step is on the slope: optax takes a slope of no steps for a constant rate.
        constant = min(round(config.decay_after * steps), steps - 1)
        rate = optax.linear_schedule(rate, 0.0, steps - constant, transition_begin=constant)
    if role == "generator" and config.freeze_generator_after < 1:
        before = rate if callable(rate) else optax.constant_schedule(rate)
        frozen_at = round(config.freeze_generator_after * steps)
        return optax.join_schedules([before, optax.constant_schedule(0.0)], [frozen_at])
    return rate


def is_kernel(params: Any) -> Any:
    """Which parameters weight decay shrinks: kernels, not biases, nor what batch normalisation learns."""
    return jax.tree_util.tree_map_with_path(lambda path, _: path[-1].key == "kernel", params)


def _check(config: ConfigDict, networks: Roles, needs: Needs) -> None:
    """Raises UserError where the terms do not fit the networks, the labels or the batch."""
    names = ", ".join(config.terms)
    batch = {"x": jax.ShapeDtypeStruct((config.batch_size, *config.model.x_shape), jnp.float32)}
    labels = {"label": jax.ShapeDtypeStruct((config.batch_size,), jnp.int32)}
    try:
        check_needs(needs, networks, batch | (labels if needs.labels else {}))
    except UserError as error:
        raise UserError(f"config.terms is {names}. {error}") from None
    _check_attributes(config.model)
    if config.batch_size == 1 and (
        models.normalises(networks.generator) or models.normalises(networks.encoder)
    ):
        raise UserError(
            "config.batch_size is 1, and batch normalisation in G and E leaves nothing of a single example "
            "where a layer has one position; set it to 2 or more, or norm to False in their rows."
        )
    if needs.labels:
        _check_labels(config, names, needs)
    else:
        _check_no_labels(config, names)


def _check_no_labels(config: ConfigDict, names: str) -> None:
    if config.labelled_batch_size:
        raise UserError(
            f"config.labelled_batch_size is {config.labelled_batch_size}, but no term of config.terms "
            f"({names}) learns from labels; leave it at 0."
        )
    if config.num_labels:
        raise UserError(
            f"config.num_labels is {config.num_labels}, but no term of config.terms ({names}) learns "
            "from labels; add the term labels, or pass a config that has it."
        )
    if config_lib.num_logits(config) != 1:
        raise UserError(
            f"The last row of config.model.discriminator_joint has {config_lib.num_logits(config)} "
            f"features; without a term that learns from labels (config.terms has {names}) it needs 1."
        )


def _check_labels(config: ConfigDict, names: str, needs: Needs) -> None:
    if config.classes:
        raise UserError(
            f"config.classes is {tuple(config.classes)}, and config.terms ({names}) learns from labels of "
            "all classes; set it to (), or drop the terms that learn from labels."
        )
    if not config.num_labels:
        raise UserError(f"config.num_labels is {config.num_labels}; config.terms ({names}) needs labels.")
    # A classifier sees labelled examples alone; a game, or a term that learns from others too, both kinds.
    both = needs.generated or needs.unlabelled
    least, most = (1, config.batch_size - 1) if both else (config.batch_size,) * 2
    if not least <= config.labelled_batch_size <= most:
        raise UserError(
            f"config.labelled_batch_size is {config.labelled_batch_size}; with config.batch_size "
            f"{config.batch_size} and the terms {names} it must be from {least} to {most}."
        )


def _check_attributes(model: ConfigDict) -> None:
    rows = (row for field in models.STACKS for row in model.get(field) or ())
    if bool(model.num_attributes) != any(row[0].startswith("embed") for row in rows):
        raise UserError(
            f"config.model.num_attributes is {model.num_attributes}, and of the networks' rows "
            f"{'none embeds' if model.num_attributes else 'some embed'} attributes; compare both with "
            "configs/celeba_conditional.py."
        )
