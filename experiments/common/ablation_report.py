"""The runs of an ablation as a table and as a plot: functions of its results."""

import numpy as np
from matplotlib.figure import Figure

from experiments.common import markdown
from experiments.common.spreads import mean_and_std

# What a table shows of a run's measures: title -> where it stands in them.
QUALITIES = {
    "1-NN of mu, %": ("encoder", "mu", "nearest_neighbour_accuracy_percent"),
    "probe of hidden, %": ("encoder", "hidden", "standardised_probe_accuracy_percent"),
    "kept, %": ("reconstruction", "through_mu", "kept_percent"),
    "MSE, of the mean image's": ("reconstruction", "through_mu", "mse_over_mean_training_image"),
    "Frechet distance": ("samples", "frechet_distance_referee"),
    "coverage": ("samples", "coverage_referee"),
}
PLOTTED = ("1-NN of mu, %", "kept, %", "MSE, of the mean image's", "Frechet distance")


def value(measures: dict, title: str) -> float | None:
    """One of QUALITIES; None where these measures do not have it."""
    found = measures
    for key in QUALITIES[title]:
        found = found.get(key)
        if found is None:
            return None
    return found


def summarize(runs: list[dict]) -> dict:
    """Mean and standard deviation over the runs that came to their end, at their last step.

    Args:
      runs: of one variant, "by_step" their measures.
    """
    ended = [run for run in runs if not run["diverged"]]
    last = [run["by_step"][max(run["by_step"])] for run in ended]
    summary: dict = {"runs": len(ended), "diverged": len(runs) - len(ended)}
    if not ended:
        return summary
    seconds = [measures["cost"]["seconds"] for measures in last]
    summary["flops"] = last[0]["cost"]["flops"]
    summary["seconds"] = None if None in seconds else mean_and_std(seconds)
    for title in QUALITIES:
        numbers = [value(measures, title) for measures in last]
        summary[title] = None if None in numbers else mean_and_std(numbers)
    return summary


def table(variants: dict[str, dict], data_alone: dict) -> str:
    """Markdown: a row for each variant, for encoders before their first step, and for real images.

    The last has the referee's accuracy where others have what they keep, and the scores of training images
    where others have those of samples.
    """
    last = {name: variant["at_the_last_step"] for name, variant in variants.items()}
    shown = [title for title in QUALITIES if any(row.get(title) for row in last.values())]
    heads = ["variant", "runs", "steps", "TFLOPs", "minutes", *shown]
    rows = []
    for name, row in last.items():
        count = f"{row['runs']}" + (f" ({row['diverged']} diverged)" if row["diverged"] else "")
        cost = [_number(row.get("flops"), 1e-12), _number(row.get("seconds"), 1 / 60)]
        rows.append(
            (name, count, f"{variants[name]['steps']:,}", *cost, *(_number(row.get(t)) for t in shown))
        )
    through_mu = {"kept_percent": data_alone["referee"]["accuracy_percent"]}
    real = {"samples": data_alone["samples"], "reconstruction": {"through_mu": through_mu}}
    for name, measures in {**_untrained(variants), "real images": real}.items():
        rows.append((name, *"----", *(_number(value(measures, title)) for title in shown)))
    note = "Mean +- standard deviation over seeds, at the last step."
    return f"{markdown.table(heads, rows)}\n\n{note}\n"


def _untrained(variants: dict[str, dict]) -> dict[str, dict]:
    """The measures of encoders that were not trained; of variants with the same networks once."""
    found: dict[str, dict] = {}
    for name, variant in variants.items():
        if variant["untrained"]["encoder"] and variant["untrained"] not in found.values():
            found[f"untrained: {name}"] = variant["untrained"]
    return found


def _number(number: dict | float | None, scale: float = 1.0) -> str:
    if number is None:
        return "-"
    if not isinstance(number, dict):
        return f"{scale * number:.4g}"
    mean, std = scale * number["mean"], scale * number["std"]
    digits = 1 if abs(mean) >= 10 else 3
    return f"{mean:.{digits}f} +- {std:.{digits}f}"


def draw(names: list[str], runs: list[dict]) -> Figure:
    """A panel for each of PLOTTED: against FLOPs, the mean of a variant's runs and, faint, each of them."""
    figure = Figure(figsize=(4 * len(PLOTTED), 3.6), layout="constrained")
    for axes, title in zip(figure.subplots(1, len(PLOTTED)), PLOTTED, strict=True):
        for number, name in enumerate(names):
            curves = [curve(run, title) for run in runs if run["variant"] == name and not run["diverged"]]
            curves = [points for points in curves if len(points)]
            for points in curves:
                axes.plot(*points.T, color=f"C{number}", alpha=0.3, linewidth=1)
            if curves:
                axes.plot(*np.mean(curves, axis=0).T, color=f"C{number}", marker=".", label=name)
        axes.set(title=title, xlabel="FLOPs of the training")
    handles, labels = figure.axes[-1].get_legend_handles_labels()
    if labels:
        figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(labels)))
    return figure


def curve(run: dict, title: str) -> np.ndarray:
    """(FLOPs, value) at each step that was measured: (T, 2), empty where the measure is not there."""
    points = [(found["cost"]["flops"], value(found, title)) for found in run["by_step"].values()]
    return np.asarray([point for point in points if point[1] is not None]).reshape(-1, 2)
