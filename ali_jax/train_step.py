"""The game: one simultaneous update of generator, encoder and discriminator.

Everything here is a pure function of arrays. `train_step` is not jitted where it is defined, so that
whoever calls it can jit, scan, vmap or shard it:

    step = jax.jit(functools.partial(train_step, networks=networks, optimizers=optimizers))
    state, metrics = step(state, {"x": images})

Who is trained on what: D descends its own loss; G and E descend, together, theirs. What the losses are is the
sum of the game's terms (`terms`). In the paper's game no reconstruction term is optimised: E learns because D
compares its pairs (x, E(x)) with the generator's pairs (G(z), z).
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ali_jax import models
from ali_jax.disturbance import Disturb
from ali_jax.errors import UserError
from ali_jax.gradients import gradients
from ali_jax.models import Judgement, own, unit_interval
from ali_jax.players import BoundNetworks
from ali_jax.random_keys import require_key
from ali_jax.ranges import ROUNDING
from ali_jax.roles import Roles
from ali_jax.rounds import ForwardPass, Made
from ali_jax.terms import (
    ADVERSARIAL,
    Round,
    Term,
    check_batch,
    check_needs,
    join,
    needs_of,
    play_for,
)

NEWEST = 0.2  # share of the steps so far that an average spans while they are few

Batch = Mapping[str, jax.Array]
Metrics = dict[str, jax.Array]


class TrainState(NamedTuple):
    """All that training carries from one step to the next."""

    step: jax.Array  # int32 scalar: updates done so far
    key: jax.Array  # never advanced: each step folds its own number into it
    params: Roles
    batch_stats: Roles  # running statistics of batch normalisation
    opt_state: Roles
    average: tuple[Roles, Roles] | None = None  # of params and batch_stats over steps, where kept


def init_state(
    key: jax.Array, networks: Roles, optimizers: Roles, batch: Batch, keep_average: bool = False
) -> TrainState:
    """A fresh state.

    Args:
      key: seed of the parameters and of all noise to come.
      networks: modules, see `ali_jax.models`.
      optimizers: one optax transformation per role; None of a network that is None.
      batch: examples as `train_step` takes them. Their shapes shape the networks and their mean sets the
        generator's output bias, so that G starts at the mean image; the official code uses 500 of them.
        Floats of images are from 0 to 1 where G ends in a sigmoid.
      keep_average: whether `train_step` shall average parameters and running statistics over steps.
    """
    if not isinstance(networks, Roles):
        raise UserError(
            f"networks is a {type(networks).__name__}; pass Roles(generator, encoder, discriminator), as "
            "models.build makes them."
        )
    require_key(key)
    check_batch(networks, batch)
    *keys, key_train = jax.random.split(key, 4)
    every = _completed(optimizers)
    for role, network, optimizer in zip(Roles._fields, networks, optimizers, strict=True):
        if network is not None and optimizer is None:
            raise UserError(f"The {role} has no optimizer; pass one, or optax.set_to_zero() to freeze it.")
    x, attributes = unit_interval(batch["x"]), batch.get("attributes")
    _refuse_what_no_sigmoid_gives(networks.generator, x)
    own.check_attributes(networks)
    with own.telling_misfits(networks):
        params, batch_stats = models.initialize(networks, Roles(*keys), x, attributes)
        own.check_outputs(networks, params, batch_stats, x, attributes)
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        key=key_train,
        params=params,
        batch_stats=batch_stats,
        opt_state=Roles(*(o.init(p) for o, p in zip(every, params, strict=True))),
        average=jax.tree.map(_first_average, (params, batch_stats)) if keep_average else None,
    )


def _first_average(values: jax.Array) -> jax.Array:
    """A copy, as a state whose buffers are donated may hold none of them twice; bfloat16 as float32.

    In bfloat16 an average that takes a ten-thousandth of the newest values would never move.
    """
    return jnp.array(values, jnp.promote_types(values.dtype, jnp.float32), copy=True)


def _refuse_what_no_sigmoid_gives(generator: Any, x: jax.Array | np.ndarray) -> None:
    """Raises UserError for images that a G which ends in a sigmoid cannot make, where it can be seen."""
    ends_in = generator.stack.rows[-1].nonlinearity if isinstance(generator, models.Generator) else None
    here = not isinstance(x, jax.core.Tracer) and getattr(x, "is_fully_addressable", True)
    if ends_in != "sigmoid" or not here:
        return
    x = np.asarray(x)
    if not -ROUNDING <= x.min() <= x.max() <= 1 + ROUNDING:  # nor NaN
        raise UserError(
            f'batch["x"] holds numbers from {x.min():g} to {x.max():g}, and G ends in a sigmoid; pass uint8 '
            "images, or floats from 0 to 1."
        )


def train_step(
    state: TrainState,
    batch: Batch,
    *,
    networks: Roles,
    optimizers: Roles,
    terms: Mapping[str, Term] = ADVERSARIAL,
    disturb: Disturb | None = None,
    average_rate: float = 1e-4,
    sharding: jax.sharding.NamedSharding | None = None,
) -> tuple[TrainState, Metrics]:
    """One simultaneous update of the three networks (Algorithm 1), same noise and dropout for all.

    Args:
      state: as from `init_state`.
      batch: "x" (M, ...), uint8 images or floats; "attributes" (M, A) where the networks are conditional;
        "label" (M,) int32, -1 where it is not known, in a game with labels.
      networks: modules with `apply`.
      optimizers: one optax transformation per role; `optax.set_to_zero()` freezes the parameters of a role.
        D's gradient may be about 1e-20 where it should be zero (`gradients.FLAT`), so optimizers that use
        its sign alone, as Lion, are not for D.
      terms: what the players play for, by name; see `ali_jax.terms`.
      disturb: what is done to all pairs before D sees them, (key, step, x, z) -> (x, z); see `disturbance`.
      average_rate: weight of the newest parameters in `state.average`, where that is kept; more while steps
        are few, see `advance`.
      sharding: how the batch axis is laid out over devices, where it is; sampled noise follows it.

    Returns:
      The next state, and scalar float32 metrics of the step.

    Raises:
      UserError: networks or batch lack what a term needs, or images are integers but not uint8.
    """
    if not isinstance(state, TrainState):
        raise UserError(f"The state is a {type(state).__name__}; pass a TrainState, as init_state makes it.")
    wanted = needs_of(terms)
    check_needs(wanted, networks, batch)

    bound = BoundNetworks(
        networks,
        state.params,
        state.batch_stats,
        state.step,
        condition=batch.get("attributes"),
        disturb=disturb,
        sharding=sharding,
        average=None if state.average is None else state.average[0],
    )
    forward = ForwardPass(bound, batch, jax.random.fold_in(state.key, state.step), wanted)

    def losses(params: Roles, made: Made, judged: Judgement):
        round_ = forward.round(made, judged)
        share = play_for(terms, round_, forward.players(params), forward.keys().terms)
        named = {"loss_discriminator": share.d, "loss_generator_encoder": share.ge}
        metrics = {name: loss for name, loss in named.items() if loss is not None}
        both = tuple(jnp.float32(0) if loss is None else loss for loss in named.values())
        return both, (share.batch_stats, join(metrics, summarize_round(round_), share.metrics))

    grads, batch_stats, (of_twins, metrics) = gradients(forward, losses, state.params)
    batch_stats = batch_stats._replace(discriminator={**batch_stats.discriminator, **of_twins})
    params, opt_state = apply_updates(optimizers, grads, state)
    return advance(state, params, batch_stats, opt_state, average_rate), metrics


def advance(
    state: TrainState, params: Roles, batch_stats: Roles, opt_state: Roles, average_rate: float
) -> TrainState:
    """The state after a step that gave these, its average, where it keeps one, brought up to date.

    The average is exponential at `average_rate`; before 1 / (NEWEST average_rate) steps it is of about the
    newest fifth of them. A mean over all would hold parameters of the start, and running statistics that do
    not fit it: on handwritten digits such a D made 91 % of mistakes where that of the newest fifth made 5 %.
    """
    average = state.average
    if average is not None:
        rate = jnp.maximum(average_rate, 1 / (NEWEST * state.step + 1))
        average = optax.incremental_update((params, batch_stats), average, rate)
    return TrainState(state.step + 1, state.key, params, batch_stats, opt_state, average)


def apply_updates(optimizers: Roles, grads: Roles, state: TrainState):
    """Each role's optimizer on its own gradient -> (params, opt_state)."""
    params, opt_states = [], []
    for optimizer, grad, opt_state, param in zip(
        _completed(optimizers), grads, state.opt_state, state.params, strict=True
    ):
        updates, opt_state = optimizer.update(grad, opt_state, param)
        params.append(optax.apply_updates(param, updates))
        opt_states.append(opt_state)
    return Roles(*params), Roles(*opt_states)


