"""The loop of every training procedure of the study: resumable, with a progress bar."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict
from tqdm import tqdm

from ali_jax import data, train
from ali_jax.run.checkpoints import Checkpoints
from ali_jax.run.files import write_whole

Rows = list[dict[str, Any]]  # "step", "seconds" since the last row, and what `evaluate` found


def advance(
    run: Callable,
    init: Callable[[], Any],
    evaluate: Callable[[Any], dict[str, jax.Array]],
    batches: data.Batches,
    config: ConfigDict,
    folder: Path,
    stop: list,
) -> tuple[Any, Rows]:
    """Trains to config.num_steps, or to a signal, from the last checkpoint in `folder` if there is one.

    Args:
      run: (state, batches stacked along a new first axis) -> state; it may donate the state.
      init: the state to start from.
      evaluate: measures of a state, taken every config.log_every steps and at the end.
      batches: `batches[step]`.
      config: its num_steps, steps_per_dispatch, log_every, checkpoint_every and keep_checkpoints.
      folder: of the checkpoints, and of curve.json, the rows.
      stop: not empty once a signal came, see `train.stop_signals`.

    Returns:
      The last state, and a row for each evaluation.
    """
    with Checkpoints(folder, config.keep_checkpoints) as checkpoints:
        step, state = restore(checkpoints, jax.eval_shape(init)) or (0, init())
        rows = read_rows(folder, step)
        bar = tqdm(total=config.num_steps, initial=step, desc=folder.name, unit="step", disable=None)
        since = time.perf_counter()

        def note() -> None:
            nonlocal since
            found = {name: np.asarray(value).tolist() for name, value in evaluate(state).items()}
            before, since = since, time.perf_counter()
            rows.append({"step": step, "seconds": since - before, **found})
            write_whole(folder / "curve.json", (json.dumps(rows) + "\n").encode())
            bar.write(f"{folder.name}, step {step} of {config.num_steps}: {describe(found)}")

        while step < config.num_steps and not stop:
            count = min(config.steps_per_dispatch, config.num_steps - step)
            state = jax.block_until_ready(run(state, stacked(batches, step, count)))
            step += count
            bar.update(count)
            if train.crossed(step, count, config.log_every):
                note()
            if train.crossed(step, count, config.checkpoint_every):
                checkpoints.save(step, state)
        # Also where a run was stopped between two evaluations and is not to go on.
        if not stop and (not rows or rows[-1]["step"] != step):
            note()
        checkpoints.save(step, state)
        bar.close()
    return state, rows


def restore(checkpoints: Checkpoints, shapes: Any) -> tuple[int, Any] | None:
    """(step, state) of the newest checkpoint, on the first device; None where there is none."""
    return checkpoints.restore(shapes, jax.sharding.SingleDeviceSharding(jax.local_devices()[0]))


def read_rows(folder: Path, step: int) -> Rows:
    """The rows of curve.json up to `step`; a killed run may have written more."""
    path = folder / "curve.json"
    rows = json.loads(path.read_text()) if path.exists() else []
    return [row for row in rows if row["step"] <= step]


def stacked(batches: data.Batches, step: int, count: int) -> dict[str, np.ndarray]:
    """`count` batches from `step` on, stacked along a new first axis."""
    return jax.tree.map(lambda *arrays: np.stack(arrays), *(batches[s] for s in range(step, step + count)))


def describe(found: dict[str, Any]) -> str:
    return ", ".join(f"{name} {np.mean(values):.3g}" for name, values in found.items())
