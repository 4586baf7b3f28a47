"""The points of experiments.growth as a table and as a plot: functions of its results."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from experiments.common import markdown

AXES = {"batch": "examples of a batch", "width": "features of the first layer", "side": "pixels of a side"}
BEYOND = 1.05  # of FLOPs, from which a growth is marked: what is below, a machine that is not quiet may do


def table(points: Sequence[Mapping]) -> str:
    """Markdown: a row for each point; what has grown faster than its FLOPs is in bold.

    Growth is from that smaller point of the axis from which it is the most: 1.2 says that the time, or the
    memory, of a step has grown 1.2 times as much as its FLOPs.
    """
    head = ("axis", "", "images/s", "GFLOP an image", "GFLOP/s", "memory of the program, GB", "peak GB")
    head += ("time over FLOPs", "memory over FLOPs")
    rows = []
    for axis in AXES:
        before: list[Mapping] = []
        for point in of_axis(points, axis):
            rows.append(_row(point, before))
            before.append(point)
    rows += [(p["axis"], f"{p['value']:,}", p["failed"]) for p in points if "failed" in p]
    return markdown.table(head, rows)


def of_axis(points: Sequence[Mapping], axis: str) -> list[Mapping]:
    """Those points of an axis that were measured, the smallest first."""
    there = (point for point in points if point["axis"] == axis and "failed" not in point)
    return sorted(there, key=lambda point: point["value"])


def _row(point: Mapping, before: Sequence[Mapping]) -> tuple[str, ...]:
    program = point["program_memory_bytes"]
    return (
        point["axis"],
        f"{point['value']:,}",
        f"{point['images_per_second']:,.1f}",
        f"{point['traced_flops_per_step'] / point['batch_size'] / 1e9:.3f}",
        f"{flops_per_second(point) / 1e9:,.1f}",
        "-" if program is None else f"{program / 1e9:.2f}",
        f"{point['peak_memory_bytes'] / 1e9:.2f}",
        _beyond(growth(point, before, "step_seconds")),
        _beyond(growth(point, before, "program_memory_bytes")),
    )


def flops_per_second(point: Mapping) -> float:
    return point["traced_flops_per_step"] / point["step_seconds"]


def growth(point: Mapping, before: Sequence[Mapping], measure: str) -> float | None:
    """How many times as much as its FLOPs a measure has grown, from where that is the most; None: unknown."""

    def of_flops(p: Mapping) -> float:
        return p[measure] / p["traced_flops_per_step"]

    if not before or any(p[measure] is None for p in (point, *before)):
        return None
    return max(of_flops(point) / of_flops(smaller) for smaller in before)


def _beyond(times: float | None) -> str:
    if times is None:
        return ""
    return f"**{times:.2f}**" if times > BEYOND else f"{times:.2f}"


def draw(points: Sequence[Mapping]) -> Figure:
    """A column for each axis: images/s, GFLOP/s and the memory of a step's program against it."""
    there = [axis for axis in AXES if of_axis(points, axis)]
    measures = {
        "images/s": lambda point: point["images_per_second"],
        "GFLOP/s": lambda point: flops_per_second(point) / 1e9,
        "memory, GB": lambda point: (point["program_memory_bytes"] or point["peak_memory_bytes"]) / 1e9,
    }
    size = (3.4 * len(there), 2.6 * len(measures))
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(measures), len(there), squeeze=False)
    for row, (title, of) in zip(grid, measures.items(), strict=True):
        for axes, axis in zip(row, there, strict=True):
            line = of_axis(points, axis)
            values = [point["value"] for point in line]
            axes.loglog(values, [of(point) for point in line], marker=".")
            axes.set_xticks(values, [str(value) for value in values])
            axes.minorticks_off()
            axes.set(xlabel=AXES[axis], ylabel=title)
    return figure