def _completed(optimizers: Roles) -> Roles:
    """One optimizer for each role, also where there is no network; a UserError where they are no such."""
    single = isinstance(optimizers, optax.GradientTransformation)
    if single or not isinstance(optimizers, Sequence) or len(optimizers) != len(Roles._fields):
        found = "a single one" if single else f"of type {type(optimizers).__name__}"
        raise UserError(f"optimizers is {found}; pass one for each role, such as Roles(adam, adam, adam).")
    return Roles(*(optax.set_to_zero() if optimizer is None else optimizer for optimizer in optimizers))


def summarize_round(round: Round) -> Metrics:
    """Statistics of what E and G made: of mu and sigma, or of z_hat where E has none, and of x_tilde."""
    values = {"x_tilde": round.x_tilde}
    if round.encoding is not None:
        _, mu, sigma = round.encoding
        values |= {"z_hat": round.encoding.z} if mu is None else {"mu": mu, "sigma": sigma}
    metrics: Metrics = {}
    for name, value in values.items():
        metrics |= {} if value is None else summarize(name, value)
    return metrics


def summarize(name: str, value: jax.Array) -> Metrics:
    """Mean, standard deviation, minimum and maximum over everything, as the official monitors."""
    value = jax.lax.stop_gradient(value).astype(jnp.float32)
    reductions = {"mean": jnp.mean, "std": jnp.std, "min": jnp.min, "max": jnp.max}
    return {f"{name}_{how}": reduce(value) for how, reduce in reductions.items()}
