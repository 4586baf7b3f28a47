"""What a run tells: a progress bar or log lines, metrics.jsonl, TensorBoard."""

import collections
import contextlib
import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path

import jax
import numpy as np
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from ali_jax.files import save_png, write_whole, writing
from ali_jax.run.events import Events

logger = logging.getLogger(__name__)

# Calls that the host may be ahead of a GPU or TPU: enough to keep it busy, few enough to stop in a moment. On
# a CPU none: a call of our programs returns when its steps are done (see `memory`), and what then waits to be
# recorded is counted to the wrong interval, whose rate is off.
AHEAD = 2
SHOWN = ("loss_discriminator", "loss_generator_encoder")  # on the progress bar
LOGGED = {  # metric -> its name in a line of the log
    "loss_discriminator": "L_D",
    "loss_generator_encoder": "L_GE",
    "D_real": "D(real)",
    "D_generated": "D(generated)",
    "accuracy_on_labels": "accuracy on labels",
}


class Recorder:
    """Fetches metrics a little behind the device, checks them, and hands their means to the writer."""

    def __init__(self, writer: "MetricWriter", log_every: int, first_step: int):
        self._writer = writer
        self._log_every = log_every
        self._ahead = 0 if jax.default_backend() == "cpu" else AHEAD
        self._settled = first_step
        self._pending = collections.deque()
        self._sums: dict[str, float] = {}  # over the steps since the last `write`
        self._count = 0  # of them

    def add(self, step: int, metrics: Mapping[str, jax.Array]) -> None:
        """Metrics (count,) of the steps up to `step`, still being computed.

        Raises:
          NotFinite: an earlier loss is not finite.
        """
        self._pending.append((step, metrics))
        while len(self._pending) > self._ahead:
            self._settle()

    def catch_up(self) -> None:
        """Waits for everything added; raises as `add`."""
        while self._pending:
            self._settle()

    def _settle(self) -> None:
        step, metrics = self._pending.popleft()
        metrics = jax.device_get(metrics)
        self._check_finite(metrics)
        count, self._settled = step - self._settled, step
        self._writer.advance(count, {name: float(metrics[name][-1]) for name in SHOWN if name in metrics})
        for name, values in metrics.items():
            self._sums[name] = self._sums.get(name, 0.0) + float(np.sum(values, dtype=np.float64))
        self._count += count
        if crossed(step, count, self._log_every):
            self.write_means(step)

    def write_means(self, step: int) -> None:
        """Hands on the means over what was settled since the last time, where there is any.

        After a resume the first interval has only the steps since then, and the run's last one, with which it
        may end anywhere, those that are left.
        """
        if not self._count:
            return
        means = {name: total / self._count for name, total in self._sums.items()}
        self._writer.write(step, means | {"averaged_steps": self._count})
        self._sums, self._count = {}, 0

    def _check_finite(self, metrics: Mapping[str, np.ndarray]) -> None:
        """Of every loss, those of single terms too: at the first step where one is not finite, it raises."""
        finite = {name: np.isfinite(values) for name, values in metrics.items() if name.startswith("loss_")}
        bad = {name: int(np.argmin(values)) for name, values in finite.items() if not values.all()}
        if bad:
            name = min(bad, key=bad.get)
            raise NotFinite(f"{name} is not finite at step {self._settled + 1 + bad[name]}")


class NotFinite(Exception):
    """A loss, or the parameters, are no longer finite; the message says at which step."""


