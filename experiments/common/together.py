"""Runs that differ in their seeds alone, trained as one program: `jax.vmap` of the step over their states.

What a small network leaves of a GPU unused, further seeds use. On a CPU that gains nothing, and convolutions
of several networks at once are slow everywhere: it is for dense layers on a GPU.
"""

import contextlib
import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from ali_jax import build, data, models, train
from ali_jax.data import examples, labels
from ali_jax.errors import UserError
from ali_jax.run import devices, workdirs
from ali_jax.run.checkpoints import Checkpoints, kept_steps
from ali_jax.run.metrics import NotFinite, open_writer
from ali_jax.train_step import TrainState

Splits = Mapping[str, data.Split]


def train_all(configs: Sequence[ConfigDict], folders: Sequence[Path], splits: Splits | None = None) -> None:
    """Trains each config in its workdir, to the same states as `train.train_and_evaluate` one after another.

    Products of several networks at once are rounded otherwise; all else is the same. Each workdir is that of
    an ordinary run, which the same call goes on with, or `ali_jax.main`.

    Args:
      configs: equal but for `seed` and `label_seed`.
      folders: a workdir for each.
      splits: see `train.train_and_evaluate`.

    Raises:
      UserError: as there; or no step is left at which all of the runs have a checkpoint.
    """
    game, folders = build.game(configs[0]), [workdirs.folder(folder) for folder in folders]
    for config, folder in zip(configs, folders, strict=True):
        workdirs.check(config, folder)
    step = common_step(folders)
    if step >= configs[0].num_steps:
        return
    splits = splits or examples.load_splits(configs[0])
    splits = {role: examples.fit(split, configs[0]) for role, split in splits.items()}
    mesh = devices.make_mesh(jax.local_devices()[:1])
    with contextlib.ExitStack() as stack:
        runs = [
            stack.enter_context(opened(config, folder, game, splits, step, mesh))
            for config, folder in zip(configs, folders, strict=True)
        ]
        states = stacked([run.first_state for run in runs])
        batches, all_runs = Together([run.batches for run in runs]), Runs(runs)
        train.loop(configs[0], run_all(game), batches, mesh, step, states, all_runs, all_runs)


def common_step(folders: Sequence[Path]) -> int:
    """The last step at which all runs have a checkpoint; 0 where none has any."""
    kept = {folder: kept_steps(folder) for folder in folders}
    common = set.intersection(*map(set, kept.values()))
    if not common and any(kept.values()):
        last = ", ".join(f"{folder} {max(steps, default=0)}" for folder, steps in kept.items())
        raise UserError(
            f"The runs are at different steps ({last}) and have no checkpoint of the same one; go on "
            "with each by ali_jax.main, or begin all anew in another --workdir."
        )
    return max(common, default=0)


class Run(NamedTuple):
    """One of the runs, at work in its workdir."""

    folder: Path
    batches: data.Batches | labels.MixedBatches
    checkpoints: Checkpoints
    watch: train.Watch
    first_state: TrainState  # that from which all runs go on


@contextlib.contextmanager
def opened(
    config: ConfigDict, folder: Path, game: build.Game, splits: Splits, step: int, mesh
) -> Iterator[Run]:
    """Claims the workdir and keeps others out of it; `step`: from which all runs go on."""
    labelled = examples.labelled_examples(config, splits["train"])
    with contextlib.ExitStack() as stack:
        stack.enter_context(workdirs.locked(folder))
        workdirs.claim(folder, config, labelled)
        checkpoints = stack.enter_context(Checkpoints(folder, config.keep_checkpoints))
        everywhere = devices.replicated(mesh)
        if step:
            _, state = checkpoints.restore(game.shapes, everywhere, step)
        else:
            state = train.fresh_state(config, game, splits["train"], everywhere)
        writer = stack.enter_context(open_writer(folder, step, config.num_steps, config.batch_size))
        watch = train.Watch(config, writer, step, functools.partial(train.show, game, splits))
        yield Run(folder, examples.open_batches(config, splits["train"], labelled), checkpoints, watch, state)


class Together:
    """Batches of several seeds, each in the order of its own run: `[step]` is (seeds, batch size, ...)."""

    def __init__(self, each: Sequence[data.Batches]):
        self._each = each

    def __getitem__(self, step: int) -> dict[str, np.ndarray]:
        return jax.tree.map(lambda *arrays: np.stack(arrays), *(batches[step] for batches in self._each))


class Runs:
    """What `train.loop` tells a run's watch and asks of its checkpoints, for all runs at once."""

    def __init__(self, each: Sequence[Run]):
        self._each = each

    def after(self, step: int, count: int, states: TrainState, metrics, finished: bool) -> None:
        for run, state, of_run in self._apart(states, metrics):
            with naming(run.folder):
                run.watch.after(step, count, state, of_run, finished)

    def before_save(self, step: int, states: TrainState) -> None:
        for run, state in self._apart(states):
            with naming(run.folder):
                run.watch.before_save(step, state)

    def save(self, step: int, states: TrainState) -> None:
        for run, state in self._apart(states):
            run.checkpoints.save(step, state)

    def wait(self) -> None:
        for run in self._each:
            run.checkpoints.wait()

    def preempted(self, call: int) -> bool:
        return any(run.checkpoints.preempted(call) for run in self._each)

    def _apart(self, *trees):
        """(run, its part of each tree), for every run."""
        return zip(self._each, *(apart(tree, len(self._each)) for tree in trees), strict=True)


@contextlib.contextmanager
def naming(folder: Path):
    """A UserError that says which run has a loss that is no longer finite."""
    try:
        yield
    except NotFinite as error:
        raise UserError(
            f"{error} of {folder}; train without its seed, or all with a lower learning rate, into another "
            "--workdir."
        ) from None


def stacked(states: Sequence[TrainState]) -> TrainState:
    """States of runs of one game, stacked along a new first axis."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)


@functools.partial(jax.jit, static_argnames="count")
def apart(tree, count: int) -> list:
    """What was stacked along the first axis, a tree for each."""
    return [jax.tree.map(lambda leaf, n=n: leaf[n], tree) for n in range(count)]


def run_all(game: build.Game):
    """(stacked states, batches of all runs, due=None) -> (stacked states, metrics), both of all runs.

    Which penalties are due (see `train.compiled_steps`) the states say themselves.
    """

    def run(state: TrainState, batches):
        return jax.lax.scan(game.step, state, batches)

    def of_all(states: TrainState, batches, due=None):
        del due
        return jax.vmap(run, in_axes=(0, 1))(states, batches)

    options = models.compiler_options(game.dtype, jax.local_devices()[0].platform) or None
    return jax.jit(of_all, static_argnames="due", donate_argnums=0, compiler_options=options)
