"""The training loop: batches -> step -> metrics, pictures, checkpoints."""

import functools
import logging
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.dtypes import canonicalize_dtype
from ml_collections import ConfigDict

from ali_jax import build, data, examples, inference, models
from ali_jax.data.labels import known_rows
from ali_jax.errors import UserError
from ali_jax.models import onednn
from ali_jax.pretrained import starts
from ali_jax.run import begun, devices, pictures, workdirs
from ali_jax.run.checkpoints import Checkpoints, kept_steps
from ali_jax.run.metrics import MetricWriter, NotFinite, Recorder, Silent, crossed, open_writer
from ali_jax.run.signals import stop_signals
from ali_jax.terms import penalties
from ali_jax.train_step import TrainState

logger = logging.getLogger(__name__)

EXAMPLES_FOR_BIAS = 500  # the generator starts at their mean; the number is the official code's


def train_and_evaluate(
    config: ConfigDict,
    workdir: str | Path,
    splits: Mapping[str, data.Split] | None = None,
    init_from: str | Path | None = None,
    command: str | None = None,
) -> TrainState:
    """Trains `config` in `workdir`, from its last checkpoint where there is one; returns the last state.

    Args:
      config: see `config.default`.
      workdir: made where it does not exist.
      splits: "train", "validation" and, for the error of a classifier, "test" examples, in place of those of
        `config.dataset`.
      init_from: a model, as `inference.load` takes it, whose networks training starts from.
      command: that began the run, to be kept in the workdir.

    Raises:
      UserError: a mistake in the config, the data or the workdir; `Diverged`: a loss is no longer finite.
    """
    workdir = workdirs.folder(workdir)
    game, mesh = build.game(config), devices.make_mesh()
    workdirs.check(config, workdir)
    if not is_finished(config, workdir):
        workdirs.check_writable(workdir)
    model, start = None, {}
    if not begun.goes_on(workdir, init_from):
        model = None if init_from is None else starts.load(init_from, game.shapes)
        start = starts.describe(command, init_from, model)
        begun.check(workdir, start)
    devices.check_batch_size(config.batch_size, mesh, config.model.packing)
    splits = examples.all_fit(config, splits)
    labelled, known = known_examples(config, splits["train"], workdir)
    if labelled is not None:
        there = len(known_rows(splits["train"].label))
        logger.info("Labels of %s of %s examples are used (config.num_labels).", len(labelled), there)
    process = (jax.process_index(), jax.process_count())
    batches = examples.open_batches(config, splits["train"], labelled, *process)
    run_steps = compiled_steps(game, mesh)
    trace(run_steps, config, game, batches[0], mesh)  # raises what the first step would, before a claim
    state = finished_state(config, game, workdir, mesh)
    if state is not None:
        return state
    with workdirs.locked(workdir):
        workdirs.claim(workdir, config, labelled, start, known)
        with Checkpoints(workdir, config.keep_checkpoints) as checkpoints:
            step, state = first_state(config, game, splits["train"], checkpoints, mesh, model)
            look = functools.partial(show, game, splits)
            try:
                with open_writer(workdir, step, config.num_steps, config.batch_size) as writer:
                    watch = Watch(config, writer, step, look)
                    return loop(config, run_steps, batches, mesh, step, state, checkpoints, watch)
            except NotFinite as error:
                bad = examples.not_finite(splits["train"].x)
                raise diverged(error, workdir, checkpoints.latest_step(), bad) from None


def known_examples(
    config: ConfigDict, split: data.Split, workdir: Path
) -> tuple[np.ndarray | None, dict[str, int]]:
    """The numbers of the training examples whose label is known, and the fingerprint of all of them.

    Raises:
      UserError: the run in `workdir` was begun on others.
    """
    labelled = examples.labelled_examples(config, split)
    workdirs.check_labelled(labelled, workdir)
    known = examples.fingerprint(split, labelled)
    workdirs.check_examples(known, workdir)
    return labelled, known


class Diverged(UserError):
    """A loss or a parameter of a run is no longer finite."""