class MetricWriter:
    """Writes a run's metrics and figures into its workdir; one process of a run has one.

    Lines of metrics.jsonl from beyond `first_step` (of a run that was killed after its last checkpoint) are
    dropped, so that every step stands there once. The `name` stands before its lines of the log, where
    several runs are trained at once.
    """

    def __init__(self, workdir: Path, first_step: int, num_steps: int, batch_size: int, name: str = ""):
        self._name = name and f"{name}: "
        self._workdir = workdir
        self._num_steps = num_steps
        self._batch_size = batch_size
        self._file = workdir / "metrics.jsonl"
        self._forget_after(first_step)
        self._events = Events(workdir)
        # Without a terminal: no bar, but a line at each `write`.
        self._bar = tqdm(
            desc=name or None,
            total=num_steps,
            initial=first_step,
            unit="step",
            disable=None,
            dynamic_ncols=True,
            miniters=1,  # else the long first step, which compiles, makes it show later ones rarely
        )
        self._redirect = logging_redirect_tqdm([logging.getLogger("ali_jax")])
        self._last = (first_step, time.perf_counter())  # step and time of the last `write`
        self._first: tuple[int, float] | None = None  # of the first, before which steps are compiled

    def __enter__(self):
        self._redirect.__enter__()
        return self

    def __exit__(self, *exc_info) -> None:
        self._events.close()
        self._bar.close()
        self._redirect.__exit__(*exc_info)

    def advance(self, steps: int, losses: Mapping[str, float]) -> None:
        """Moves the progress bar."""
        if self._bar.disable:
            return
        self._bar.update(steps)
        rate = self._bar.format_dict["rate"] or 0
        shown = [f"{LOGGED[name]} {value:.3f}" for name, value in losses.items()]
        self._bar.set_postfix_str(
            ", ".join([f"{rate * self._batch_size:.0f} images/s", *shown]), refresh=False
        )

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """One line of metrics.jsonl, the same scalars to TensorBoard, and a line of the log."""
        before, since = self._last
        self._last = (step, time.perf_counter())
        self._first = self._first or self._last
        speed = (step - before) / (self._last[1] - since)
        scalars = {**scalars, "images_per_second": speed * self._batch_size}
        self._record(step, scalars)
        if self._bar.disable:
            shown = {short: scalars[name] for name, short in LOGGED.items() if name in scalars}
            logger.info(
                "%sstep %d of %d: %s, %.0f images/s, %s left",
                *(self._name, step, self._num_steps),
                ", ".join(f"{short} {value:.4f}" for short, value in shown.items()),
                scalars["images_per_second"],
                tqdm.format_interval((self._num_steps - step) / self._rate_since_first(speed)),
            )

    def _rate_since_first(self, speed: float) -> float:
        """Steps a second since the first `write`, figures and checkpoints included; before, the `speed`."""
        (first, since), (step, now) = self._first, self._last
        return (step - first) / (now - since) if step > first else speed

    def write_look(self, step: int, scalars: Mapping[str, float], figures: Mapping[str, np.ndarray]) -> None:
        """A line of its own for the scalars; uint8 (H, W, 3) pictures to figures/<name>_<step>.png."""
        if scalars:
            self._record(step, scalars)
            shown = ", ".join(f"{name} {value:.4f}" for name, value in scalars.items())
            logger.info("%sstep %d: %s", self._name, step, shown)
        with writing(self._workdir):
            for name, picture in figures.items():
                save_png(self._workdir / "figures" / f"{name}_{step:07d}.png", picture)
        self._events.write(step, {}, figures)

    def _record(self, step: int, scalars: Mapping[str, float]) -> None:
        """To metrics.jsonl and to TensorBoard."""
        with writing(self._workdir), open(self._file, "a") as file:
            file.write(json.dumps({"step": step, **scalars}) + "\n")
        self._events.write(step, scalars, {})

    def _forget_after(self, step: int) -> None:
        if not self._file.exists():
            return
        kept = [json.dumps(line) + "\n" for line in read_lines(self._file) if line["step"] <= step]
        with writing(self._workdir):
            write_whole(self._file, "".join(kept).encode())


def crossed(step: int, count: int, every: int) -> bool:
    """Whether the last `count` steps reached a multiple of `every`."""
    return step // every > (step - count) // every


def read_lines(path: Path) -> list[dict[str, float]]:
    """The records of a metrics.jsonl; without lines that are damaged, or were cut short with their run.

    Empty where there is no such file.
    """
    if not path.exists():
        return []
    lines = []
    for text in path.read_text(errors="replace").splitlines():
        with contextlib.suppress(ValueError):
            line = json.loads(text)
            if isinstance(line, dict) and type(line.get("step")) is int:
                lines.append(line)
    return lines


class Silent:
    """A writer that does nothing: of a run's processes, all but one have it."""

    def __enter__(self):
        return self

    def __exit__(self, *exc_info) -> None:
        pass

    def __getattr__(self, name: str):
        return lambda *args: None


def open_writer(
    workdir: Path, first_step: int, num_steps: int, batch_size: int, name: str = ""
) -> MetricWriter | Silent:
    """Process 0 of a run writes; what the others would write is the same."""
    if jax.process_index():
        return Silent()
    return MetricWriter(workdir, first_step, num_steps, batch_size, name)
