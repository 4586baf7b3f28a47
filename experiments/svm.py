"""Error of a linear SVM on frozen features of the encoder, 100 labels a class (Section 4.3), with controls.

    python -m experiments.svm --workdir=runs/svhn

Feature sets (see `features`): "code" (5,376 of the SVHN encoder) and "pooled" (8,960) of the trained encoder;
as controls raw pixels, and both of an untrained encoder of the run's seed (random kernels, running statistics
0 and 1, nothing calibrated). The last 14 % of --train_split (train), at most 10,000, choose C; learners draw
from the others. The error is that of --test_split (test). Writes the choice of C and results.json into
<workdir>/results/svm, or into --output, after each feature set; not resumable.
"""

import functools
from collections.abc import Callable

import joblib
import numpy as np
from absl import flags
from matplotlib.figure import Figure

from ali_jax import data, inference
from ali_jax.errors import UserError
from ali_jax.run import command_line as program
from experiments.common import features, l2svm, labelled, report, shared_flags, trained_runs

SETS = ("code", "pooled", "pixels", "untrained_code", "untrained_pooled")


def define_flags() -> None:
    shared_flags.output()
    shared_flags.seed()
    shared_flags.labelled_splits()
    flags.DEFINE_list("sets", list(SETS), "Feature sets to compare.")


def main(argv):
    program.refuse_words(argv)
    values = flags.FLAGS
    check(values.sets)
    run = trained_runs.load(values.workdir, program.data_dir_alone())
    names = labelled.names(values)
    splits = labelled.load(run.config, names)
    scale = sizes(splits[0].label, values.seed)
    output = report.output(values.output, run.workdir, "svm")
    described = labelled.describe(run.config, names, splits)
    results = {"steps": run.model.step, "seed": values.seed, "data": described} | scale
    print(f"{scale['validation_examples']:,} examples choose C, {scale['examples_per_draw']:,} in a draw.")

    rows = {}
    for name in values.sets:
        extract = extractor(name, run)
        with joblib.parallel_config(n_jobs=-1):
            row = evaluate(extract, *splits, values.seed, name)
        rows[f"{name}{row['dimension']}"] = row
        print(describe(name, row), flush=True)
        report.save_plot(output, "choice_of_C", draw_choice(rows))
        path = report.write(output, results | {"features": rows}, run.training)
    print(path)


def check(names: list[str]) -> None:
    """Raises UserError where --sets does not name feature sets."""
    unknown = [name for name in names or ["none"] if name not in SETS]
    if unknown:
        raise UserError(f"There is no feature set {unknown[0]!r}; choose --sets from {', '.join(SETS)}.")


def extractor(name: str, run: trained_runs.Run) -> Callable[[data.Split], np.ndarray]:
    """Split -> (N, D) float32."""
    if name == "pixels":
        return lambda split: trained_runs.pixels(split.x)
    model = trained_runs.untrained(run.config) if name.startswith("untrained_") else run.model
    reduce = {"code": features.code, "pooled": features.pooled}[name.removeprefix("untrained_")]
    extract = functools.partial(inference.features, model, reduce=reduce)
    return lambda split: extract(split.x, split.attributes)


def evaluate(extract, train_split: data.Split, test: data.Split, seed: int, title: str) -> dict:
    """`l2svm.evaluate` of features of these splits."""
    learn = l2svm.Examples(extract(train_split), np.asarray(train_split.label))
    judge = l2svm.Examples(extract(test), np.asarray(test.label))
    pool_size = len(learn.label) - l2svm.validation_size(len(learn.label))
    draws = l2svm.make_draws(learn.label[:pool_size], seed)
    return l2svm.evaluate(
        learn.take(slice(pool_size)), learn.take(slice(pool_size, None)), judge, draws, title
    )


def sizes(label: np.ndarray, seed: int) -> dict[str, int]:
    """How the protocol scales to training examples of these labels."""
    held_out = l2svm.validation_size(len(label))
    if not held_out:
        raise UserError(
            f"{len(label)} training examples are too few to hold some out and choose C by them; name a "
            "larger --train_split."
        )
    pool = label[: len(label) - held_out]
    if len(np.unique(pool)) < 2:
        raise UserError(
            f"Of the {len(label)} training examples, all but the last {held_out}, which choose C, are of one "
            "class; name another --train_split."
        )
    return {
        "pool_examples": len(pool),
        "validation_examples": held_out,
        "examples_per_draw": len(l2svm.make_draws(pool, seed).search),
        "validation_draws": l2svm.VALIDATION_DRAWS,
        "test_draws": l2svm.TEST_DRAWS,
    }


def describe(name: str, row: dict) -> str:
    """One line of the table."""
    validation, test = row["validation_error_percent"], row["test_error_percent"]
    return (
        f"{name:16} {row['dimension']:6,} features, C {row['C']:8.2g}: "
        f"validation {validation['mean']:5.2f} +- {validation['std']:.2f} %, "
        f"test {test['mean']:5.2f} +- {test['std']:.2f} %"
    )


def draw_choice(rows: dict[str, dict]) -> Figure:
    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.subplots()
    for name, row in rows.items():
        axes.semilogx(l2svm.C_GRID, row["validation_error_percent_by_C"], marker=".", label=name)
    axes.set(xlabel="C", ylabel="validation error, %")
    axes.legend()
    return figure


if __name__ == "__main__":
    program.run(main, define_flags)
