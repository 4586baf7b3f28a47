"""Runs that differ in their seeds alone, trained as one program: `jax.vmap` of the step over their states.

What a small network leaves of a GPU unused, further seeds use. On a CPU that gains nothing, and convolutions
of several networks at once are slow everywhere: it is for dense layers on a GPU.
"""

import contextlib
import functools
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.dtypes import canonicalize_dtype
from ml_collections import ConfigDict

from ali_jax import build, data, examples, models, train
from ali_jax.errors import UserError
from ali_jax.models import onednn
from ali_jax.pretrained import starts
from ali_jax.run import begun, devices, workdirs
from ali_jax.run.checkpoints import Checkpoints, kept_steps
from ali_jax.run.metrics import NotFinite, crossed, open_writer
from ali_jax.train_step import TrainState

logger = logging.getLogger("ali_jax.together")  # one that the command line shows


def train_all(
    configs: Sequence[ConfigDict],
    folders: Sequence[Path],
    splits: Mapping[str, data.Split] | None = None,
    command: str | None = None,
) -> int:
    """Trains each config in its workdir, to the same states as `train.train_and_evaluate` one after another.

    Products of several networks at once are rounded otherwise; all else is the same. Each workdir is that of
    an ordinary run, which the same call goes on with, or `ali_jax.main`.

    Args:
      configs: equal but for `seed` and `label_seed`.
      folders: a workdir for each.
      splits: see `train.train_and_evaluate`.
      command: likewise.

    Returns:
      The step that all of them are at: the last one, but where a signal stopped them.

    Raises:
      UserError: as there; or the runs have checkpoints, but none of the same step.
    """
    config, game, folders = configs[0], build.game(configs[0]), [workdirs.folder(f) for f in folders]
    start = starts.describe(command)
    for one, folder in zip(configs, folders, strict=True):
        workdirs.check(one, folder)
        begun.check(folder, start)
    if config.num_steps in common_steps(folders):
        return config.num_steps
    splits = examples.all_fit(config, splits)
    of_runs = (
        train.known_examples(one, splits["train"], folder)
        for one, folder in zip(configs, folders, strict=True)
    )
    labelled, known = zip(*of_runs, strict=True)
    pairs = zip(configs, labelled, strict=True)
    batches = Batches([examples.open_batches(one, splits["train"], numbers) for one, numbers in pairs])
    run_steps = run_all(game)
    trace(run_steps, config, game, batches[0])  # raises what the first step would, before a claim
    mesh = devices.make_mesh(jax.local_devices()[:1])
    with contextlib.ExitStack() as stack:
        for one, folder, numbers, of_run in zip(configs, folders, labelled, known, strict=True):
            stack.enter_context(workdirs.locked(folder))
            workdirs.claim(folder, one, numbers, start, of_run)
        each = [stack.enter_context(Checkpoints(folder, config.keep_checkpoints)) for folder in folders]
        step, states = first_states(configs, game, splits["train"], each, devices.replicated(mesh))
        sizes = (step, config.num_steps, config.batch_size)
        writers = [stack.enter_context(open_writer(folder, *sizes, name=folder.name)) for folder in folders]
        look = functools.partial(train.show, game, splits)
        watches = [train.Watch(config, writer, step, look) for writer in writers]
        of_all = Runs([*map(Run, folders, each, watches)], config.figures_every)
        states = train.loop(config, run_steps, batches, mesh, step, states, of_all, of_all)
    return int(states.step[0])


def trace(run_steps, config: ConfigDict, game: build.Game, example) -> None:
    """The first call of `run_steps` for shapes in place of arrays; `example`: a batch of all runs."""
    count, seeds = min(config.steps_per_dispatch, config.num_steps), len(example["x"])

    states = jax.tree.map(lambda s: jax.ShapeDtypeStruct((seeds, *s.shape), s.dtype), game.shapes)
    rows = {
        name: jax.ShapeDtypeStruct((count, *a.shape), canonicalize_dtype(a.dtype))
        for name, a in example.items()
    }
    run_steps.trace(states, rows)


def common_steps(folders: Sequence[Path]) -> list[int]:
    """The steps at which all runs have a checkpoint, the last one first.

    Raises:
      UserError: there are none, but some of the runs have one.
    """
    kept = {folder: kept_steps(folder) for folder in folders}
    common = set.intersection(*map(set, kept.values()))
    if not common and any(kept.values()):
        last = ", ".join(f"{folder} {max(steps, default=0)}" for folder, steps in kept.items())
        raise UserError(
            f"The runs are at different steps ({last}) and have no checkpoint of the same one; go on "
            "with each by ali_jax.main, or begin all anew in another --workdir."
        )
    return sorted(common, reverse=True)


