r"""What each of several variants of a config is good for: a grid of variants and seeds at equal cost.

    python -m experiments.ablation --config=configs/digits.py --grid=experiments/grids/digits.py --seeds=3 \
        --config.train_split=train[:1200] --config.validation_split=train[1200:] --workdir=runs/ablation

The grid is a Python file with VARIANTS, a dict of name -> fields of the config that it changes, and
REFERENCE, the variant whose num_steps are the budget (else the first). Every variant is trained for as many
FLOPs (XLA's count of its step, further passes of its terms included; a penalty of every few steps by its
share of them) or, with --equal=steps, for as many steps, with as many seeds of networks, noise and the order
of the data, from config.seed on.

A run has a workdir of its own, WORKDIR/<variant>/<seed>, and keeps what was measured of it there, at
--checkpoints of it, in measures.json. So the same command goes on where it was stopped; --only=NAME trains
one variant, so that processes can share a grid. Measures are those of `experiments.reconstructions`, on the
config's validation split where --test_split does not name another. results.json, table.md and the plot of
quality against FLOPs, in WORKDIR/results/ablation or --output, are written anew whenever a run is measured.
"""

import json
import sys
import zlib
from pathlib import Path
from typing import NamedTuple

from absl import flags
from ml_collections import ConfigDict

from ali_jax import build, examples, inference, train
from ali_jax import config as config_lib
from ali_jax.errors import UserError
from ali_jax.run import begun, overrides, provenance, signals, workdirs
from ali_jax.run import command_line as program
from ali_jax.run.checkpoints import kept_steps
from experiments.common import (
    ablation_report,
    benches,
    costs,
    flops,
    grids,
    measure_files,
    quality,
    report,
    shared_flags,
    trained_runs,
)

CHECKPOINTS = ("checkpoint_every", "keep_checkpoints")  # fields that follow from --checkpoints
SET_HERE = ("seed", *CHECKPOINTS)
OF_THE_JUDGE = ("dataset", "data_dir")  # all are measured on the same images
KEEP = 1000  # checkpoints: all, as those of an interruption come to those that are measured


class Plan(NamedTuple):
    """A variant, ready to be trained."""

    config: ConfigDict  # with the number of steps that its cost allows
    flops_per_step: float


def define_flags() -> None:
    shared_flags.output()
    shared_flags.seed()
    shared_flags.labelled_splits()
    shared_flags.judges()
    flags.DEFINE_string("grid", None, "A Python file of variants, such as experiments/grids/digits.py.")
    flags.DEFINE_integer("seeds", 3, "Of each variant, from config.seed on.", lower_bound=1)
    flags.DEFINE_integer("checkpoints", 4, "How often each run is measured, evenly spread.", lower_bound=1)
    flags.DEFINE_enum("equal", "flops", ["flops", "steps"], "What all variants have as much of.")
    flags.DEFINE_multi_string("only", [], "A variant to train now, once for each; default: all.")


def main(argv):
    program.refuse_words(argv)
    values = flags.FLAGS
    if values.workdir is None:
        raise UserError("Where shall the runs be kept? Pass --workdir.")
    if taken := [field for field in CHECKPOINTS if field in overrides.fields_named(sys.argv)]:
        raise UserError(f"config.{taken[0]} is set for all variants by --checkpoints; leave it out.")
    grid, workdir = grids.load(values.grid), workdirs.folder(values.workdir)
    only = chosen(grid, values.only)
    plans = make_plans(values, grid)
    for name, plan in plans.items():
        for seed in seeds(values):
            workdirs.check(config_lib.of_seed(plan.config, seed), grid.folder(workdir, name, seed))
    output = report.output(values.output, workdir, "ablation")
    file = Path(values.referee or workdir / "referee.npz")
    bench, described = benches.open_bench(values.config, values, file)
    settings = described | {"seed_of_measures": values.seed}

    for seed in seeds(values):  # so that all variants have their first seed before one has its second
        for name in only:
            folder = grid.folder(workdir, name, seed)
            advance(config_lib.of_seed(plans[name].config, seed), folder, bench, settings)
            path = write(output, values, grid, plans, bench, settings)
    print(path)


def seeds(values) -> range:
    """Those of every variant."""
    return range(values.config.seed, values.config.seed + values.seeds)


def chosen(grid: grids.Grid, only: list[str]) -> list[str]:
    """The variants to train now."""
    if unknown := [name for name in only if name not in grid.variants]:
        known = ", ".join(map(repr, grid.variants))
        raise UserError(f"--only={unknown[0]!r} is none of the variants {known}.")
    return only or list(grid.variants)


