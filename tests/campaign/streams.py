"""The parts of the campaign, in two processes side by side."""

import concurrent.futures
import multiprocessing
from pathlib import Path

from conftest import make_tiny_config

from ali_jax import train

from . import decoding, disks, faults, file_systems, kills, malformed, settings
from .tally import Row, tally

# Two processes side by side, as the machine has two cores. Of the budget of each, or of what the parts asked
# for take of it.
SHARES = (
    {"kills_of_two": 0.92, "decoding": 0.08},
    {"kills": 0.45, "configs": 0.12, "disks": 0.21, "faults": 0.21, "inputs": 0.01},
)
PARTS = [part for shares in SHARES for part in shares]


def campaign(minutes: float, parts: list[str], seed: int, scratch: Path) -> list[Row]:
    """The rows of the table, of these parts of SHARES."""
    streams = [chosen for shares in SHARES if (chosen := [part for part in shares if part in parts])]
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(len(streams), spawn) as pool:
        running = [
            pool.submit(one_after_another, minutes, stream, seed, scratch / str(number))
            for number, stream in enumerate(streams)
        ]
        return [row for stream in running for row in stream.result()]


def one_after_another(minutes: float, parts: list[str], seed: int, scratch: Path) -> list[Row]:
    """The rows of some parts of one of SHARES, tried in a folder of their own."""
    scratch.mkdir()
    whole = scratch / "whole"
    train.train_and_evaluate(make_tiny_config(), whole)
    shares = {part: share for shares in SHARES for part, share in shares.items()}
    scale = 60 * minutes / sum(shares[part] for part in parts)
    seconds = {part: scale * share for part, share in shares.items()}
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
        "kills": lambda: [tally("kills", kills.of_runs(1, scratch, seed), seconds["kills"])],
        "kills_of_two": lambda: [
            tally("kills of two processes", kills.of_runs(2, scratch, seed), seconds["kills_of_two"])
        ],
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
