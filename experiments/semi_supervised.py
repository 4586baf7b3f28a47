"""The semi-supervised table (Section 4.3): label counts, seeds and methods in one resumable command.

    python -m experiments.semi_supervised --config=configs/digits_semi_supervised.py --workdir=runs/table

Methods are variants of the config: `ali`, `feature_matching` (Salimans et al., 2016) and `supervised` (the
same discriminator without z, on the labelled images alone); where --methods names them also `ali_mixup` and
`ali_consistency` (ALI with that term), `mixup` and `consistency` (those terms alone, without G and E). Each
run has a workdir of its own below --workdir, METHOD_LABELS_SEED, and goes on from its last checkpoint. A seed
is both that of the draw of labels and that of the training; these, the number of labels and the method are
set here, whatever --config says. A run that diverges is left out of the means, and noted in diverged.txt in
its workdir, without which a later call trains it again. results.json, the curves of the error and table.md,
in WORKDIR/results/semi_supervised or --output, are written anew whenever a run ends.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

import jax
import numpy as np
from absl import flags
from matplotlib.figure import Figure
from ml_collections import ConfigDict, config_flags

from ali_jax import build, data, examples, files, inference, train
from ali_jax import config as config_lib
from ali_jax.data.labels import ALL
from ali_jax.errors import UserError
from ali_jax.run import begun, overrides, provenance, signals, workdirs
from ali_jax.run import command_line as program
from ali_jax.run.checkpoints import kept_steps
from ali_jax.run.metrics import read_lines
from experiments.common import costs, markdown, report, shared_flags, together, trained_runs

METHODS = tuple(config_lib.SEMI_SUPERVISED)

# Test errors in %, as published. The spreads of CIFAR-10's ALI are 3 standard deviations; what the others are
# is not stated everywhere.
PUBLISHED = {
    ("svhn_cropped", "ali", 1000): "7.42 +- 0.65",
    ("svhn_cropped", "feature_matching", 1000): "8.11 +- 1.3",
    ("cifar10", "ali", 1000): "19.98 +- 0.89",
    ("cifar10", "ali", 2000): "19.09 +- 0.44",
    ("cifar10", "ali", 4000): "17.99 +- 1.62",
    ("cifar10", "ali", 8000): "17.05 +- 1.49",
    ("cifar10", "feature_matching", 1000): "21.83 +- 2.01",
    ("cifar10", "feature_matching", 2000): "19.61 +- 2.09",
    ("cifar10", "feature_matching", 4000): "18.63 +- 2.32",
    ("cifar10", "feature_matching", 8000): "17.72 +- 1.82",
    ("mnist", "feature_matching", 100): "0.93 +- 0.065",
}
DIVERGED = "diverged.txt"  # in the workdir of a run, what was said of it
DRAWS_OF_Z = 10  # in the prediction that averages over q(z|x)


def define_flags() -> None:
    shared_flags.output()
    flags.DEFINE_list("labels", None, "Label counts of the table; default: config.num_labels.")
    flags.DEFINE_list("seeds", ["0", "1", "2"], "Seeds of each cell.")
    flags.DEFINE_list("methods", ["ali", "feature_matching", "supervised"], "Rows of the table.")
    flags.DEFINE_bool("at_once", False, "Train a cell's seeds as one program, whose seconds each is given.")


def main(argv):
    program.refuse_words(argv)
    values = flags.FLAGS
    refuse(values)
    runs = {run: config_of(*run) for run in runs_of(values)}
    for config in runs.values():
        build.game(config)  # what is wrong with a method is said before another one trains
    workdir = workdirs.folder(values.workdir)
    output = report.output(values.output, workdir, "semi_supervised")
    splits = examples.all_fit(values.config)
    for config in runs.values():  # a number of labels that does not fit, before another one trains
        examples.labelled_examples(config, splits["train"])
    folders = {run: workdir / "{}_{}_{}".format(*run) for run in runs}
    results = known(runs, folders, splits)
    for cell in cells_of(runs) if values.at_once else [[run] for run in runs]:
        left = [run for run in cell if run not in results]
        if values.at_once and left:
            train_together([runs[run] for run in left], [folders[run] for run in left], splits, workdir)
        for run in cell:
            if run not in results:
                results[run] = trained(runs[run], folders[run], splits)
            found = {run: results[run] for run in runs if run in results}
            print(write(output, values.config, splits, found))


def refuse(values) -> None:
    """Raises UserError for a config or flags of which no table can be made."""
    if not build.needs_of_config(values.config).labels:
        raise UserError("--config has no labels; pass one such as configs/mnist_semi_supervised.py.")
    if values.workdir is None:
        raise UserError("Where shall the runs be kept? Pass --workdir.")
    if not values.config.test_split:
        raise UserError("config.test_split is empty, and the table is of test errors; name a split.")
    if values.config.num_labels == ALL and not values.labels:
        raise UserError(f"config.num_labels is {ALL}; name the label counts of the table by --labels.")
    if overrides.sets_terms(sys.argv):
        raise UserError("The methods of the table are games of their own; leave --config.terms out.")


def known(runs: dict, folders: dict, splits: dict[str, data.Split]) -> dict:
    """The results of the runs that an earlier call ended, so that what it wrote is not replaced by less."""
    whole = [run for run in runs if ended(runs[run], folders[run])]
    diverged = {run: {"diverged": said} for run in runs if (said := why_diverged(folders[run]))}
    return {run: outcome(runs[run], folders[run], splits) for run in whole} | diverged


def ended(config: ConfigDict, folder: Path) -> bool:
    """Whether a run is at its last step; a UserError where the folder is another run's."""
    workdirs.check(config, folder)
    return max(kept_steps(folder), default=0) >= config.num_steps