def diverged(error: NotFinite, workdir: Path, last: int | None, bad: int | None = None) -> UserError:
    """What to do about a run that is no longer finite: `Diverged`, unless its examples were not.

    Args:
      last: the step of its newest checkpoint.
      bad: the number of a training example that is not finite itself.
    """
    kept = "no checkpoint is there yet" if last is None else f"the last good one is of step {last}"
    if bad is not None:
        return UserError(
            f"{error} of {workdir}: training example {bad} (from 0, of those in config.train_split and "
            "config.classes) holds NaN or infinite numbers; leave it out, and train into another --workdir."
        )
    return Diverged(
        f"{error} of {workdir} ({kept}); train into another --workdir with a lower learning rate or another "
        "seed."
    )


def is_finished(config: ConfigDict, workdir: Path) -> bool:
    """Whether a checkpoint in `workdir` is of the last step or of a later one."""
    return max(kept_steps(workdir), default=0) >= config.num_steps


def finished_state(config: ConfigDict, game: build.Game, workdir: Path, mesh) -> TrainState | None:
    """The last state of a run that has no steps left, of which nothing is written; None of any other."""
    restored = None
    if is_finished(config, workdir):
        with Checkpoints(workdir, read_only=True) as checkpoints:
            restored = checkpoints.restore(game.shapes, devices.replicated(mesh))
    if devices.any_process(restored is None or restored[0] < config.num_steps):
        return None
    logger.info("%s is trained: %d steps of %d.", workdir, restored[0], config.num_steps)
    return restored[1]


