"""What the training of a run has cost: floating-point operations and seconds."""

from pathlib import Path

from ml_collections import ConfigDict

from ali_jax.run.metrics import read_lines
from experiments.common import flops


def of_run(config: ConfigDict, workdir: Path, step: int, flops_per_step: float | None = None) -> dict:
    """Of the steps up to `step`; seconds are None where metrics.jsonl does not tell.

    A penalty of every so many steps counts by its share of them (`flops.of_average_step`).
    """
    each = flops.of_average_step(config) if flops_per_step is None else flops_per_step
    return {
        "steps": step,
        "flops_per_step": each,
        "flops": each * step,
        "seconds": seconds(read_lines(workdir / "metrics.jsonl"), config.batch_size, step),
    }


def seconds(lines: list[dict[str, float]], batch_size: int, step: int) -> float | None:
    """The time of the first `step` steps, from the rate that each line of metrics.jsonl gives for its own.

    With compilation and figures, as the rates have them. Steps after the last line are taken to be as fast as
    those before it; so are those between a line and a resumption, after which the first line is of the steps
    since, of which there may be few.
    """
    rated = [line for line in lines if line.get("images_per_second")]
    total, done, rate = 0.0, 0, None
    for line in rated:
        before, rate = rate, line["images_per_second"] / batch_size
        count = min(line["step"], step) - done
        own = min(int(line.get("averaged_steps", count)), count)
        total += own / rate + (count - own) / (before or rate)
        done += count
        if done == step:
            break
    return None if rate is None else total + (step - done) / rate
