"""How far a global batch can be spread over TPU v5e chips: arithmetic on compiled steps, no measurement.

    python -m experiments.scaling

Reads what experiments.tpu_compile wrote, prints the tables of docs/scaling.md, and writes the numbers to
--output/results.json where that is given.
"""

import json
from pathlib import Path

from absl import flags

from ali_jax.errors import UserError
from ali_jax.run import command_line as program
from experiments.common import markdown, pod, report, shared_flags

BATCHES = (100, 1024, 8192)
NOTHING = {"count": 0, "bytes": 0}  # what a program on one chip sends


def define_flags() -> None:
    shared_flags.output()
    flags.DEFINE_float(
        "sustained", 0.3, "Share of the peak that the convolutions are assumed to reach.", 0.001, 1.0
    )


def main(argv):
    program.refuse_words(argv)
    program.refuse_config("Compiled steps are read, with the configs that they are of")
    sustained, output = flags.FLAGS.sustained, report.asked_output(flags.FLAGS.output)
    compiled = read(report.RESULTS / "tpu_compile")
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
    works = {Path(config).stem: work_of(result, sustained) for config, result in smallest.items()}
    return [{"config": name, **of_batch(work, batch)} for name, work in works.items() for batch in BATCHES]


def of_batch(work: pod.Work, batch: int) -> dict:
    """A step of `batch` examples on the largest slice that pays, and what it gains over one chip."""
    chips = pod.largest_slice(work, batch)
    parts = pod.seconds(work, batch, chips)
    return {
        "batch_size": batch,
        "chips": chips,
        "seconds": parts._asdict(),
        "share_of_communication": parts.share_of_communication,
        "share_of_communication_on_8_chips": pod.seconds(work, batch, 8).share_of_communication,
        "share_of_communication_on_256_chips": (
            pod.seconds(work, batch, 256).share_of_communication if batch >= 256 else None
        ),
        "examples_per_second": batch / parts.step,
        "times_one_chip": pod.seconds(work, batch, 1).computation / parts.step,
    }


def work_of(result: dict, sustained: float) -> pod.Work:
    """What the compiled step asks for; its convolutions reach the share `sustained` of the peak."""
    reductions = result["collectives"].get("all-reduce", NOTHING)
    return pod.Work(
        flops=result["layer_flops_per_chip"] * result["chips"] / result["batch_size"],
        reduced=reductions["bytes"],
        reductions=reductions["count"],
        parameters=result["parameter_bytes"],
        rate=sustained * pod.PEAK,
    )


def compiled_table(compiled: dict[str, dict]) -> str:
    head = (
        *("config, slice", "chips", "batch", "GFLOP per chip, XLA / layers"),
        "memory per chip, MB: arguments / temporaries / outputs",
        *("all-reduces", "MB reduced", "other collectives", "compile, s"),
    )
    rows = []
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
        rows.append(cells)
    return markdown.table(head, rows)


def paper_table(rows: list[dict]) -> str:
    head = (
        *("config", "batch", "communication's share on 8 chips", "on 256", "largest slice"),
        *("examples per chip", "its step, ms: network + update + bytes + hops", "times one chip"),
    )
    lines = []
    for row in rows:
        of_pod = row["share_of_communication_on_256_chips"]
        cells = (
            row["config"],
            f"{row['batch_size']:,}",
            f"{row['share_of_communication_on_8_chips']:.0%}",
            "-" if of_pod is None else f"{of_pod:.0%}",
            f"{row['chips']}",
            f"{row['batch_size'] / row['chips']:.0f}",
            " + ".join(f"{1e3 * part:.2f}" for part in row["seconds"].values()),
            f"{row['times_one_chip']:.1f}",
        )
        lines.append(cells)
    return markdown.table(head, lines)


if __name__ == "__main__":
    program.run(main, define_flags)