def why_diverged(folder: Path) -> str | None:
    """What was said of a run that diverged, to be read by later calls; None of any other."""
    note = folder / DIVERGED
    return note.read_text().strip() if note.is_file() else None


def train_together(
    configs: list[ConfigDict], folders: list[Path], splits: dict[str, data.Split], workdir: Path
) -> None:
    """Trains runs at once; where one of them diverges, or has gone on alone, they are left as they are."""
    try:
        together.common_steps(folders)
    except UserError:  # an earlier call went on with them one after another
        return
    try:
        reached = together.train_all(configs, folders, splits, command=provenance.command())
    except train.Diverged as error:
        print(f"{error} The runs go on one after another.")
        return
    signals.require_last_step(reached, configs[0].num_steps, workdir)


def trained(config: ConfigDict, folder: Path, splits: dict[str, data.Split]) -> dict:
    """`outcome` of a run, trained as far as it is not; of one that diverged, "diverged": what was said."""
    try:
        state = train.train_and_evaluate(config, folder, splits, command=provenance.command())
    except train.Diverged as error:
        print(error)
        with files.writing(folder):
            files.write_whole(folder / DIVERGED, f"{error}\n".encode())
        return {"diverged": str(error)}
    signals.require_last_step(int(state.step), config.num_steps, folder)
    return outcome(config, folder, splits)


def runs_of(values) -> list[tuple[str, int, int]]:
    """(method, number of labels, seed) of every run; a UserError where the flags hold something else."""
    if not values.methods:
        raise UserError(f"--methods names none; name at least one of {', '.join(METHODS)}.")
    if unknown := sorted({*values.methods} - {*METHODS}):
        raise UserError(f"--methods={','.join(unknown)} is none of {', '.join(METHODS)}.")
    labels = shared_flags.whole_numbers("labels", values.labels or []) or [values.config.num_labels]
    seeds = shared_flags.whole_numbers("seeds", values.seeds)
    if not seeds:
        raise UserError("--seeds names none; name at least one.")
    return [(method, n, seed) for n in labels for seed in seeds for method in values.methods]


def cells_of(runs: Iterable[tuple[str, int, int]]) -> list[list[tuple[str, int, int]]]:
    """The runs that differ in their seeds alone."""
    cells: dict[tuple[str, int], list] = {}
    for run in runs:
        cells.setdefault(run[:2], []).append(run)
    return [*cells.values()]


def config_of(method: str, num_labels: int, seed: int) -> ConfigDict:
    """--config in the method's variant, with the overrides of the command line."""
    file = program.config_name().split(":")[0]
    try:
        config = config_lib.load(file, method)
    except UserError as error:
        raise UserError(
            f"Methods of the table are variants of the config, and {file} has none called {method} ({error}) "
            "Pass one that has, as configs/mnist_semi_supervised.py; others are trained by ali_jax.main."
        ) from None
    config.update_from_flattened_dict(config_flags.get_override_values(flags.FLAGS["config"]))
    config.num_labels, config.seed, config.label_seed = num_labels, seed, seed
    if method == "supervised":  # as many labels in a batch as the games have
        config.batch_size = config.labelled_batch_size
    config_lib.check(config)
    return config


def outcome(config: ConfigDict, workdir: Path, splits: dict[str, data.Split]) -> dict:
    """The errors of a run at its end, where its validation error was lowest, and along the way."""
    path = workdir / "metrics.jsonl"
    lines = read_lines(path)
    curve = errors_of(lines)
    if not curve["step"]:
        raise UserError(f"{path} holds no errors; restore it, or remove {workdir} to train it anew.")
    best = int(np.argmin(curve["validation_error"]))  # the first, where several are
    results = {
        "steps": curve["step"][-1],
        "seconds": costs.seconds(lines, config.batch_size, curve["step"][-1]),
        "test_error": curve["test_error"][-1],
        "test_error_at_lowest_validation_error": curve["test_error"][best],
        "step_of_lowest_validation_error": curve["step"][best],
        "curve": curve,
        "training": begun.read(workdir),
    }
    if config.model.encoder is not None:
        results["test_error_averaged_over_z"] = error_averaged_over_z(workdir, splits["test"])
    return results


