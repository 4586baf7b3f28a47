"""Which draws of a search are trained together, and where they are kept: a folder of the workdir a group."""

import itertools
from pathlib import Path

from experiments.mixture import loop


def of(numbers: list[int], at_once: bool) -> list[range]:
    """In the order of their numbers: each draw by itself, or all that follow each other at once."""
    if not at_once:
        return [range(n, n + 1) for n in sorted(numbers)]
    runs = itertools.groupby(enumerate(sorted(numbers)), lambda pair: pair[1] - pair[0])
    members = [[n for _, n in run] for _, run in runs]
    return [range(group[0], group[-1] + 1) for group in members]


def folder(workdir: Path, game: str, group: range) -> Path:
    """ali_3 for one draw, ali_0-9 for ten."""
    return workdir / f"{game}_{'-'.join(str(n) for n in sorted({group[0], group[-1]}))}"


def kept(workdir: Path, game: str) -> list[range]:
    """The groups of which there is a folder."""
    names = (path.name.removeprefix(f"{game}_") for path in sorted(workdir.glob(f"{game}_[0-9]*")))
    ends = ([int(end) for end in name.split("-")] for name in names)
    return [range(first, last + 1) for first, *_, last in ((each[0], *each) for each in ends)]


def joined(of_groups: list[loop.Rows]) -> loop.Rows:
    """The rows of all draws, group after group, at the steps that every group has; without their times."""
    by_step = [{row["step"]: row for row in rows} for rows in of_groups]
    first = by_step[0]
    names = [name for name in next(iter(first.values())) if name not in loop.OF_TIME]
    steps = [step for step in first if all(step in rows for rows in by_step)]

    def of_all(step: int, name: str) -> list:
        return [*itertools.chain(*(rows[step][name] for rows in by_step))]

    return [{"step": step, **{name: of_all(step, name) for name in names}} for step in steps]