def make_plans(values, grid: grids.Grid) -> dict[str, Plan]:
    """Every variant with its steps; what is wrong with one is said before another trains.

    Raises:
      UserError: also for a variant that sets its own number of steps and is not the reference.
    """
    configs = {name: grids.configured(values.config, name, it) for name, it in grid.variants.items()}
    for name, changes in grid.variants.items():
        own = SET_HERE + OF_THE_JUDGE + (() if name == grid.reference else ("num_steps",))
        if taken := [field for field in own if field in changes]:
            raise UserError(
                f"VARIANTS[{name!r}] changes config.{taken[0]}, which is set for all variants; drop it."
            )
        build.game(configs[name])
        _open(configs[name])
    counted = {name: flops.of_average_step(config) for name, config in configs.items()}
    compared = counted if values.equal == "flops" else dict.fromkeys(counted, 1.0)
    steps = grids.steps_of(grid.reference, configs[grid.reference].num_steps, compared)
    for name, config in configs.items():
        config.num_steps = steps[name]
        config.checkpoint_every = -(-steps[name] // values.checkpoints)
        config.keep_checkpoints = KEEP
    return {name: Plan(config, counted[name]) for name, config in configs.items()}


def _open(config: ConfigDict) -> None:
    """Raises UserError where the splits or the batches of a variant are none."""
    splits = examples.all_fit(config)
    examples.open_batches(config, splits["train"], examples.labelled_examples(config, splits["train"]))


def measured_steps(config: ConfigDict) -> list[int]:
    """Those with a checkpoint, were the run never interrupted: the first step at or after each multiple."""
    calls, every, last = config.steps_per_dispatch, config.checkpoint_every, config.num_steps
    return sorted({min(-(-due // calls) * calls, last) for due in range(every, last + every, every)})


def advance(config: ConfigDict, folder: Path, bench: quality.Bench, settings: dict) -> None:
    """Trains and measures a run as far as that is not done."""
    steps, path = measured_steps(config), folder / measure_files.NAME
    measures = measure_files.read(path, settings)
    if measures.diverged or set(steps) <= measures.by_step.keys():
        return
    kept = kept_steps(folder)
    ended = max(kept, default=0)
    if ended < config.num_steps and ended % config.steps_per_dispatch:
        raise UserError(
            f"{folder} ended at step {ended}, amid a call of {config.steps_per_dispatch} steps, from which "
            "further checkpoints would be of other steps than of a run that goes through; pass another "
            "--workdir."
        )
    passed = [step for step in steps if step < ended]
    if gone := sorted({*passed} - {*kept, *measures.by_step}):
        raise UserError(
            f"{folder} went past step {gone[0]} without a checkpoint, as by other --checkpoints; pass as "
            "many as then, or another --workdir."
        )
    try:
        state = train.train_and_evaluate(config, folder, command=provenance.command())
    except train.Diverged as error:
        measures = measures._replace(diverged=str(error))
        steps = [step for step in steps if step in kept_steps(folder)]
    else:
        signals.require_last_step(int(state.step), config.num_steps, folder)
    for step in steps:
        if step not in measures.by_step:
            found = quality.measure(inference.load(folder, step), bench, settings["seed_of_measures"])
            measures.by_step[step] = found
            measure_files.write(path, settings, measures._replace(diverged=None))
    if measures.diverged:  # noted last, as it says that the run is done with
        measure_files.write(path, settings, measures)


def untrained(config: ConfigDict, workdir: Path, bench: quality.Bench, settings: dict) -> dict:
    """The encoder before its first step; measured once for all variants with this seed and these networks."""
    networks = zlib.crc32(json.dumps([config.seed, config.model.to_dict()]).encode())
    path = workdir / f"untrained_{networks:08x}.json"
    measures = measure_files.read(path, settings)
    if 0 not in measures.by_step:
        encoder = {}
        if config.model.encoder is not None:
            encoder = quality.of_encoder(trained_runs.untrained(config), bench)
        measures.by_step[0] = {"encoder": encoder}
        measure_files.write(path, settings, measures)
    return measures.by_step[0]


def write(output: Path, values, grid: grids.Grid, plans: dict[str, Plan], bench, settings: dict) -> Path:
    """All files, of the runs that are done, whichever process did them; the path of results.json."""
    workdir = workdirs.folder(values.workdir)
    runs, variants = [], {}
    for name, plan in plans.items():
        own = [
            {"variant": name, "seed": seed, **run}
            for seed in seeds(values)
            if (run := outcome(plan, grid.folder(workdir, name, seed), settings))
        ]
        if own:
            runs += own
            variants[name] = {
                "changes": grid.variants[name],
                "steps": plan.config.num_steps,
                "flops_per_step": plan.flops_per_step,
                "untrained": untrained(plan.config, workdir, bench, settings),
                "at_the_last_step": ablation_report.summarize(own),
            }
    table = ablation_report.table(variants, bench.numbers)
    print(table)
    report.save_text(output, "table.md", table)
    report.save_plot(output, "quality_by_flops", ablation_report.draw(list(variants), runs))
    results = {
        **settings,
        "config": program.config_name(),
        "equal": values.equal,
        "reference": grid.reference,
        "data_alone": bench.numbers,
        "variants": variants,
        "runs": runs,
    }
    return report.write(output, results)


def outcome(plan: Plan, folder: Path, settings: dict) -> dict | None:
    """The measures and the cost of a run by step; None where it is not done."""
    measures = measure_files.read(folder / measure_files.NAME, settings)
    # Others may be there too, of an earlier call that asked for other steps.
    asked = measured_steps(plan.config)
    found = [step for step in asked if step in measures.by_step]
    if not measures.diverged and found != asked:
        return None
    by_step = {
        step: {
            "cost": costs.of_run(plan.config, folder, step, plan.flops_per_step),
            **measures.by_step[step],
        }
        for step in found
    }
    return {"diverged": measures.diverged, "training": begun.read(folder), "by_step": by_step}


if __name__ == "__main__":
    program.run(main, define_flags)
