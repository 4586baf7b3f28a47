"""Which draws of a search are trained together, and where they are kept: a folder of the workdir a group."""

import itertools
import re
from collections.abc import Iterable
from pathlib import Path

from ali_jax.errors import UserError
from experiments.mixture import loop


def of(numbers: list[int], at_once: bool, there: Iterable[range] = ()) -> list[range]:
    """In the order of their numbers: each draw by itself, or all that follow each other at once.

    Args:
      there: groups that are kept already; those of these numbers alone stay as they are.
    """
    left, found = {*numbers}, []
    for group in there:
        if left.issuperset(group):
            found.append(group)
            left -= {*group}
    if at_once:
        runs = itertools.groupby(enumerate(sorted(left)), lambda pair: pair[1] - pair[0])
        members = [[n for _, n in run] for _, run in runs]
    else:
        members = [[n] for n in left]
    return sorted([*found, *(range(each[0], each[-1] + 1) for each in members)], key=min)


def folder(workdir: Path, game: str, group: range) -> Path:
    """ali_3 for one draw, ali_0-9 for ten."""
    return workdir / f"{game}_{'-'.join(str(n) for n in sorted({group[0], group[-1]}))}"


def kept(workdir: Path, game: str) -> list[range]:
    """The groups of which there is a folder."""
    named = (
        re.fullmatch(rf"{game}_(\d+)(?:-(\d+))?", path.name) for path in sorted(workdir.glob(f"{game}_*"))
    )
    return [range(int(name[1]), int(name[2] or name[1]) + 1) for name in named if name]


def joined(of_groups: list[loop.Rows]) -> loop.Rows:
    """The rows of all draws, group after group, at the steps that every group has; without their times.

    Raises:
      UserError: there is no such step.
    """
    by_step = [{row["step"]: row for row in rows} for rows in of_groups]
    first = by_step[0]
    names = [name for name in next(iter(first.values())) if name not in loop.OF_TIME]
    steps = [step for step in first if all(step in rows for rows in by_step)]
    if not steps:
        raise UserError(
            "The draws were not measured at a common step; pass the --config.log_every and "
            "--config.num_steps of those that are kept, or another --workdir."
        )

    def of_all(step: int, name: str) -> list:
        return [*itertools.chain(*(rows[step][name] for rows in by_step))]

    return [{"step": step, **{name: of_all(step, name) for name in names}} for step in steps]
