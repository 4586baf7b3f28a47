"""How far a global batch can be spread over TPU v5e chips: arithmetic on compiled steps, no measurement.

    python -m experiments.scaling

Reads what experiments.tpu_compile wrote, prints the tables of docs/scaling.md, and writes the numbers to
--output/results.json where that is given.
"""

import json
import math
from pathlib import Path
from typing import NamedTuple

from absl import flags

from ali_jax import main as program
from ali_jax.errors import UserError
from experiments.common import report

# Published, per chip (cloud.google.com/tpu/docs/v5e); the links: 1,600 Gbit/s, 400 GB/s both ways together.
PEAK = 197e12  # FLOP/s, bfloat16 products
MEMORY = 819e9  # bytes/s
LINKS = 200e9  # bytes/s out of a chip, over its four links
# A pod is 16x16; larger slices do not exist.
SLICES = (1, 4, 8, 16, 32, 64, 128, 256)

# Assumed.
HOP = 1e-6  # seconds from a chip to its neighbour

BATCHES = (100, 1024, 8192)

flags.DEFINE_float("sustained", 0.3, "Share of the peak that the convolutions are assumed to reach.")


class Work(NamedTuple):
    """What a step asks for, whatever the number of chips."""

    flops: float  # of one example
    reduced: float  # bytes in all its all-reduces
    reductions: int  # how many all-reduces, one after the other
    parameters: float  # bytes
    rate: float  # FLOP/s that its convolutions reach


class Seconds(NamedTuple):
    """Of a step, on each chip; nothing overlaps."""

    network: float  # forward and backward
    update: float  # Adam
    bytes: float  # communication: moving what is reduced
    hops: float  # communication: waiting for the farthest chip

    @property
    def communication(self) -> float:
        return self.bytes + self.hops

    @property
    def computation(self) -> float:
        return self.network + self.update


def seconds(work: Work, batch: int, chips: int) -> Seconds:
    """The least time of each part of a step of `batch` examples on `chips` chips in a square torus.

    Every chip reads parameters, gradients and both moments and writes all but the gradients: 7 times the
    parameters, however many chips there are. A ring sends 2 (n - 1) / n of what it reduces; the farthest
    chip of a torus of n is sqrt(n) hops away.
    """
    return Seconds(
        network=work.flops * batch / chips / work.rate,
        update=7 * work.parameters / MEMORY,
        bytes=2 * (chips - 1) / chips * work.reduced / LINKS,
        hops=work.reductions * math.sqrt(chips) * HOP if chips > 1 else 0.0,
    )


def largest_slice(work: Work, batch: int) -> int:
    """The most chips, an example each at least, on which communication takes no longer than computation."""

    def pays(chips):
        parts = seconds(work, batch, chips)
        return chips <= batch and parts.communication <= parts.computation

    return max(filter(pays, SLICES))


def main(argv):
    program.refuse_words(argv)
    output = report.asked_output()
    compiled = read(report.RESULTS / "tpu_compile")
    sustained = flags.FLAGS.sustained
    rows = on_paper(compiled, sustained)
    print(compiled_table(compiled), paper_table(rows), sep="\n\n")
    if output:
        report.write(output, {"kind": "arithmetic, no measurement", "sustained": sustained, "rows": rows})


def read(folder: Path) -> dict[str, dict]:
    """Results of experiments.tpu_compile by name, as "svhn_v5e_2x4"."""
    found = {path.parent.name: json.loads(path.read_text()) for path in sorted(folder.glob("*/results.json"))}
    if not found:
        raise UserError(f"{folder} holds no results yet; run experiments.tpu_compile first.")
    return found


