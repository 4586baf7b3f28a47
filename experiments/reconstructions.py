"""What a run's reconstructions keep of their images, by a referee; its codes, samples and cost beside it.

    python -m experiments.reconstructions --workdir=runs/mnist
    python -m experiments.reconstructions --workdir=runs/celeba --test_split=test

The referee is a small classifier that learns from all of --train_split (of classes or, for CelebA, of the 40
attributes) and is kept in --referee=FILE, so that runs on one data set share it; default:
<workdir>/results/referee.npz. On --test_split, by default the config's validation split:

* reconstructions through mu and through a draw: squared error, also over that of the mean training image and
  of another image; "kept", the share whose class the referee sees rightly, and "agrees", the share in which
  it sees what it saw in the original; of attributes, accuracy and balanced accuracy of each;
* nearest neighbours, as in `experiments.neighbours`, and a linear probe of standardised features, of mu and
  of E's last hidden layer, with the same of an untrained encoder of the run's seed, and of pixels;
* samples against the images, over the referee's last hidden layer: Frechet distance, precision, recall,
  density and coverage, beside training images; of a conditional model, how often the referee sees the
  attributes that were asked for;
* steps, FLOPs and seconds of the training.

At most --examples images of each split are used, drawn at random. Writes into
<workdir>/results/reconstructions, or into --output; not resumable.
"""

from pathlib import Path

import jax
import numpy as np
from absl import flags

from ali_jax import data, inference
from ali_jax.run import command_line as program
from ali_jax.run import images
from experiments.common import benches, costs, quality, referee, report, shared_flags, trained_runs, verdicts

COLUMNS, PAIRS = 12, 4  # of the figure: images in a row, rows of originals
CELLS = 4 * COLUMNS  # samples in it
RED = np.array([255, 0, 0], np.uint8)
NAMED = ("Smiling", "Male", "Eyeglasses")  # attributes in the printed table


def define_flags() -> None:
    shared_flags.output()
    shared_flags.seed()
    shared_flags.labelled_splits()
    shared_flags.judges()


def main(argv):
    program.refuse_words(argv)
    values = flags.FLAGS
    run = trained_runs.load(values.workdir, program.data_dir_alone())
    output = report.output(values.output, run.workdir, "reconstructions")
    file = Path(values.referee or run.workdir / "results" / "referee.npz")
    bench, described = benches.open_bench(run.config, values, file)
    cost = costs.of_run(run.config, run.workdir, run.model.step)
    numbers = quality.measure(run.model, bench, values.seed)
    untrained = quality.of_encoder(trained_runs.untrained(run.config), bench)
    print_table(numbers, bench.numbers, untrained)
    report.save_image(output, "reconstructions", draw(run.model, bench, values.seed))
    results = {
        "seed": values.seed,
        **described,
        "model": numbers,
        "untrained": {"encoder": untrained},
        "data_alone": bench.numbers,
        "cost": cost,
    }
    print(report.write(output, {"steps": run.model.step} | results, run.training))


def draw(model: inference.Model, bench: quality.Bench, seed: int) -> np.ndarray:
    """Rows of originals, each above their reconstructions through mu; below them rows of samples.

    A red bar is under a reconstruction whose class the referee does not see; of attributes, under one in
    which it sees fewer of them rightly than in the original.
    """
    shown = data.take(quality.as_taken(model, bench).judged, slice(COLUMNS * PAIRS))
    count = len(shown.x)
    again = inference.reconstruct(model, shown.x, shown.attributes)
    seen = referee.look(bench.referee, again).seen(bench.referee.kind)
    lost = verdicts.is_lost(bench.truth[:count], bench.seen[:count], seen)
    rows = []
    for start in range(0, count, COLUMNS):
        part = slice(start, start + COLUMNS)
        rows += [_row(shown.x[part]), _row(again[part], lost[part])]
    given = (
        shown.attributes
        if shown.attributes is None
        else np.resize(shown.attributes, (CELLS, shown.attributes.shape[1]))
    )
    rows.append(_row(inference.sample(model, jax.random.key(seed), CELLS, given)))
    return images.grid(np.concatenate(rows), COLUMNS)


def _row(x: np.ndarray, lost: np.ndarray | None = None) -> np.ndarray:
    """Pictures with a strip below, red where they are lost, the last row filled: uint8 (N, H', W, 3)."""
    x = images.to_uint8(x)
    x = np.broadcast_to(x, (*x.shape[:3], 3))
    height = max(1, x.shape[1] // 16)
    strips = np.full((len(x), height, *x.shape[2:]), 255, np.uint8)
    if lost is not None:
        strips[lost] = RED
    x = np.concatenate([x, strips], axis=1)
    return np.pad(x, [(0, -len(x) % COLUMNS), (0, 0), (0, 0), (0, 0)], constant_values=255)


def print_table(numbers: dict, beside: dict, untrained: dict) -> None:
    """What a person looks at first; results.json has the rest."""
    seen = beside["referee"]
    print(f"the referee is right on {seen['accuracy_percent']:.2f} % of the originals")
    for name, row in {**numbers["reconstruction"], **beside["reconstruction"]}.items():
        words = f"{name.replace('_', ' '):24} MSE {row['mse']:.4f}"
        if "kept_percent" in row:
            ratio = row["mse_over_mean_training_image"]
            words += f" ({ratio:.2f} of the mean image's), kept {row['kept_percent']:.2f} %"
        print(words)
    if "by_attribute" in seen:
        print_attributes(numbers["reconstruction"]["through_mu"]["by_attribute"], seen["by_attribute"])
    features = {**numbers["encoder"], **{f"untrained {n}": row for n, row in untrained.items()}}
    for name, row in {**features, **beside["encoder"]}.items():
        nearest, probe = row["nearest_neighbour_accuracy_percent"], row["standardised_probe_accuracy_percent"]
        print(f"{name:24} 1-NN {nearest:.2f} %, probe {probe:.2f} %")
    for name, row in {"samples": numbers["samples"], "training images": beside["samples"]}.items():
        values = (f"{kind.replace('_referee', '')} {v:.3f}" for kind, v in row.items() if kind != "asked")
        print(f"{name:24} {', '.join(values)}")
    if "asked" in numbers["samples"]:
        asked = numbers["samples"]["asked"]["balanced_accuracy_percent"]
        print(f"attributes asked for and seen: balanced accuracy {asked:.2f} %")


def print_attributes(again: dict[str, dict], before: dict[str, dict]) -> None:
    for name in NAMED:
        if name in again:
            now, was = (row[name]["balanced_accuracy_percent"] for row in (again, before))
            print(f"{name:24} balanced accuracy {_shown(now)}, on the originals {_shown(was)}")


def _shown(percent: float | None) -> str:
    return "-" if percent is None else f"{percent:.2f} %"


if __name__ == "__main__":
    program.run(main, define_flags)
