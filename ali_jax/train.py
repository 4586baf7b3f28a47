"""The training loop: batches -> step -> metrics, pictures, checkpoints."""

import contextlib
import functools
import logging
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from ali_jax import config as config_lib
from ali_jax import data, figures, from_config, inference, sharding
from ali_jax.checkpoint import Checkpoints
from ali_jax.errors import UserError
from ali_jax.images import write_whole
from ali_jax.metrics import MetricWriter, NotFinite, Recorder, Silent
from ali_jax.train_step import TrainState, init_state, train_step

logger = logging.getLogger(__name__)

EXAMPLES_FOR_BIAS = 500  # the generator starts at their mean; the number is the official code's


def train_and_evaluate(
    config: ConfigDict,
    workdir: str | Path,
    splits: tuple[data.Split, data.Split] | None = None,
) -> TrainState:
    """Trains `config` in `workdir`, from its last checkpoint where there is one; returns the last state.

    Args:
      config: see `config.default`.
      workdir: made where it does not exist.
      splits: training and validation examples, in place of those of `config.dataset`.

    Raises:
      UserError: a mistake in the config, the data or the workdir, or a loss that is no longer finite.
    """
    workdir = Path(workdir)
    config_lib.check(config)
    networks, mesh = from_config.networks(config), sharding.make_mesh()
    sharding.check_batch_size(config.batch_size, mesh)
    train_split, validation = (fit(s, config) for s in splits or load_splits(config))
    batches = data.Batches(
        train_split,
        *(config.batch_size, config.seed),
        *(jax.process_index(), jax.process_count()),
    )
    claim_workdir(workdir, config)

    with Checkpoints(workdir, config.keep_checkpoints) as checkpoints:
        step, state = first_state(config, train_split, checkpoints, mesh)
        if step >= config.num_steps:
            logger.info("%s is trained: %d steps of %d.", workdir, step, config.num_steps)
            return state

        def draw(state: TrainState) -> dict[str, np.ndarray]:
            params, batch_stats = sharding.local_copy((state.params, state.batch_stats))
            return figures.of_training(inference.Model(networks, params, batch_stats), validation)

        try:
            with open_writer(config, workdir, step) as writer:
                return loop(config, mesh, batches, step, state, checkpoints, writer, draw)
        except NotFinite as error:
            raise UserError(
                f"{error}; the last good checkpoint in {checkpoints.directory} is of step "
                f"{checkpoints.latest_step()}: train into another --workdir with a lower learning rate or "
                "another seed."
            ) from None


