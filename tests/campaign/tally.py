"""What was tried, what survived it, what was lost."""

import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from experiments.common.markdown import table

# What a case is, in words, and a function that raises where anything is lost.
Case = tuple[str, Callable[[], object]]


class Row(NamedTuple):
    """A line of the table."""

    name: str
    tried: int
    lost: list[str]  # in words, what became of each

    @property
    def survived(self) -> int:
        return self.tried - len(self.lost)


def tally(name: str, cases: Iterable[Case], seconds: float) -> Row:
    """Tries the cases in turn, and begins none after so many seconds."""
    deadline, tried, lost = time.monotonic() + seconds, 0, []
    for words, case in cases:
        tried += 1
        try:
            case()
        except Exception as error:
            lost.append(f"{words}: {type(error).__name__}: {str(error).strip()[:200]}")
        if time.monotonic() > deadline:
            break
    print(f"{name}: {tried - len(lost)} of {tried} survived", flush=True)
    return Row(name, tried, lost)


def markdown(rows: Iterable[Row]) -> str:
    """The table of docs/reliability.md."""
    cells = ((row.name, f"{row.tried:,}", f"{row.survived:,}", f"{len(row.lost):,}") for row in rows)
    return table(("what", "tried", "survived", "lost"), cells)
