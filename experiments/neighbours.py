"""How well E tells classes apart: nearest neighbours and a linear probe of its features.

    python -m experiments.neighbours --workdir=runs/mnist_bigan
    python -m experiments.neighbours --workdir=runs/mnist_bigan --checkpoints=all

The protocol of the BiGAN paper on MNIST (Donahue et al., ICLR 2017, Section 4.1): each test example gets the
class of its nearest training example (Euclidean, exact). Features are "mu", the code, and "hidden", the layer
of E before it, after its nonlinearity; that paper's code scores both. The linear probe is ours: sklearn's
LogisticRegression at its defaults, features unscaled. Beside them stand pixels, and the features of E before
it was trained. With --checkpoints, one point of a curve for each.
Training examples are those of --train_split (train), test examples those of --test_split (test).
Writes into <workdir>/results/neighbours, or into --output; not resumable.
"""

import logging
from collections.abc import Iterator

import numpy as np
from absl import flags
from matplotlib.figure import Figure
from tqdm import tqdm

from ali_jax import data, inference
from ali_jax.errors import UserError
from ali_jax.run import checkpoints, images
from ali_jax.run import command_line as program
from experiments.common import accuracies, features, labelled, report, shared_flags, trained_runs

logger = logging.getLogger("ali_jax.neighbours")  # one that the command line shows

SHOWN, NEAREST = 10, 8  # queries in the figure, neighbours of each

Splits = tuple[data.Split, data.Split]  # training and test examples
Features = tuple[np.ndarray, np.ndarray]  # of both, (N, D) each


def define_flags() -> None:
    shared_flags.output()
    shared_flags.labelled_splits()
    flags.DEFINE_list(
        "checkpoints", None, "Steps of those to score, such as 1000,2000, or all; default: the newest."
    )


def main(argv):
    program.refuse_words(argv)
    values = flags.FLAGS
    run = trained_runs.load(values.workdir, program.data_dir_alone())
    steps = chosen_steps(run, values.checkpoints)
    names = labelled.names(values)
    splits = labelled.load(run.config, names)
    output = report.output(values.output, run.workdir, "neighbours")

    pixels = tuple(trained_runs.pixels(split.x) for split in splits)
    of_pixels = score(pixels, splits)
    curves, codes = score_steps(run, steps, splits)
    if splits[0].x.ndim == 4:
        report.save_image(output, "neighbours", draw_neighbours(splits, (codes, pixels)))
    if len(steps) > 1:
        report.save_plot(output, "accuracy_by_step", draw_curve(curves, of_pixels))
    last = max(curves["mu"])
    of_start = {f"untrained_{name}": row for name, row in score_untrained(run, splits).items()}
    rows = {"pixels": of_pixels} | of_start | {name: by_step[last] for name, by_step in curves.items()}
    print_table(rows)
    results = {"steps": last, "data": labelled.describe(run.config, names, splits)}
    by_step = {f"{name}_by_step": curve for name, curve in curves.items()}
    print(report.write(output, results | rows | by_step, run.training))


def score_steps(run: trained_runs.Run, steps: list[int], splits: Splits) -> tuple[dict[str, dict], Features]:
    """(`score` by name of the features and by step, the codes at the last step)."""
    curves: dict[str, dict[int, dict]] = {}
    for step, model in models(run, steps):
        found = features_of(model, splits)
        for name, of_both in found.items():
            curves.setdefault(name, {})[step] = score(of_both, splits)
    return curves, found["mu"]


def score_untrained(run: trained_runs.Run, splits: Splits) -> dict[str, dict]:
    """`score` by name of the features, of random networks, as the run's seed makes them."""
    found = features_of(trained_runs.untrained(run.config), splits)
    return {name: score(of_both, splits) for name, of_both in found.items()}


def features_of(model: inference.Model, splits: Splits) -> dict[str, Features]:
    train_x, test_x = (features.mu_and_hidden(model, split) for split in splits)
    return {name: (train_x[name], test_x[name]) for name in train_x}


def models(run: trained_runs.Run, steps: list[int]) -> Iterator[tuple[int, inference.Model]]:
    """(step, model) of every checkpoint that can be read; a UserError where there is none."""
    unreadable = []
    for step in tqdm(steps, desc="checkpoints", disable=None):
        try:
            # The one that is loaded already may be an exported model, whose folder holds no checkpoints.
            model = run.model if step == run.model.step else inference.load(run.workdir, step)
        except UserError as error:
            logger.warning("Left out: %s", error)
            unreadable.append(error)
            continue
        yield step, model
    if len(unreadable) == len(steps):
        raise unreadable[-1]


def score(features_of_both: Features, splits: Splits) -> dict:
    return accuracies.measure(*features_of_both, *(split.label for split in splits))


def chosen_steps(run: trained_runs.Run, asked: list[str] | None) -> list[int]:
    """The steps that --checkpoints asks for; the loaded one where it asks for none."""
    if asked is None:
        return [run.model.step]
    kept = checkpoints.kept_steps(run.workdir)
    if asked == ["all"] and kept:
        return kept
    unknown = [step for step in asked or ["none"] if not step.isdecimal() or int(step) not in kept]
    if unknown:
        there = f"choose from {kept} or all" if kept else "leave --checkpoints out, as it holds none"
        raise UserError(f"{run.workdir} holds no checkpoint of step {unknown[0]}; {there}.")
    return sorted(int(step) for step in asked)


def draw_neighbours(splits: Splits, kinds: tuple[Features, Features]) -> np.ndarray:
    """Test examples (first column), each with its nearest training examples by code and, right, by pixels."""
    train_split, test = splits
    panels = []
    for train_x, test_x in kinds:
        found = accuracies.nearest(train_x, test_x[:SHOWN], min(NEAREST, len(train_x)))  # (SHOWN, NEAREST)
        query = test.x[:SHOWN, None]
        panels.append(np.concatenate([query, np.full_like(query, 255), train_split.x[found]], axis=1))
    rows = np.concatenate([panels[0], np.full_like(query, 255), panels[1]], axis=1)
    return images.grid(rows.reshape(-1, *test.x.shape[1:]), rows.shape[1])


def draw_curve(curves: dict[str, dict[int, dict]], pixels: dict) -> Figure:
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    names = ("nearest_neighbour_accuracy_percent", "linear_probe_accuracy_percent")
    for axes, name in zip(figure.subplots(1, 2), names, strict=True):
        for kind, by_step in curves.items():
            axes.plot(by_step.keys(), [row[name] for row in by_step.values()], marker=".", label=kind)
        axes.axhline(pixels[name], color="gray", linestyle="--", label="pixels")
        axes.set(title=name.removesuffix("_percent").replace("_", " ") + ", %", xlabel="step")
        axes.legend()
    return figure


def print_table(rows: dict[str, dict]) -> None:
    print(f"{'features':16} {'dim.':>6} {'1-NN, %':>8} {'probe, %':>9}")
    for name, row in rows.items():
        nearest, probe = row["nearest_neighbour_accuracy_percent"], row["linear_probe_accuracy_percent"]
        print(f"{name:16} {row['dimension']:6,} {nearest:8.2f} {probe:9.2f}")


if __name__ == "__main__":
    program.run(main, define_flags)
