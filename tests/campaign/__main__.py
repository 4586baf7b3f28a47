"""Kills, faults, full disks, generated configs and malformed inputs, for so many minutes in all.

    python -m tests.campaign --budget=25

Prints a table of what was tried, survived and lost, and writes it to results.json in --output, with what was
lost in words; docs/reliability.md shows the last one. Needs requirements/development.txt, and no network.
"""

import argparse
import tempfile
import time
from pathlib import Path

from conftest import make_tiny_config

from ali_jax import train
from experiments.common import report

from . import decoding, disks, faults, file_systems, kills, malformed, settings, start_up
from .tally import Row, markdown, tally

# Of the budget, or of what the parts asked for take of it.
SHARES = {"kills": 0.45, "decoding": 0.05, "configs": 0.2, "disks": 0.12, "faults": 0.14, "inputs": 0.04}


def campaign(minutes: float, parts: list[str], seed: int, scratch: Path) -> list[Row]:
    """The rows of the table, of these parts of SHARES."""
    whole = scratch / "whole"
    train.train_and_evaluate(make_tiny_config(), whole)
    scale = 60 * minutes / sum(SHARES[part] for part in parts)
    seconds = {part: scale * share for part, share in SHARES.items()}
    fault, disk = seconds["faults"] / 3, seconds["disks"] / 2
    tables = {
        "faults": lambda: [
            tally("faults of a checkpoint's files", faults.of_checkpoints(whole, scratch, seed), fault),
            tally("faults of a workdir's other files", faults.of_workdirs(whole, scratch, seed), fault),
            tally("faults of decoded data", faults.of_data(scratch, seed), fault),
        ],
        "disks": lambda: [
            tally("full disk, by the call that meets it", disks.of_every_write(whole, scratch), disk),
            tally("full disk, by the size of a file", disks.of_every_size(whole, scratch), disk),
            tally("slow disk", file_systems.of_slow_ones(whole, scratch), disk),
            *mounted(whole, scratch, disk),
        ],
        "inputs": lambda: [tally("malformed inputs", malformed.of_inference(seed), seconds["inputs"])],
        "configs": lambda: [settings.tally(scratch, seed, seconds["configs"])],
        "kills": lambda: [tally("kills", kills.of_runs(scratch, seed), seconds["kills"])],
        "decoding": lambda: [
            tally("kills while decoding", decoding.of_folders(scratch, seed), seconds["decoding"])
        ],
    }
    return [row for part, table in tables.items() if part in parts for row in table()]


def mounted(whole: Path, scratch: Path, seconds: float) -> list[Row]:
    if not file_systems.can_mount():
        print("read-only disk: not tried, as only root may mount one")
        return []
    return [tally("read-only disk", file_systems.of_mounts(whole, scratch), seconds)]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.campaign", description=__doc__.splitlines()[0])
    parser.add_argument("--budget", type=float, default=25, help="minutes in all")
    parser.add_argument("--parts", nargs="+", choices=SHARES, default=list(SHARES), help="what to try")
    parser.add_argument("--seed", type=int, default=0, help="of all that is drawn")
    parser.add_argument("--output", type=Path, default=report.RESULTS / "reliability", help="a folder")
    asked = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ali_jax_campaign_") as folder:
        rows = campaign(asked.budget, asked.parts, asked.seed, Path(folder))
        starts = start_up.measure(Path(folder)) if {*asked.parts} == {*SHARES} else {}
    minutes = round((time.monotonic() - begun) / 60, 1)
    results = {"minutes": minutes, "rows": [row._asdict() for row in rows], "start": starts}
    print(report.write(asked.output, results))
    print(markdown(rows), start_up.markdown(starts), sep="\n\n")


if __name__ == "__main__":
    main()
