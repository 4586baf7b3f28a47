"""Anomaly detection: our detector and others on the same splits, or a trained run on classes it has not seen.

    python -m experiments.anomaly --tables=thyroid.npz,shuttle.npz --seeds=5 --output=runs/anomaly_tables
    python -m experiments.anomaly --images=mnist --seeds=1 --output=runs/anomaly_mnist
    python -m experiments.anomaly --workdir=runs/cifar10_without_cats

Tables are .npz files of X (N, columns) and y (N,), 1 for an anomaly. Fitted is half of the normal rows, and
the rest is judged with all anomalies; with --protocol=contaminated, fitted is half of all rows, as they come.
Of images, one class at a time is normal: fitted are its training images, judged all test images.

Methods are ours (`detector`, at its defaults, and what --longer, --measures and --contamination ask for
beside), scikit-learn's, and, where --methods names them, PyOD's, in the environment of --opponent_python. For
each: AUROC, AUPRC, and F1 where as many are called anomalies as there are, with seconds. results.json is
written anew after every method, and a second call of the command goes on where it stopped. --workdir is of a
run with config.classes: its test split is scored by every measure that its networks have.
"""

import functools
from pathlib import Path

import numpy as np
from absl import flags

from ali_jax import data
from ali_jax.anomaly import SCORES
from ali_jax.data.labels import with_label
from ali_jax.errors import UserError
from ali_jax.run import command_line as program
from ali_jax.run.signals import Stopped
from experiments.anomaly import figures, methods, of_run, protocols, study
from experiments.common import report, shared_flags

TABLES, IMAGES = "tables", "images"
OF_DETECTORS = "protocol seeds classes methods measures longer contamination opponent_python".split()


def define_flags() -> None:
    shared_flags.output()
    flags.DEFINE_list(TABLES, [], "Files of tables.")
    flags.DEFINE_list(IMAGES, [], "Data sets of images with labels.")
    flags.DEFINE_enum(
        "protocol", "half of the normal", [*protocols.TABLES], "Which rows of tables are fitted."
    )
    flags.DEFINE_integer("seeds", 5, "Splits and starts, from 0.", lower_bound=1)
    flags.DEFINE_list("classes", None, "Of images, those that are normal in turn; default: all.")
    flags.DEFINE_list("methods", [*methods.METHODS], f"Who takes part; also: {', '.join(methods.OUTSIDE)}.")
    flags.DEFINE_list("measures", [], f"Of ours beside the default: {', '.join(SCORES)}.")
    flags.DEFINE_integer("longer", 1, "Above 1: ours also with so many times the default steps.")
    flags.DEFINE_float(
        "contamination",
        None,
        "Ours also told that so many of what is fitted are outliers.",
        lower_bound=1e-6,
        upper_bound=0.5,
    )
    flags.DEFINE_string("opponent_python", None, "An interpreter with PyOD and torch.")


def main(argv):
    program.refuse_words(argv)
    values = flags.FLAGS
    check(values)
    if not values.tables and not values.images:
        of_run.main(values)
        return
    if values.output is None:
        raise UserError("Where to keep the results? Pass --output=DIR.")
    try:
        compare(values, report.asked_output(values.output))
    except KeyboardInterrupt:  # a detector whose fit was told to stop raises it, by whatever signal
        raise Stopped(f"Stopped; the same command goes on from {values.output}.") from None


def compare(values, output: Path) -> None:
    """Every detector on every table or class of images that `output` has no row of yet."""
    players = study.players(
        values.methods, values.measures, values.longer, values.contamination, values.opponent_python
    )
    rows = study.Rows(output, values.protocol if values.tables else "one class is normal")
    for path in map(Path, values.tables):
        table = protocols.read_table(path)
        digest = protocols.digest(*table)
        for seed in range(values.seeds):
            make = functools.partial(protocols.TABLES[values.protocol], *table, seed)
            study.play(rows, players, path.stem, digest, seed, make)
    for name in values.images:
        run_images(rows, players, name, values)
    results = rows.summary()
    print(rows.write(results))
    print(study.table(results["mean"]))
    if rows.curves:
        report.save_plot(output, "roc", figures.draw_roc(rows.curves))


def check(values) -> None:
    """Raises UserError for flags that would be ignored."""
    asked = [name for name in (TABLES, IMAGES, "workdir") if values[name].value]
    if len(asked) > 1:
        raise UserError(f"--{asked[0]} and --{asked[1]} have results of their own; pass one of them a call.")
    if asked in ([TABLES], [IMAGES]):
        program.data_dir_alone("Detectors have no config")
        of_one = {"classes": ("--images",), "protocol": ("--tables",)}
        shared_flags.refuse_others(values, f"--{asked[0]}", of_one)
        if not {*values.methods} & {*methods.OUTSIDE}:
            opponents = {"opponent_python": tuple(methods.OUTSIDE)}
            shared_flags.refuse_others(values, f"--methods={','.join(values.methods)}", opponents)
    else:
        shared_flags.refuse_others(values, "a run", dict.fromkeys(OF_DETECTORS, ("--tables", "--images")))


def run_images(rows: study.Rows, players: dict, name: str, values) -> None:
    """Every class of a data set in turn."""
    train, test = (data.load(name, split, values.config.data_dir) for split in ("train", "test"))
    if train.label is None or train.x.ndim != 4:
        raise UserError(f"{name} holds no images with labels; choose another data set for --images.")
    train, test = with_label(train), with_label(test)
    digest = protocols.digest(train.label, test.label)
    for k in chosen(values.classes, np.unique(train.label)):
        for seed in range(values.seeds):
            make = functools.partial(protocols.one_class_normal, train, test, k)
            study.play(rows, players, f"{name}_{k}", digest, seed, make)


def chosen(asked: list[str] | None, known: np.ndarray) -> list[int]:
    """The classes that are normal in turn; a UserError for what is none of those that there are."""
    names = [str(k) for k in known]
    for name in asked or ():
        if name not in names:
            raise UserError(f"--classes={name} is none of the classes {', '.join(names)}.")
    return [int(name) for name in asked or names]


if __name__ == "__main__":
    program.run(main, define_flags)
