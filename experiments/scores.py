"""How close samples come to real images: Frechet and kernel distance, precision, recall, density, coverage.

    python -m experiments.scores --workdir=runs/svhn
    python -m experiments.scores --workdir=runs/svhn --features=inception --inception_weights=FILE

Every score depends on the features it is taken over, so its name ends in them: "encoder_mu" (the run's own
mu(x), to compare along one run, not between runs), "pixels", or "keras_inception_v3" (see `inception`). None
of them is the standard FID. Real are random images of the validation split; scored against them are samples
and, for scale, as many images of the training split (as good as samples can get) and samples of the generator
before its first step. Writes into <workdir>/results/scores_<features>, or into --output; not resumable.
"""

from collections.abc import Callable

import jax
import numpy as np
from absl import flags
from matplotlib.figure import Figure
from tqdm import tqdm

from ali_jax import data, inference
from ali_jax.errors import UserError
from ali_jax.run import command_line as program
from experiments.common import benches, distances, inception, report, shared_flags, trained_runs

MANIFOLDS = ("precision", "recall", "density", "coverage")

Extract = Callable[[data.Split], np.ndarray]  # examples -> (N, D)


def define_flags() -> None:
    shared_flags.output()
    shared_flags.seed()
    flags.DEFINE_enum(
        "features", "encoder", ["encoder", "pixels", "inception"], "What images are compared by."
    )
    flags.DEFINE_string(
        "inception_weights", None, "A file of Keras's InceptionV3 weights; default: download it."
    )
    flags.DEFINE_integer("examples", 10_000, "Images of each kind, at most; a split may have fewer.")


def main(argv):
    program.refuse_words(argv)
    values, seed = flags.FLAGS, flags.FLAGS.seed
    if values.features != "inception":
        weights = {"inception_weights": ("--features=inception",)}
        shared_flags.refuse_others(values, f"--features={values.features}", weights)
    run = trained_runs.load(
        values.workdir, program.data_dir_alone(), needs_encoder=values.features == "encoder"
    )
    names = {"real": run.config.validation_split, "training_images": run.config.train_split}
    splits = {role: trained_runs.examples(run.config, name) for role, name in names.items()}
    trained_runs.refuse_points(run.config, splits["real"])
    count = min(values.examples, *(len(split.x) for split in splits.values()))
    if count <= distances.NEIGHBOURS:
        raise UserError(f"{count} images of each kind are too few to score; raise --examples.")
    name, extract = extractor(values.features, run, values.inception_weights)
    output = report.output(values.output, run.workdir, f"scores_{values.features}")

    chosen = {role: benches.choose(split, count, seed) for role, split in splits.items()}
    real = extract(chosen["real"])
    made = sources(run, chosen["real"], chosen["training_images"], seed)
    rows = {
        source: score(real, extract(make()), name)
        for source, make in tqdm(made.items(), "scores", disable=None)
    }
    print_table(rows)
    report.save_plot(output, "manifolds", draw(rows, name))
    results = {
        "steps": run.model.step,
        "seed": seed,
        "data": {
            role: trained_runs.describe(run.config, names[role], split) for role, split in splits.items()
        },
        "examples_of_each": count,
        "features": name,
        "dimension": real.shape[1],
    }
    print(report.write(output, results | rows, run.training))


def sample(model: inference.Model, like: data.Split, seed: int) -> data.Split:
    """As many samples as `like` has examples; a conditional model is given their attributes."""
    x = inference.sample(model, jax.random.key(seed), len(like.x), like.attributes)
    return data.Split(x, None, like.attributes)


def sources(
    run: trained_runs.Run, real: data.Split, training_images: data.Split, seed: int
) -> dict[str, Callable[[], data.Split]]:
    """What is scored against the real images; each is made when its turn comes."""
    return {
        "samples": lambda: sample(run.model, real, seed),
        "training_images": lambda: training_images,
        "untrained_generator": lambda: sample(trained_runs.untrained(run.config), real, seed),
    }


def extractor(kind: str, run: trained_runs.Run, weights: str | None) -> tuple[str, Extract]:
    """The features of this --features: their name in results.json, and the function that takes them."""
    if kind == "encoder":
        return "encoder_mu", lambda split: inference.encode(run.model, split.x, split.attributes)
    if kind == "pixels":
        return "pixels", lambda split: trained_runs.pixels(split.x)
    network = inception.load(weights)
    return inception.NAME, lambda split: network(split.x)


def score(real: np.ndarray, other: np.ndarray, name: str) -> dict:
    """All scores of `other` against `real`, (N, D) each, their names ending in that of the features."""
    values = {
        "frechet_distance": distances.frechet(real, other),
        "kernel_distance": distances.kernel(real, other),
        **distances.manifolds(real, other),
    }
    return {f"{kind}_{name}": value for kind, value in values.items()}


def draw(rows: dict[str, dict], name: str) -> Figure:
    """Bars of the scores that lie between 0 and about 1."""
    figure = Figure(figsize=(6, 3.2), layout="constrained")
    axes = figure.subplots()
    places, width = np.arange(len(MANIFOLDS)), 0.8 / len(rows)
    for number, (source, scores) in enumerate(rows.items()):
        heights = [scores[f"{kind}_{name}"] for kind in MANIFOLDS]
        axes.bar(places + (number - 1) * width, heights, width, label=source.replace("_", " "))
    axes.set(xticks=places, xticklabels=MANIFOLDS, ylim=(0, 1.5), title=f"over {name}, against real images")
    axes.legend()
    return figure


def print_table(rows: dict[str, dict]) -> None:
    for source, scores in rows.items():
        print(source.replace("_", " "))
        for name, value in scores.items():
            spread = f" +- {value['std']:.4f}" if isinstance(value, dict) else ""
            print(f"  {name:40} {value['mean'] if spread else value:10.4f}{spread}")


if __name__ == "__main__":
    program.run(main, define_flags)
