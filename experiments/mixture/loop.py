"""Every training procedure of the study: the package's loop, with a curve of measures and a progress bar."""

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
from ali_jax.errors import UserError
from ali_jax.files import write_whole, writing
from ali_jax.run import devices, signals
from ali_jax.run.checkpoints import Checkpoints
from ali_jax.run.metrics import crossed

# "step", what `evaluate` found, and the "seconds" of the "timed_steps" before it: those since the last row
# or, where that is later, since a resumption.
Rows = list[dict[str, Any]]
OF_TIME = ("step", "seconds", "timed_steps")


def advance(
    run: Callable,
    init: Callable[[], Any],
    evaluate: Callable[[Any], dict[str, jax.Array]],
    batches: data.Batches,
    config: ConfigDict,
    folder: Path,
) -> tuple[Any, Rows]:
    """Trains to config.num_steps from the last checkpoint in `folder`, if there is one.

    Args:
      run: (state, batches stacked along a new first axis) -> state; it may donate the state.
      init: the state to start from.
      evaluate: measures of a state, taken every config.log_every steps and at the end.
      batches: `batches[step]`.
      config: its num_steps, steps_per_dispatch, log_every, checkpoint_every and keep_checkpoints.
      folder: of the checkpoints, and of curve.json, the rows.

    Returns:
      The last state, and a row for each evaluation.

    Raises:
      Stopped: a signal stopped it before the last step.
    """
    with Checkpoints(folder, config.keep_checkpoints) as checkpoints:
        step, state = restore(checkpoints, jax.eval_shape(init)) or (0, init())
        with Curve(folder, step, config, evaluate) as curve:
            mesh = devices.make_mesh(jax.local_devices()[:1])

            def run_steps(state, rows, due=None):
                return run(state, rows), {}

            state = train.loop(config, run_steps, batches, mesh, step, state, checkpoints, curve)
            # Also where a run was stopped between two evaluations and is not to go on.
            if curve.step == config.num_steps and (not curve.rows or curve.rows[-1]["step"] != curve.step):
                curve.note(state)
    signals.require_last_step(curve.step, config.num_steps, folder.parent)
    return state, curve.rows


class Curve:
    """What `train.loop` tells of its steps, as rows in curve.json and a progress bar."""

    def __init__(self, folder: Path, step: int, config: ConfigDict, evaluate: Callable):
        self.step, self.rows = step, read_rows(folder, step)
        self._folder, self._config, self._evaluate = folder, config, evaluate
        self._since = step, time.perf_counter()
        self._bar = tqdm(total=config.num_steps, initial=step, desc=folder.name, unit="step", disable=None)

    def __enter__(self):
        return self

    def __exit__(self, *exc_info) -> None:
        self._bar.close()

    def after(self, step: int, count: int, state: Any, metrics: dict, finished: bool) -> None:
        jax.block_until_ready(state)  # the bar shows what is done, not what is asked for
        self.step = step
        self._bar.update(count)
        if finished or crossed(step, count, self._config.log_every):
            self.note(state)

    def before_save(self, step: int, state: Any) -> None:
        """Nothing: of many runs at once some may diverge, and their measures say so."""

    def note(self, state: Any) -> None:
        """Adds the row of this state."""
        found = {name: np.asarray(value).tolist() for name, value in self._evaluate(state).items()}
        (step, begun), self._since = self._since, (self.step, time.perf_counter())
        took = {"seconds": self._since[1] - begun, "timed_steps": self.step - step}
        self.rows.append({"step": self.step, **took, **found})
        with writing(self._folder):
            write_whole(self._folder / "curve.json", (json.dumps(self.rows) + "\n").encode())
        of = f"step {self.step} of {self._config.num_steps}"
        self._bar.write(f"{self._folder.name}, {of}: {describe(found)}")


def restore(checkpoints: Checkpoints, shapes: Any) -> tuple[int, Any] | None:
    """(step, state) of the newest checkpoint, on the first device; None where there is none."""
    return checkpoints.restore(shapes, jax.sharding.SingleDeviceSharding(jax.local_devices()[0]))


def read_rows(folder: Path, step: int) -> Rows:
    """The rows of curve.json up to `step`; a killed run may have written more.

    Raises:
      UserError: the file is damaged.
    """
    path = folder / "curve.json"
    try:
        rows = json.loads(path.read_text()) if path.exists() else []
        return [row for row in rows if row["step"] <= step]
    except (KeyError, OSError, TypeError, ValueError):
        raise UserError(f"{path} is damaged; restore it, or remove {folder} to train it anew.") from None


def minutes(rows: Rows) -> float:
    """Of all steps up to the last row; those that no row timed were as fast as the ones after them."""
    seconds, done = 0.0, 0
    for row in rows:
        steps = row["step"] - done
        seconds += row["seconds"] * steps / (row.get("timed_steps") or steps)
        done = row["step"]
    return seconds / 60


def stacked(batches: data.Batches, step: int, count: int) -> dict[str, np.ndarray]:
    """`count` batches from `step` on, stacked along a new first axis."""
    return jax.tree.map(lambda *arrays: np.stack(arrays), *(batches[s] for s in range(step, step + count)))


def describe(found: dict[str, Any]) -> str:
    return ", ".join(f"{name} {np.mean(values):.3g}" for name, values in found.items())
