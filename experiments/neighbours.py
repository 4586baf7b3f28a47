"""How well E tells classes apart: nearest neighbours and a linear probe of its features, beside pixels.

    python -m experiments.neighbours --workdir=runs/mnist_bigan
    python -m experiments.neighbours --workdir=runs/mnist_bigan --checkpoints=all

The protocol of the BiGAN paper on MNIST (Donahue et al., ICLR 2017, Section 4.1): each test example gets the
class of its nearest training example (Euclidean, exact). Features are "mu", the code, and "hidden", the layer
of E before it, after its nonlinearity; that paper's code scores both. The linear probe is ours: sklearn's
LogisticRegression at its defaults, features unscaled. With --checkpoints, one point of a curve for each.
Writes into <workdir>/results/neighbours, or into --output; not resumable.
"""

import warnings

import jax
import numpy as np
from absl import flags
from matplotlib.figure import Figure
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestNeighbors
from tqdm import tqdm

from ali_jax import data, inference
from ali_jax import main as program
from ali_jax.errors import UserError
from ali_jax.models.layers import NONLINEARITIES
from ali_jax.run import checkpoints, images
from experiments.common import features, labelled, report, workdirs

flags.DEFINE_list(
    "checkpoints", None, "Steps of those to score, such as 1000,2000, or all; default: the newest."
)

SHOWN, NEAREST = 10, 8  # queries in the figure, neighbours of each
MAX_ITERATIONS = 1000  # of the probe's solver


def main(argv):
    program.refuse_words(argv)
    run = workdirs.load()
    steps = chosen_steps(run)
    splits = labelled.load(run.config)
    labels = [split.label for split in splits]
    output = report.output(run.workdir, "neighbours")

    pixels = [workdirs.pixels(split.x) for split in splits]
    rows, curves = {"pixels": score(*pixels, *labels)}, {}
    for step in tqdm(steps, desc="checkpoints", disable=None):
        model = inference.load(run.workdir, step)
        train_x, test_x = (extract(model, split) for split in splits)
        for name in train_x:
            rows[name] = score(train_x[name], test_x[name], *labels)
            curves.setdefault(name, {})[step] = rows[name]

    if splits[0].x.ndim == 4:
        panels = ((train_x["mu"], test_x["mu"]), pixels)
        report.save_image(output, "neighbours", draw_neighbours(splits, panels))
    if len(steps) > 1:
        report.save_plot(output, "accuracy_by_step", draw_curve(curves, rows["pixels"]))
    print_table(rows)
    results = {"steps": steps[-1], "data": labelled.describe(run.config, splits)}
    by_step = {f"{name}_by_step": curve for name, curve in curves.items()}
    print(report.write(output, results | rows | by_step))


def chosen_steps(run: workdirs.Run) -> list[int]:
    """The steps that --checkpoints asks for; the loaded one where it asks for none."""
    if flags.FLAGS.checkpoints is None:
        return [run.model.step]
    kept = checkpoints.kept_steps(run.workdir)
    if flags.FLAGS.checkpoints == ["all"]:
        return kept
    asked = flags.FLAGS.checkpoints or ["none"]
    unknown = [step for step in asked if not step.isdigit() or int(step) not in kept]
    if unknown:
        raise UserError(f"{run.workdir} holds no checkpoint of step {unknown[0]}; choose from {kept} or all.")
    return sorted(int(step) for step in asked)


def extract(model: inference.Model, split: data.Split) -> dict[str, np.ndarray]:
    """ "mu" (N, n) and, where E has a hidden layer, "hidden" (N, D) after its nonlinearity."""
    layers = inference.features(model, split.x, split.attributes, head_and_layer_before)
    if "hidden" in layers:
        stack = model.networks.encoder.stack
        activate = NONLINEARITIES[stack.rows[-2].nonlinearity]
        layers["hidden"] = np.asarray(activate(layers["hidden"], stack.leak)).reshape(len(split.x), -1)
    return layers


def head_and_layer_before(layers: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """What `extract` keeps of the layers on the device."""
    kept = {"mu": layers["mu"]}
    if hidden := features.hidden(layers):
        kept["hidden"] = hidden[-1]
    return kept


def score(train_x: np.ndarray, test_x: np.ndarray, train_label: np.ndarray, test_label: np.ndarray) -> dict:
    """Both accuracies in percent, of features (N, D) and labels (N,)."""
    closest = nearest(train_x, test_x, 1)[:, 0]
    probe = LogisticRegression(max_iter=MAX_ITERATIONS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # `converged` tells it
        probe.fit(train_x, train_label)
    return {
        "dimension": train_x.shape[1],
        "nearest_neighbour_accuracy_percent": 100 * float(np.mean(train_label[closest] == test_label)),
        "linear_probe_accuracy_percent": 100 * float(probe.score(test_x, test_label)),
        "linear_probe_converged": int(np.max(probe.n_iter_)) < MAX_ITERATIONS,
    }


def nearest(train_x: np.ndarray, queries: np.ndarray, count: int) -> np.ndarray:
    """Rows of `train_x` by distance from each query, closest first: (Q, count)."""
    search = NearestNeighbors(n_neighbors=count, algorithm="brute").fit(train_x)
    return search.kneighbors(queries, return_distance=False)


def draw_neighbours(splits, features_of_both) -> np.ndarray:
    """Test examples (first column), each with its nearest training examples by code and, right, by pixels."""
    train_split, test = splits
    panels = []
    for train_x, test_x in features_of_both:
        found = nearest(train_x, test_x[:SHOWN], NEAREST)  # (SHOWN, NEAREST)
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
    print(f"{'features':8} {'dim.':>6} {'1-NN, %':>8} {'probe, %':>9}")
    for name, row in rows.items():
        accuracies = row["nearest_neighbour_accuracy_percent"], row["linear_probe_accuracy_percent"]
        print(f"{name:8} {row['dimension']:6,} {accuracies[0]:8.2f} {accuracies[1]:9.2f}")


if __name__ == "__main__":
    program.run(main)
