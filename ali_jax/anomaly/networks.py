"""A game of the data's size: how wide, how long, and what is played for."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
from ml_collections import ConfigDict

from ali_jax import build, train
from ali_jax import config as config_lib
from ali_jax.models.rows import Row, dense
from ali_jax.run import devices

BATCH = 128
# From so many rows on, so many steps. Few lengths, as each is another program to compile.
LENGTHS = ((0, 1000), (2000, 2000), (20_000, 3000))
LOOKS = 20  # times that held-out rows are looked at, evenly over a run


class Plan(NamedTuple):
    """All that a member's networks and game follow from."""

    columns: int  # of the rows that the networks see
    latent_dim: int
    width: int  # of every hidden layer
    steps: int
    twins: bool = False  # whether D also tells (x, x) from (x, G(E(x))), and (z, z) from (z, E(G(z)))


def plan(
    columns: int,
    rows: int,
    *,
    width: int,
    latent_dim: int | None = None,
    steps: int | None = None,
    twins: bool = False,
) -> Plan:
    """The plan for so many rows of so many columns: what is given, and the rest by these."""
    # Half of the columns: enough to bring rows back by how columns hang together, too few to copy them.
    latent_dim = latent_dim or min(max(round(columns / 2), 2), 32)
    steps = steps or next(length for least, length in reversed(LENGTHS) if rows >= least)
    return Plan(columns, latent_dim, width, steps, twins)


def config(plan: Plan) -> ConfigDict:
    """The paper's game on dense networks, with a cycle in x and a regression of z.

    With `twins`, also both games of twins, as ALAD (Zenati et al., 2018). Averaged under a falling rate, so
    that a member is no snapshot of a game that goes round.
    """
    config = config_lib.default()
    config.dataset = "table"
    config.batch_size = BATCH
    config.num_steps = plan.steps
    config.steps_per_dispatch = min(50, max(plan.steps // LOOKS, 1))
    config.checkpoint_every = max(plan.steps // LOOKS, 1)
    config.learning_rate = 1e-3
    config.decay_after = 0.5
    config.average_rate = 2e-3
    terms = {"adversarial": {}, "cycle": {"weight": 1.0}, "latent_regression": {"weight": 0.3}}
    if plan.twins:
        terms |= {"adversarial_cycle_x": {}, "adversarial_cycle_z": {}}
    config.terms = config_lib.as_terms(terms)
    _add_rows(config.model, plan)
    return config


def _add_rows(model: ConfigDict, plan: Plan) -> None:
    width = plan.width
    model.x_shape = (plan.columns,)
    model.latent_dim = plan.latent_dim
    model.leak = 0.1
    model.init_std = 0.05
    model.posterior = "gaussian"
    model.encoder = (*_hidden(width, 2, norm=True), dense(2 * plan.latent_dim, nonlinearity="linear"))
    model.generator = (*_hidden(width, 2, norm=True), dense(plan.columns, nonlinearity="linear"))
    model.discriminator_x = model.discriminator_z = _hidden(width, 1, dropout=0.2)
    score = (*_hidden(width, 2, dropout=0.2), dense(1, dropout=0.2, nonlinearity="linear"))
    model.discriminator_joint = score
    if plan.twins:
        model.discriminator_xx = model.discriminator_zz = score


def _hidden(width: int, count: int, **options) -> tuple[Row, ...]:
    return (dense(width, **options),) * count


class Program(NamedTuple):
    """A plan made into what trains it."""

    config: ConfigDict
    game: build.Game
    run_steps: Callable  # see `train.compiled_steps`


@functools.lru_cache(maxsize=16)
def program(plan: Plan) -> Program:
    """The program of a plan, kept: a second fit of the same plan compiles nothing."""
    made = config(plan)
    game = build.game(made)
    return Program(made, game, train.compiled_steps(game, mesh()))


def mesh():
    """One device: members are small."""
    return devices.make_mesh(jax.local_devices()[:1])
