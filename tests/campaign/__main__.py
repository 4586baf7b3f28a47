"""Kills, faults, full disks, generated configs and malformed inputs, for so many minutes in all.

    python -m tests.campaign --budget=25

Kills, which wait for other processes, run beside the rest. Prints a table of what was tried, survived and
lost, and writes it to results.json in --output, with what was lost in words; docs/reliability.md shows the
last one. Needs requirements/development.txt, and no network.
"""

import argparse
import tempfile
import time
from pathlib import Path

from experiments.common import report

from . import start_up
from .streams import PARTS, campaign
from .tally import markdown


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.campaign", description=__doc__.splitlines()[0])
    parser.add_argument("--budget", type=float, default=25, help="minutes in all")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what to try")
    parser.add_argument("--seed", type=int, default=0, help="of all that is drawn")
    parser.add_argument("--output", type=Path, default=report.RESULTS / "reliability", help="a folder")
    asked = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ali_jax_campaign_") as folder:
        rows = campaign(asked.budget, asked.parts, asked.seed, Path(folder))
        starts = start_up.measure(Path(folder)) if {*asked.parts} == {*PARTS} else {}
    minutes = round((time.monotonic() - begun) / 60, 1)
    results = {"minutes": minutes, "rows": [row._asdict() for row in rows], "start": starts}
    print(report.write(asked.output, results))
    print(markdown(rows))
    if starts:
        print("", start_up.markdown(starts), sep="\n")


if __name__ == "__main__":
    main()