def show(
    game: build.Game, splits: Mapping[str, data.Split], state: TrainState
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """The scalars and the figures that show the state of the training."""
    here = devices.local_copy(state._replace(key=None, opt_state=None))
    model = inference.of_state(game.networks, here)
    graded = {role: s for role, s in splits.items() if role != "train"} if game.needs.labels else {}
    # Without generated pairs, G is never trained.
    drawn = pictures.of_training(model, splits["validation"]) if game.needs.generated else {}
    return inference.errors(model, graded), drawn


def loop(config: ConfigDict, run_steps: Callable, batches, mesh, step: int, state, checkpoints, watch):
    """Steps from `step` to the config's last one, or to a signal; returns the last state, checkpointed.

    Args:
      config: its num_steps, steps_per_dispatch and checkpoint_every.
      run_steps: (state, batches stacked along a new first axis, due=...) -> (state, metrics of each).
      batches: `batches[step]`, this process's rows of a batch.
      mesh: over which the batches are laid out.
      step: done so far.
      state: after that step; may be donated.
      checkpoints: told of states to keep in `save(step, state)`, asked in `preempted(call)` after every call
        whether to end, and told by `wait()` that the loop has.
      watch: told of every call in `watch.after(step, count, state, metrics, finished)` and, before a
        checkpoint, in `watch.before_save(step, state)`; what it raises ends the loop.
    """
    with stop_signals() as stop:
        ended = finished = step >= config.num_steps
        while not ended:
            count = min(config.steps_per_dispatch, config.num_steps - step)
            rows = [batches[s] for s in range(step, step + count)]
            due = penalties.due(config.terms, step, count)
            state, metrics = run_steps(state, devices.put_batches(rows, mesh), due=due)
            step += count
            finished = step == config.num_steps
            watch.after(step, count, state, metrics, finished)
            if checkpoints.preempted(step // config.steps_per_dispatch):
                stop.append(signal.SIGTERM)
            ended = finished or bool(stop)  # read once: a later signal ends the next step
            if ended or crossed(step, count, config.checkpoint_every):
                watch.before_save(step, state)
                checkpoints.save(step, state)
        checkpoints.wait()  # here, where a second SIGTERM is noted and does not kill the writing
    how = "Done" if finished else f"Stopped by {signal.Signals(stop[0]).name}"
    logger.info("%s at step %d of %d.", how, step, config.num_steps)
    return state


class Watch:
    """What a run shows of itself while it trains: metrics, figures, and that its numbers are finite."""

    def __init__(self, config: ConfigDict, writer: MetricWriter | Silent, step: int, look: Callable):
        self._config, self._writer, self._look = config, writer, look
        self._recorder = Recorder(writer, config.log_every, step)
        self._found_finite = None  # the step whose parameters were looked at last

    def after(self, step: int, count: int, state: TrainState, metrics, finished: bool) -> None:
        """Records what a call gave and, where it is time, shows figures of its state."""
        self._recorder.add(step, metrics)
        if not finished and not crossed(step, count, self._config.figures_every):
            return
        self.before_save(step, state)
        if finished:
            self._recorder.write_means(step)
        if jax.process_index() == 0:
            self._writer.write_look(step, *self._look(state))

    def before_save(self, step: int, state: TrainState) -> None:
        """Raises NotFinite rather than let a state that is not finite into a checkpoint, or a figure."""
        self._recorder.catch_up()
        if self._found_finite == step:  # for its figures
            return
        if not _all_finite((state.params, state.batch_stats)):
            raise NotFinite(f"The parameters are not finite after step {step}")
        self._found_finite = step


def _all_finite(tree: Any) -> bool:
    """By NumPy: for a look at a few arrays JAX would compile a program with a part for each."""
    here = jax.device_get(devices.local_copy(tree))
    return all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(here))


def first_state(
    config: ConfigDict,
    game: build.Game,
    split: data.Split,
    checkpoints: Checkpoints,
    mesh,
    model: inference.Model | None = None,
) -> tuple[int, TrainState]:
    """(step, state) of the last checkpoint, or 0 and a fresh state, with the networks of a `model` if given.

    States are born on their devices.
    """
    everywhere = devices.replicated(mesh)
    restored = checkpoints.restore(game.shapes, everywhere)
    if restored is not None:
        logger.info("Going on from the checkpoint of step %d.", restored[0])
        return restored
    state = fresh_state(config, game, split, everywhere)
    return 0, state if model is None else jax.device_put(starts.start_from(state, model), everywhere)


def fresh_state(
    config: ConfigDict, game: build.Game, split: data.Split, sharding: jax.sharding.Sharding | None = None
) -> TrainState:
    """The state before the first step, as the config's seed and the training examples determine it."""
    init = jax.jit(game.init, out_shardings=sharding)
    first = data.Batches(split._replace(label=None), min(EXAMPLES_FOR_BIAS, len(split.x)), config.seed)[0]
    return init(jax.random.key(config.seed), batch=first)


def compiled_steps(game: build.Game, mesh) -> Callable:
    """(state, batches, due=None) -> (state, metrics): a `train_step` for each batch along the first axis.

    Each `due` is a program of its own; without it the state says at which step penalties are applied.
    """

    def step(state, batch, due=None):
        known = {} if due is None else {"terms": penalties.settled(game.terms, due)}
        return game.step(state, batch, sharding=devices.split_batch(mesh), **known)

    def run(state, batches, due=None):
        if len(batches["x"]) > 1:
            return jax.lax.scan(step, state, batches)
        # Not a scan of one: inside a loop, XLA runs convolutions on a single core of the CPU.
        state, metrics = step(state, jax.tree.map(lambda a: a[0], batches), due)
        return state, jax.tree.map(lambda m: m[None], metrics)

    platform = mesh.devices.flat[0].platform
    options = models.compiler_options(game.dtype, game.shapes.params, platform)
    layout = {"out_shardings": devices.replicated(mesh), "donate_argnums": 0}
    return onednn.jit(run, options, static_argnames="due", **layout)


def trace(run_steps, config: ConfigDict, game: build.Game, example, mesh) -> jax.stages.Traced:
    """The first call of `run_steps`, for shapes in place of arrays; the call itself takes it over.

    Args:
      example: a batch, of which the shapes of single examples count.
    """
    count = min(config.steps_per_dispatch, config.num_steps)
    rows = {
        # float64, which NumPy makes of any division, is float32 on a device.
        name: jax.ShapeDtypeStruct((count, config.batch_size, *a.shape[1:]), canonicalize_dtype(a.dtype))
        for name, a in example.items()
    }
    state = devices.placed(game.shapes, devices.replicated(mesh))
    due = penalties.due(config.terms, 0, count)
    return run_steps.trace(state, devices.placed(rows, devices.split_batches(mesh)), due=due)
