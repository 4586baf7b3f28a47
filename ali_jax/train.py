"""The training loop: batches -> step -> metrics, pictures, checkpoints."""

import contextlib
import functools
import json
import logging
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from ali_jax import build, data, inference
from ali_jax import config as config_lib
from ali_jax.data import labels
from ali_jax.errors import UserError
from ali_jax.run import devices, pictures
from ali_jax.run.checkpoints import Checkpoints
from ali_jax.run.images import write_whole
from ali_jax.run.metrics import MetricWriter, NotFinite, Recorder, Silent
from ali_jax.train_step import TrainState

logger = logging.getLogger(__name__)

EXAMPLES_FOR_BIAS = 500  # the generator starts at their mean; the number is the official code's


def train_and_evaluate(
    config: ConfigDict,
    workdir: str | Path,
    splits: tuple[data.Split, ...] | None = None,
) -> TrainState:
    """Trains `config` in `workdir`, from its last checkpoint where there is one; returns the last state.

    Args:
      config: see `config.default`.
      workdir: made where it does not exist.
      splits: training, validation and, for the error of a classifier, test examples, in place of those of
        `config.dataset`.

    Raises:
      UserError: a mistake in the config, the data or the workdir, or a loss that is no longer finite.
    """
    workdir = Path(workdir)
    config_lib.check(config)
    networks, mesh = build.networks(config), devices.make_mesh()
    shapes = build.state_shapes(config)
    devices.check_batch_size(config.batch_size, mesh)
    train_split, *held_out = (fit(s, config) for s in splits or load_splits(config))
    labelled = labelled_examples(config, train_split)
    batches = open_batches(config, train_split, labelled)
    claim_workdir(workdir, config, labelled)

    with Checkpoints(workdir, config.keep_checkpoints) as checkpoints:
        step, state = first_state(config, shapes, train_split, checkpoints, mesh)
        if step >= config.num_steps:
            logger.info("%s is trained: %d steps of %d.", workdir, step, config.num_steps)
            return state

        def look(state: TrainState) -> tuple[dict[str, float], dict[str, np.ndarray]]:
            here = devices.local_copy(state._replace(key=None, opt_state=None))
            model = inference.of_state(networks, here)
            graded = dict(zip(("validation", "test"), held_out, strict=False)) if config.num_labels else {}
            # The generator of a classifier is never trained.
            drawn = {} if config.objective == "supervised" else pictures.of_training(model, held_out[0])
            return inference.errors(model, graded), drawn

        try:
            with open_writer(config, workdir, step) as writer:
                return loop(config, mesh, batches, step, state, checkpoints, writer, look)
        except NotFinite as error:
            last = checkpoints.latest_step()
            kept = "no checkpoint is there yet" if last is None else f"the last good one is of step {last}"
            raise UserError(
                f"{error} of {workdir} ({kept}); train into another --workdir with a lower learning rate "
                "or another seed."
            ) from None


