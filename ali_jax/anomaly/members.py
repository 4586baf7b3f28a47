"""Training one member: the game of a plan, through `train.loop`, kept at its best on held-out rows."""

from typing import Any, NamedTuple

import jax
import numpy as np
from tqdm import tqdm

from ali_jax import config as config_lib
from ali_jax import data, inference, train
from ali_jax.anomaly import scores
from ali_jax.anomaly.evidence import chunks
from ali_jax.anomaly.networks import Plan, program
from ali_jax.anomaly.networks import mesh as one_device
from ali_jax.data.labels import as_often
from ali_jax.errors import UserError
from ali_jax.roles import Roles
from ali_jax.run import devices
from ali_jax.run.signals import stop_signals

TRIMMED = 0.1  # share of held-out rows that may be strange themselves: the worst ones do not count
LOOKED_AT = 1000  # held-out rows, at most, at each look


class Member(NamedTuple):
    """A trained model as arrays, and what it says of the rows that it held out."""

    params: Roles
    batch_stats: Roles
    reference: scores.Reference
    step: int  # of the look that it was kept at

    def model(self, plan: Plan) -> inference.Model:
        """The member as functions of `inference` take it."""
        return inference.Model(program(plan).game.networks, self.params, self.batch_stats, self.step)


def fit(plan: Plan, x: np.ndarray, held_out: np.ndarray, seed: int, bar: tqdm) -> Member:
    """A member after training on x, as of the look that served the held-out rows best.

    Args:
      plan: of networks and game.
      x: (N, ...) examples, scaled.
      held_out: (M, ...) others, of which none is trained on.
      seed: of parameters, noise and the order of the data.
      bar: is moved on by plan.steps.

    Raises:
      KeyboardInterrupt: training was told to stop.
      UserError: training diverged before its first look.
    """
    config, game, run_steps = program(plan)
    config = config_lib.of_seed(config, seed)
    # A table of few rows comes round several times in a batch, so that all tables share their compiled steps.
    split, rows = data.Split(x, None, None), np.arange(len(x))
    batches = data.Batches(split, config.batch_size, seed, rows=as_often(rows, config.batch_size))
    if len(x) < train.EXAMPLES_FOR_BIAS:  # so that the start is compiled once for all of them, too
        split = data.take(split, as_often(rows, train.EXAMPLES_FOR_BIAS))
    state = train.fresh_state(config, game, split, devices.replicated(one_device()))
    best = Best(game.networks, held_out[:LOOKED_AT])
    with stop_signals() as stop:
        train.loop(config, run_steps, batches, one_device(), 0, state, best, Progress(bar))
    if stop:
        raise KeyboardInterrupt
    if best.model is None:
        raise UserError(
            "Training diverged: no reconstruction of held-out examples was finite; look for columns of a few "
            "huge values, or pass another random_state."
        )
    reference = scores.reference(chunks(best.model, held_out))
    return Member(best.model.params, best.model.batch_stats, reference, best.model.step)


class Best:
    """In the place of `run.checkpoints.Checkpoints`: in memory, and only the best model so far.

    Best is what brings held-out rows back most closely. They are as normal as those trained on, so this tells
    of a game that was lost and of rows learned by heart, and never sees an anomaly.
    """

    def __init__(self, networks: Any, held_out: np.ndarray):
        self._networks, self._held_out = networks, held_out
        self.model, self.error = None, np.inf

    def preempted(self, call: int) -> bool:
        """Never: members are trained by one process."""
        return False

    def wait(self) -> None:
        """Not at all: what is saved is there."""

    def save(self, step: int, state: Any) -> None:
        """Keeps the model of `state` where it beats those before."""
        model = inference.of_state(self._networks, state)
        error = held_out_error(model, self._held_out)
        if error < self.error:
            kept = jax.device_get((model.params, model.batch_stats))
            self.model, self.error = inference.Model(self._networks, *kept, step), error


class Progress:
    """In the place of `train.Watch`: the bar, and nothing written."""

    def __init__(self, bar: tqdm):
        self._bar = bar

    def after(self, step: int, count: int, state: Any, metrics: Any, finished: bool) -> None:
        """Moves the bar by the steps that a call made."""
        self._bar.update(count)

    def before_save(self, step: int, state: Any) -> None:
        """Nothing: a state that is not finite is no best one."""


def held_out_error(model: inference.Model, x: np.ndarray) -> float:
    """Squared error of reconstructions of x, a mean over all but the worst of them."""
    errors = [np.sum(np.square(evidence.residual), axis=1) for evidence in chunks(model, x)]
    return float(np.mean(np.sort(np.concatenate(errors))[: max(round(len(x) * (1 - TRIMMED)), 1)]))