def errors_of(lines: list[dict[str, float]]) -> dict[str, list]:
    """Those of metrics.jsonl that hold errors, by column."""
    lines = [line for line in lines if "test_error" in line]
    return {name: [line[name] for line in lines] for name in ("step", "validation_error", "test_error")}


def error_averaged_over_z(workdir: Path, test: data.Split) -> float:
    """The test error of the class probabilities averaged over draws from q(z|x)."""
    model = inference.load(workdir)
    return inference.classification_error(model, test, jax.random.key(0), DRAWS_OF_Z)


def write(output: Path, config: ConfigDict, splits: dict[str, data.Split], results: dict) -> Path:
    """All files, of the runs that have ended; the path of results.json."""
    rows = summarize(config.dataset, results)
    report.save_plot(output, "errors", draw(results))
    report.save_text(output, "table.md", table(rows))
    return report.write(
        output,
        {
            "data": describe(config, splits),
            "table": [{"method": m, "labels": n, **row} for (m, n), row in rows.items()],
            "runs": [{"method": m, "labels": n, "seed": s, **r} for (m, n, s), r in results.items()],
        },
    )


def describe(config: ConfigDict, splits: dict[str, data.Split]) -> dict[str, str]:
    """`trained_runs.describe` of each split."""
    return {
        role: trained_runs.describe(config, config[f"{role}_split"], split) for role, split in splits.items()
    }


def summarize(dataset: str, results: dict) -> dict[tuple[str, int], dict]:
    """The cells of the table by (method, number of labels): `summary`, and what was published."""
    rows = {}
    for method, labels, _ in results:
        of_cell = [r for run, r in results.items() if run[:2] == (method, labels)]
        rows[method, labels] = summary(of_cell) | {"published": PUBLISHED.get((dataset, method, labels))}
    return rows


def summary(runs: list[dict]) -> dict:
    """Mean and standard deviation (over the population) of every error of the runs of a cell that ended.

    "seeds" counts these, "diverged" the others.
    """
    at_end = [run for run in runs if "diverged" not in run]
    names = [name for name in at_end[0] if name.startswith("test_error")] if at_end else []
    errors = {name: [run[name] for run in at_end] for name in names}
    return {
        "seeds": len(at_end),
        "diverged": len(runs) - len(at_end),
        "steps": sorted({run["steps"] for run in at_end}),
        **{f"{name}_mean": float(np.mean(values)) for name, values in errors.items()},
        **{f"{name}_std": float(np.std(values)) for name, values in errors.items()},
    }


def table(rows: dict) -> str:
    """Markdown: errors in %, mean +- standard deviation, beside the published ones."""
    head = ("method", "labels", "seeds", "steps", "test error", "at the lowest validation error", "published")
    cells = []
    for (method, labels), row in rows.items():
        ours = [
            f"{100 * row[name + '_mean']:.2f} +- {100 * row[name + '_std']:.2f}" if row["seeds"] else "-"
            for name in ("test_error", "test_error_at_lowest_validation_error")
        ]
        steps = ", ".join(f"{n:,}" for n in row["steps"])
        seeds = f"{row['seeds']}" + f" ({row['diverged']} diverged)" * bool(row["diverged"])
        cells.append((method, f"{labels:,}", seeds, steps, *ours, row["published"] or ""))
    note = "Errors in %, +- one standard deviation over seeds (published for ALI on CIFAR-10: three)."
    return f"{markdown.table(head, cells)}\n\n{note}\n"


def draw(results: dict) -> Figure:
    """Test error against step, one panel for each number of labels."""
    counts = sorted({labels for _, labels, _ in results})
    figure = Figure(figsize=(5 * len(counts), 3.6), layout="constrained")
    for axes, count in zip(figure.subplots(1, len(counts), squeeze=False)[0], counts, strict=True):
        for (method, labels, _), run in results.items():
            if labels == count and "curve" in run:
                errors = 100 * np.asarray(run["curve"]["test_error"])
                colour = f"C{METHODS.index(method)}"
                label = None if method in axes.get_legend_handles_labels()[1] else method
                axes.plot(run["curve"]["step"], errors, colour, linewidth=1, label=label)
        axes.set(title=f"{count:,} labels", xlabel="step", ylabel="test error, %")
        if axes.lines:
            axes.legend()
    return figure


if __name__ == "__main__":
    program.run(main, define_flags, default=program.CONFIGS / "digits_semi_supervised.py")