def loop(
    config: ConfigDict,
    mesh: jax.sharding.Mesh,
    batches: data.Batches | labels.MixedBatches,
    step: int,
    state: TrainState,
    checkpoints: Checkpoints,
    writer: MetricWriter,
    look: Callable[[TrainState], tuple[dict[str, float], dict[str, np.ndarray]]],
) -> TrainState:
    """Steps from `step` to the config's last one, or to a signal; ends with a checkpoint.

    `look` gives the scalars and the figures that show the state of the training.
    """
    run_steps = compiled_steps(config, mesh)
    recorder = Recorder(writer, config.log_every, step)
    with stop_signals() as stop:
        ended = False
        while not ended:
            count = min(config.steps_per_dispatch, config.num_steps - step)
            rows = [batches[s] for s in range(step, step + count)]
            state, metrics = run_steps(state, devices.put_batches(rows, mesh))
            step += count
            recorder.add(step, metrics)

            finished = step == config.num_steps
            if checkpoints.preempted(step // config.steps_per_dispatch):
                stop.append(signal.SIGTERM)
            if jax.process_index() == 0 and (finished or crossed(step, count, config.figures_every)):
                writer.write_look(step, *look(state))
            ended = finished or bool(stop)  # read once: a later signal ends the next step
            if ended or crossed(step, count, config.checkpoint_every):
                recorder.catch_up()
                check_parameters(state, step)
                checkpoints.save(step, state)
    how = "Done" if finished else f"Stopped by {signal.Signals(stop[0]).name}"
    logger.info("%s at step %d of %d.", how, step, config.num_steps)
    return state


def open_writer(config: ConfigDict, workdir: Path, first_step: int) -> MetricWriter | Silent:
    """Process 0 writes; what the others would write is the same."""
    if jax.process_index():
        return Silent()
    return MetricWriter(workdir, first_step, config.num_steps, config.batch_size)


def load_splits(config: ConfigDict) -> tuple[data.Split, ...]:
    """The training, the validation and, where the config names them, the test examples."""
    names = [config.train_split, config.validation_split, *filter(None, [config.test_split])]
    return tuple(data.load(config.dataset, name, config.data_dir) for name in names)


def fit(split: data.Split, config: ConfigDict) -> data.Split:
    """The split as the networks want it; a UserError where they cannot take it."""
    if split.x.shape[1:] != tuple(config.model.x_shape):
        raise UserError(
            f"Examples of {config.dataset} have the shape {split.x.shape[1:]}, but "
            f"config.model.x_shape is {tuple(config.model.x_shape)}; pass the config of this data set."
        )
    if config.num_labels and split.label is None:
        raise UserError(
            f"config.num_labels is {config.num_labels}, and {config.dataset} has no labels; pass the config "
            "of a data set that has."
        )
    if not config.model.num_attributes:
        return split._replace(attributes=None)
    if split.attributes is None:
        raise UserError(
            f"config.model is conditional on attributes, and {config.dataset} has none; use celeb_a."
        )
    if split.attributes.shape[1] != config.model.num_attributes:
        raise UserError(
            f"config.model.num_attributes is {config.model.num_attributes}, but {config.dataset} has "
            f"{split.attributes.shape[1]}; it must be that."
        )
    return split


def labelled_examples(config: ConfigDict, split: data.Split) -> np.ndarray | None:
    """Which training examples keep their labels; None in a game without labels."""
    if not config.num_labels:
        return None
    logits, classes = build.num_logits(config), int(np.max(split.label)) + 1
    if logits != classes:
        raise UserError(
            f"The last row of config.model.discriminator_joint has {logits} features; for {config.dataset} "
            f"with labels it needs {classes}, one for each class."
        )
    return labels.labelled_rows(split.label, config.num_labels, config.label_seed)


def open_batches(config: ConfigDict, split: data.Split, labelled: np.ndarray | None):
    """This process's share of the batches, by step."""
    process = (config.seed, jax.process_index(), jax.process_count())
    if labelled is None:
        return data.Batches(split, config.batch_size, *process)
    sizes = (config.batch_size, config.labelled_batch_size)
    if config.objective == "supervised":
        known = labels.labelled_split(split, labelled, config.batch_size)
        return data.Batches(known, config.batch_size, *process)
    return labels.MixedBatches(split, labelled, *sizes, *process)


def claim_workdir(workdir: Path, config: ConfigDict, labelled: np.ndarray | None = None) -> None:
    """Makes the workdir and writes config.json there, or checks that the one there agrees.

    Beside it, labelled_examples.json: the numbers of the examples whose label is known.
    """
    if (workdir / "config.json").exists():
        config_lib.check_same_run(config, workdir)
    kept = workdir / "labelled_examples.json"
    if labelled is not None and kept.exists() and json.loads(kept.read_text()) != labelled.tolist():
        raise UserError(
            f"{workdir} was begun with other labelled examples than {config.dataset} now gives; restore its "
            "data, or pass another --workdir."
        )
    if jax.process_index():
        return
    try:
        write_whole(workdir / "config.json", config_lib.to_json(config).encode())
        if labelled is not None:
            write_whole(kept, json.dumps(labelled.tolist()).encode())
    except OSError as error:
        raise UserError(
            f"The workdir {workdir} cannot be written ({error.strerror}); pass another --workdir."
        ) from None


def first_state(config: ConfigDict, shapes: TrainState, split: data.Split, checkpoints: Checkpoints, mesh):
    """(step, state) of the last checkpoint, or 0 and a fresh state; born on its devices."""
    everywhere = devices.replicated(mesh)
    restored = checkpoints.restore(shapes, everywhere)
    if restored is not None:
        logger.info("Going on from the checkpoint of step %d.", restored[0])
        return restored
    return 0, fresh_state(config, split, everywhere)


def fresh_state(config: ConfigDict, split: data.Split, sharding: jax.sharding.Sharding | None = None):
    """The state before the first step, as the config's seed and the training examples determine it."""
    init = jax.jit(build.init(config), out_shardings=sharding)
    examples = data.Batches(split, min(EXAMPLES_FOR_BIAS, len(split.x)), config.seed)[0]
    return init(jax.random.key(config.seed), batch=examples)


def compiled_steps(config: ConfigDict, mesh):
    """(state, batches) -> (state, metrics): a `train_step` for each batch along the first axis."""
    step = functools.partial(build.step(config), sharding=devices.split_batch(mesh))

    def run(state, batches):
        if len(batches["x"]) > 1:
            return jax.lax.scan(step, state, batches)
        # Not a scan of one: inside a loop, XLA runs convolutions on a single core of the CPU.
        state, metrics = step(state, jax.tree.map(lambda a: a[0], batches))
        return state, jax.tree.map(lambda m: m[None], metrics)

    return jax.jit(run, out_shardings=devices.replicated(mesh), donate_argnums=0)


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