def on_paper(compiled: dict[str, dict], sustained: float) -> list[dict]:
    """A row for each config and batch, from the smallest slice that the config was compiled for."""
    smallest = {}
    for result in sorted(compiled.values(), key=lambda result: result["chips"]):
        smallest.setdefault(result["config"], result)
    rows = []
    for config, result in smallest.items():
        work = work_of(result, sustained)
        for batch in BATCHES:
            chips = largest_slice(work, batch)
            parts = seconds(work, batch, chips)
            step = parts.communication + parts.computation
            rows.append(
                {
                    "config": Path(config).stem,
                    "batch_size": batch,
                    "chips": chips,
                    "seconds": parts._asdict(),
                    "share_of_communication": parts.communication / step,
                    "share_of_communication_on_8_chips": share(work, batch, 8),
                    "share_of_communication_on_256_chips": share(work, batch, 256) if batch >= 256 else None,
                    "examples_per_second": batch / step,
                    "times_one_chip": seconds(work, batch, 1).computation / step,
                }
            )
    return rows


NOTHING = {"count": 0, "bytes": 0}  # what a program on one chip sends


def work_of(result: dict, sustained: float) -> Work:
    reductions = result["collectives"].get("all-reduce", NOTHING)
    return Work(
        flops=result["layer_flops_per_chip"] * result["chips"] / result["batch_size"],
        reduced=reductions["bytes"],
        reductions=reductions["count"],
        parameters=result["parameter_bytes"],
        rate=sustained * PEAK,
    )


def share(work: Work, batch: int, chips: int) -> float:
    """Of a step, that communication takes."""
    parts = seconds(work, batch, chips)
    return parts.communication / (parts.communication + parts.computation)


def compiled_table(compiled: dict[str, dict]) -> str:
    header = (
        "config, slice | chips | batch | GFLOP per chip, XLA / layers | memory per chip, MB: arguments / "
        "temporaries / outputs | all-reduces | MB reduced | other collectives | compile, s"
    )
    lines = []
    for name, result in sorted(compiled.items(), key=lambda item: (item[1]["config"], item[1]["chips"])):
        memory = [result["memory_bytes"][part] / 1e6 for part in ("arguments", "temporaries", "outputs")]
        others = dict(result["collectives"])
        reductions = others.pop("all-reduce", NOTHING)
        cells = (
            f"[{name.replace('_v5e_', ', v5e ')}](../experiments/results/tpu_compile/{name}/results.json)",
            f"{result['chips']}",
            f"{result['batch_size']:,}",
            f"{result['xla_flops_per_chip'] / 1e9:.1f} / {result['layer_flops_per_chip'] / 1e9:.1f}",
            " / ".join(f"{size:,.0f}" for size in memory),
            f"{reductions['count']}",
            f"{reductions['bytes'] / 1e6:.1f}",
            ", ".join(f"{entry['count']} {kind}" for kind, entry in others.items()) or "none",
            f"{result['compile_seconds']:.0f}",
        )
        lines.append(" | ".join(cells))
    return markdown(header, lines)


def paper_table(rows: list[dict]) -> str:
    header = (
        "config | batch | communication's share on 8 chips | on 256 | largest slice | examples per chip | "
        "its step, ms: network + update + bytes + hops | times one chip"
    )
    lines = []
    for row in rows:
        pod = row["share_of_communication_on_256_chips"]
        cells = (
            row["config"],
            f"{row['batch_size']:,}",
            f"{row['share_of_communication_on_8_chips']:.0%}",
            "-" if pod is None else f"{pod:.0%}",
            f"{row['chips']}",
            f"{row['batch_size'] / row['chips']:.0f}",
            " + ".join(f"{1e3 * part:.2f}" for part in row["seconds"].values()),
            f"{row['times_one_chip']:.1f}",
        )
        lines.append(" | ".join(cells))
    return markdown(header, lines)


def markdown(header: str, lines: list[str]) -> str:
    rule = " | ".join(["---"] * (header.count(" | ") + 1))
    return "\n".join(f"| {line} |" for line in [header, rule, *lines])


if __name__ == "__main__":
    program.run(main)