def first_states(
    configs: Sequence[ConfigDict],
    game: build.Game,
    split: data.Split,
    checkpoints: Sequence[Checkpoints],
    sharding: jax.sharding.Sharding,
) -> tuple[int, TrainState]:
    """(step, stacked states): of the last checkpoints of one step that can be read, or 0 and fresh ones.

    Later ones are moved out of the way: those steps are made again.
    """
    unreadable = None
    for step in common_steps([each.directory.parent for each in checkpoints]):
        try:
            states = [each.restore(game.shapes, sharding, step)[1] for each in checkpoints]
        except UserError as error:
            logger.warning("%s", error)
            unreadable = error
            continue
        for each in checkpoints:
            each.rewind(step)
        logger.info("Going on from the checkpoints of step %d.", step)
        return step, stacked(states)
    if unreadable:
        raise unreadable
    return 0, stacked([train.fresh_state(config, game, split, sharding) for config in configs])


class Batches:
    """Batches of several seeds, each in the order of its own run: `[step]` is (seeds, batch size, ...)."""

    def __init__(self, each: Sequence[data.Batches]):
        self._each = each

    def __getitem__(self, step: int) -> dict[str, np.ndarray]:
        return jax.tree.map(lambda *arrays: np.stack(arrays), *(batches[step] for batches in self._each))


class Run(NamedTuple):
    """One of the runs, at work in its workdir."""

    folder: Path
    checkpoints: Checkpoints
    watch: train.Watch


class Runs:
    """What `train.loop` tells a run's watch and asks of its checkpoints, for all runs at once."""

    def __init__(self, each: Sequence[Run], figures_every: int):
        self._each, self._figures_every = each, figures_every

    def after(self, step: int, count: int, states: TrainState, metrics, finished: bool) -> None:
        # A watch looks at its state only where there are figures of it; to take all states apart copies them.
        shown = finished or crossed(step, count, self._figures_every)
        of_each = apart(states, len(self._each)) if shown else [None] * len(self._each)
        for run, state, of_run in zip(self._each, of_each, apart(metrics, len(self._each)), strict=True):
            with diverging(run):
                run.watch.after(step, count, state, of_run, finished)

    def before_save(self, step: int, states: TrainState) -> None:
        for run, state in zip(self._each, apart(states, len(self._each)), strict=True):
            with diverging(run):
                run.watch.before_save(step, state)

    def save(self, step: int, states: TrainState) -> None:
        for run, state in zip(self._each, apart(states, len(self._each)), strict=True):
            run.checkpoints.save(step, state)

    def wait(self) -> None:
        for run in self._each:
            run.checkpoints.wait()

    def preempted(self, call: int) -> bool:
        return self._each[0].checkpoints.preempted(call)


@contextlib.contextmanager
def diverging(run: Run):
    """A UserError that says which run has a loss that is no longer finite."""
    try:
        yield
    except NotFinite as error:
        raise train.diverged(error, run.folder, run.checkpoints.latest_step()) from None


def stacked(states: Sequence[TrainState]) -> TrainState:
    """States of runs of one game, stacked along a new first axis."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)


@functools.partial(jax.jit, static_argnames="count")
def apart(tree, count: int) -> list:
    """What was stacked along the first axis, a tree for each."""
    return [jax.tree.map(lambda leaf, n=n: leaf[n], tree) for n in range(count)]


def run_all(game: build.Game):
    """(stacked states, batches of all runs, due=None) -> (stacked states, metrics), both of all runs.

    Which penalties are due (see `train.compiled_steps`) the states say themselves: all are at one step, so
    that it is no axis of theirs and a penalty that is not due is not computed.
    """
    axes = TrainState(*(None if field == "step" else 0 for field in TrainState._fields))

    def run(state: TrainState, batches):
        return jax.lax.scan(game.step, state, batches)

    def of_all(states: TrainState, batches, due=None):
        del due
        every = jax.vmap(run, in_axes=(axes, 1), out_axes=(axes, 0))
        after, metrics = every(states._replace(step=states.step[0]), batches)
        return after._replace(step=jnp.broadcast_to(after.step, states.step.shape)), metrics

    platform = jax.local_devices()[0].platform
    options = models.compiler_options(game.dtype, game.shapes.params, platform)
    return onednn.jit(of_all, options, static_argnames="due", donate_argnums=0)
