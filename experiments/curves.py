"""The course of a run: curves of its metrics, its last figures, and results.json.

    python -m experiments.curves --workdir=runs/svhn

Writes into <workdir>/results/curves, or into --output.
"""

from pathlib import Path

import numpy as np
from absl import flags
from matplotlib.figure import Figure

from ali_jax import data, examples
from ali_jax.errors import UserError
from ali_jax.files import write_whole, writing
from ali_jax.run import begun
from ali_jax.run import command_line as program
from ali_jax.run.metrics import read_lines
from experiments.common import report, shared_flags, trained_runs

PANELS = {
    "losses": ("loss_discriminator", "loss_generator_encoder"),
    "mean D of the pairs": ("D_real", "D_generated"),
    "codes": ("mu_std", "sigma_mean"),
}
LATE = 0.1  # the share of the run, at its end, that results.json averages over


def define_flags() -> None:
    shared_flags.output()


def main(argv):
    program.refuse_words(argv)
    workdir, config = trained_runs.read(flags.FLAGS.workdir, program.data_dir_alone())
    metrics, errors = read_metrics(workdir), read_errors(workdir)
    output = report.output(flags.FLAGS.output, workdir, "curves")
    report.save_plot(output, "curves", draw(metrics))
    copy_last_figures(workdir / "figures", output)
    print(report.write(output, summarize(config, metrics) | errors, begun.read(workdir)))


def read_metrics(workdir: Path) -> dict[str, np.ndarray]:
    """metrics.jsonl by column, "step" among them."""
    path = workdir / "metrics.jsonl"
    if not path.exists():
        raise UserError(
            f"There is no {path}; pass the --workdir of a run that went on for config.log_every steps (a "
            "model that was exported has no metrics)."
        )
    lines = read_lines(path)
    lines = [line for line in lines if "loss_discriminator" in line]  # others hold errors of a classifier
    if not lines:
        raise UserError(f"{path} holds no metrics yet; train for at least config.log_every steps.")
    if short := [line["step"] for line in lines if lines[0].keys() - line.keys()]:
        raise UserError(f"The line of step {short[0]} in {path} lacks a column; remove it.")
    return {name: np.asarray([line[name] for line in lines]) for name in lines[0]}


def read_errors(workdir: Path) -> dict[str, dict[str, list]]:
    """Of a run with labels: the classifier's errors at every look, as "errors"; {} of any other."""
    looks = [line for line in read_lines(workdir / "metrics.jsonl") if "validation_error" in line]
    names = ("step", "validation_error", "test_error")
    by_name = {name: [line[name] for line in looks if name in line] for name in names}
    return {"errors": {name: values for name, values in by_name.items() if values}} if looks else {}


def draw(metrics: dict[str, np.ndarray]) -> Figure:
    figure = Figure(figsize=(12, 3.2), layout="constrained")
    for axes, (title, names) in zip(figure.subplots(1, len(PANELS)), PANELS.items(), strict=True):
        shown = [name for name in names if name in metrics]
        for name in shown:
            axes.plot(metrics["step"], metrics[name], label=name, linewidth=1)
        axes.set(title=title, xlabel="step")
        if shown:
            axes.legend()
    return figure


def copy_last_figures(figures: Path, output: Path) -> None:
    """The newest of each kind (samples_0003000.png), without its step (samples.png)."""
    for path in sorted(figures.glob("*_[0-9]*.png")):
        with writing(output):
            write_whole(output / f"{path.stem.rsplit('_', 1)[0]}.png", path.read_bytes())


def summarize(config, metrics: dict[str, np.ndarray]) -> dict:
    # A line is of as many steps as it says, the last one or one after a stop perhaps of few.
    weights = metrics.get("averaged_steps", np.ones(len(metrics["step"])))
    late = metrics["step"] > (1 - LATE) * metrics["step"][-1]
    split = trained_runs.examples(config, config.train_split)
    steps = int(metrics["step"][-1])
    return {
        "data": trained_runs.describe(config, config.train_split, split),
        "steps": steps,
        "batch_size": config.batch_size,
        "epochs": epochs(config, steps, split),
        "dtype": config.dtype,
        "seed": config.seed,
        "median_images_per_second": float(np.median(metrics["images_per_second"])),
        "mean_over_last_steps": {
            name: float(np.average(values[late], weights=weights[late]))
            for name, values in metrics.items()
            if name not in ("step", "averaged_steps", "images_per_second")
        },
    }


def epochs(config, steps: int, split: data.Split) -> float:
    """How often steps went round the training examples, or, where batches are of these, the labelled ones."""
    if config.labelled_batch_size == config.batch_size:
        return steps * config.batch_size / len(examples.labelled_examples(config, split))
    return steps * (config.batch_size - config.labelled_batch_size) / len(split.x)


if __name__ == "__main__":
    program.run(main, define_flags)
