"""How speed and memory grow with the batch, the width of the networks and the size of images.

    python -m experiments.growth --config=configs/svhn.py:small --workdir=runs/growth --output=FOLDER
    python -m experiments.growth --config=configs/svhn.py --widths= --sides=

Each point is a run of experiments.benchmark in a process of its own: the bare step on random images. Batches
are of the config as it is; widths and sides are of the networks of `:small` (configs/images.py), at the
config's batch and, of widths, its side. A point that is in the workdir already is not measured again, so that
the same command goes on where it was stopped. The table and the plot hold each point's time and memory beside
the FLOPs of its step.
"""

import json
import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from absl import flags
from tqdm import tqdm

from ali_jax import config as config_lib
from ali_jax import recipes
from ali_jax.errors import UserError
from ali_jax.files import write_whole, writing
from ali_jax.run import command_line as program
from ali_jax.run import provenance, workdirs
from experiments.common import contest, growth_report, report, shared_flags

# Flags that no point gets as they are.
OWN = ("batches", "widths", "sides", "steps", "workdir", "output", "config", "config.batch_size")


class Point(NamedTuple):
    """A place on an axis, and what is to be run there."""

    axis: str  # of growth_report.AXES
    value: int
    arguments: list[str]  # of experiments.benchmark


def define_flags() -> None:
    shared_flags.output()
    flags.DEFINE_list("batches", ["100", "200", "500", "1000", "2000"], "Batch sizes; none: empty.")
    flags.DEFINE_list("widths", ["16", "32", "64", "128"], "Features of the first layer; none: empty.")
    flags.DEFINE_list("sides", ["32", "64", "128"], "Pixels of a side; none: empty.")
    flags.DEFINE_integer("steps", 5, "Calls to time at each point.", lower_bound=1)


def main(argv):
    program.refuse_words(argv)
    values = flags.FLAGS
    config_lib.check(values.config)
    output, workdir = report.asked_output(values.output), workdirs.folder(values.workdir or "runs/growth")
    wanted = [*points(values.config, values)]
    measured = [measure(point, workdir) for point in tqdm(wanted, desc="points", disable=None)]
    print(growth_report.table(measured), flush=True)
    if output:
        report.write(output, {"config": os.path.relpath(program.config_name()), "points": measured})
        if any("failed" not in point for point in measured):
            report.save_plot(output, "growth", growth_report.draw(measured))


def points(config, values) -> Iterator[Point]:
    """Every point that the flags ask for.

    Raises:
      UserError: a value is no number above 0, or a width or a side is asked for where there are no images.
    """
    shared = [*contest.without(sys.argv[1:], OWN), "--random_images", "--noloop", f"--steps={values.steps}"]
    batches, widths, sides = (
        shared_flags.whole_numbers(axis, getattr(values, axis), least=1)
        for axis in ("batches", "widths", "sides")
    )
    for batch in batches:
        named = f"--config={program.config_name()}"
        yield Point("batch", batch, [named, f"--config.batch_size={batch}", *shared])
    if not widths + sides:
        return
    if len(config.model.x_shape) != 3:
        raise UserError(f"{config.dataset} holds no images; pass --widths= --sides=, which are of images.")
    side, _, channels = config.model.x_shape
    options = (",grey" if channels == 1 else "") + _kind(config)
    shared = [f"--config.batch_size={config.batch_size}", *shared]
    for width in widths:
        yield Point("width", width, [_images(f"{side}{options},width={width}"), *shared])
    for side in sides:
        yield Point("side", side, [_images(f"{side}{options}"), *shared])


def _kind(config) -> str:
    """The option of configs/images.py by which a contrast changes its copies as the config's does, if any."""
    contrast = config.terms.to_dict().get("contrast")
    return next(
        (f",{kind}" for kind, of in recipes.KINDS.items() if kind != "any" and of.contrast == contrast), ""
    )


def _images(variant: str) -> str:
    return f"--config={os.path.relpath(program.CONFIGS / 'images.py')}:{variant}"


def measure(point: Point, workdir: Path) -> dict:
    """What experiments.benchmark says of a point, from the workdir where it is there; or why it failed."""
    path = workdir / f"{point.axis}_{point.value}.json"
    place = {"axis": point.axis, "value": point.value, "arguments": shlex.join(point.arguments)}
    if path.exists():
        known = read(path)
        if known.get("arguments") != place["arguments"]:
            raise UserError(
                f"{path} was measured by other flags, {known.get('arguments')}; pass another --workdir, or "
                "remove it to measure it anew."
            )
        return known
    try:
        found = contest.run([sys.executable, "-m", "experiments.benchmark", *point.arguments])
    except UserError as error:  # as where memory does not suffice: told, and tried again by the next command
        return place | {"failed": str(error)}
    measured = place | {"date": provenance.of_here()["date"]} | found  # other points may be of other days
    with writing(workdir):
        write_whole(path, (json.dumps(measured, indent=2) + "\n").encode())
    return measured


def read(path: Path) -> dict:
    """A point that was kept.

    Raises:
      UserError: the file is damaged.
    """
    try:
        known = json.loads(path.read_text())
    except (OSError, ValueError):
        known = None
    if not isinstance(known, dict):
        raise UserError(f"{path} cannot be read; remove it, and the point is measured anew.")
    return known


if __name__ == "__main__":
    program.run(main, define_flags)
