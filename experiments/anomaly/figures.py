"""Curves of methods, and the images that are found strange."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ali_jax.run import images

SHOWN = 16  # images of each kind, each with its reconstruction


def draw_roc(curves: Mapping[str, Mapping[str, Sequence]]) -> Figure:
    """ROC curves, a panel for each data set: name -> method -> (false, true) positive rates.

    A method has one colour in all of them.
    """
    methods = dict.fromkeys(method for by_method in curves.values() for method in by_method)
    colours = {method: f"C{number % 10}" for number, method in enumerate(methods)}
    columns = min(len(curves), 4)
    rows = -(-len(curves) // columns)
    figure = Figure(figsize=(3.2 * columns, 3.2 * rows + 0.6), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels[len(curves) :]:
        axes.set_axis_off()
    for axes, (dataset, by_method) in zip(panels, curves.items(), strict=False):
        for method, (false, true) in by_method.items():
            axes.plot(false, true, color=colours[method], linewidth=1)
        axes.plot([0, 1], [0, 1], color="0.8", linewidth=0.5)
        axes.set(title=dataset.replace("_", " "), xlabel="false positives", ylabel="true positives")
    handles = [
        Line2D([], [], color=colour, label=method.replace("_", " ")) for method, colour in colours.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize="small")
    return figure


def extremes(
    x: np.ndarray, reconstruct: Callable[[np.ndarray], np.ndarray], strangeness: np.ndarray
) -> dict[str, np.ndarray]:
    """Grids of the most and the least anomalous images, each beside its reconstruction."""
    order = np.argsort(strangeness)
    chosen = {"most_anomalous": order[::-1][:SHOWN], "least_anomalous": order[:SHOWN]}
    return {
        name: images.grid(images.alternate(x[rows], np.clip(reconstruct(x[rows]), 0, 1)), columns=8)
        for name, rows in chosen.items()
    }