def loop(
    config: ConfigDict,
    mesh: jax.sharding.Mesh,
    batches: data.Batches,
    step: int,
    state: TrainState,
    checkpoints: Checkpoints,
    writer: MetricWriter,
    draw: Callable[[TrainState], dict[str, np.ndarray]],
) -> TrainState:
    """Steps from `step` to the config's last one, or to a signal; ends with a checkpoint."""
    run_steps = compiled_steps(config, mesh)
    recorder = Recorder(writer, config.log_every, step)
    with stop_signals() as stop:
        while step < config.num_steps and not stop:
            count = min(config.steps_per_dispatch, config.num_steps - step)
            rows = [batches[s] for s in range(step, step + count)]
            state, metrics = run_steps(state, sharding.put_batches(rows, mesh))
            step += count
            recorder.add(step, metrics)

            ended = step == config.num_steps
            if checkpoints.preempted(step // config.steps_per_dispatch):
                stop.append(signal.SIGTERM)
            if jax.process_index() == 0 and (ended or crossed(step, count, config.figures_every)):
                writer.write_figures(step, draw(state))
            if ended or stop or crossed(step, count, config.checkpoint_every):
                recorder.catch_up()
                check_parameters(state, step)
                checkpoints.save(step, state)
    how = f"Stopped by {signal.Signals(stop[0]).name}" if stop else "Done"
    logger.info("%s at step %d of %d.", how, step, config.num_steps)
    return state


def open_writer(config: ConfigDict, workdir: Path, first_step: int) -> MetricWriter | Silent:
    """Process 0 writes; what the others would write is the same."""
    if jax.process_index():
        return Silent()
    return MetricWriter(workdir, first_step, config.num_steps, config.batch_size)


def load_splits(config: ConfigDict) -> tuple[data.Split, data.Split]:
    """The training and the validation examples that the config names."""
    names = (config.train_split, config.validation_split)
    train_split, validation = (data.load(config.dataset, n, config.data_dir) for n in names)
    return train_split, validation


def fit(split: data.Split, config: ConfigDict) -> data.Split:
    """The split as the networks want it; a UserError where they cannot take it."""
    if split.x.shape[1:] != tuple(config.model.x_shape):
        raise UserError(
            f"Examples of {config.dataset} have the shape {split.x.shape[1:]}, but "
            f"config.model.x_shape is {tuple(config.model.x_shape)}; pass the config of this data set."
        )
    if not config.model.num_attributes:
        return split._replace(attributes=None)
    if split.attributes is None:
        raise UserError(
            f"config.model is conditional on attributes, and {config.dataset} has none; use celeb_a."
        )
    return split


def claim_workdir(workdir: Path, config: ConfigDict) -> None:
    """Makes the workdir and writes config.json there, or checks that the one there agrees."""
    if (workdir / "config.json").exists():
        config_lib.check_same_run(config, workdir)
    if jax.process_index():
        return
    try:
        write_whole(workdir / "config.json", config_lib.to_json(config).encode())
    except OSError as error:
        raise UserError(
            f"The workdir {workdir} cannot be written ({error.strerror}); pass another --workdir."
        ) from None


def first_state(config: ConfigDict, split: data.Split, checkpoints: Checkpoints, mesh):
    """(step, state) of the last checkpoint, or 0 and a fresh state; born on its devices."""
    everywhere = sharding.replicated(mesh)
    restored = checkpoints.restore(from_config.state_shapes(config), everywhere)
    if restored is not None:
        logger.info("Going on from the checkpoint of step %d.", restored[0])
        return restored
    init = functools.partial(init_state, **from_config.players(config))
    examples = data.Batches(split, min(EXAMPLES_FOR_BIAS, len(split.x)), config.seed)[0]
    state = jax.jit(init, out_shardings=everywhere)(jax.random.key(config.seed), batch=examples)
    return 0, state


def compiled_steps(config: ConfigDict, mesh):
    """(state, batches) -> (state, metrics): a `train_step` for each batch along the first axis."""
    batch_sharding = sharding.split_batch(mesh)
    step = functools.partial(train_step, sharding=batch_sharding, **from_config.players(config))

    def run(state, batches):
        if len(batches["x"]) > 1:
            return jax.lax.scan(step, state, batches)
        # Not a scan of one: inside a loop, XLA runs convolutions on a single core of the CPU.
        state, metrics = step(state, jax.tree.map(lambda a: a[0], batches))
        return state, jax.tree.map(lambda m: m[None], metrics)

    return jax.jit(run, out_shardings=sharding.replicated(mesh), donate_argnums=0)


def crossed(step: int, count: int, every: int) -> bool:
    """Whether the last `count` steps reached a multiple of `every`."""
    return step // every > (step - count) // every


def check_parameters(state: TrainState, step: int) -> None:
    """Raises NotFinite rather than let a state that is not finite into a checkpoint."""
    if not _all_finite((state.params, state.batch_stats)):
        raise NotFinite(f"The parameters are not finite after step {step}")


@jax.jit
def _all_finite(tree) -> jax.Array:
    return jnp.all(jnp.asarray([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)]))


@contextlib.contextmanager
def stop_signals() -> Iterator[list[int]]:
    """A list in which Ctrl-C or SIGTERM leaves its number; a second Ctrl-C interrupts at once.

    Of several processes each would stop at its own step. There JAX's preemption service takes SIGTERM and
    agrees with all of them on one step (`Checkpoints.preempted`).
    """
    received: list[int] = []

    def note(number, frame):
        if received and number == signal.SIGINT:
            raise KeyboardInterrupt
        received.append(number)
        logger.info("%s: saving, then stopping.", signal.Signals(number).name)

    ours = (signal.SIGINT, signal.SIGTERM) if jax.process_count() == 1 else ()
    before = {number: signal.signal(number, note) for number in ours}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
