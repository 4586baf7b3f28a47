"""The figures of the 25-mode study, and of other mixtures."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from ali_jax import data
from ali_jax.data import Gaussians
from ali_jax.run import images
from experiments.common import report
from experiments.mixture.measures import Points

TITLES = {"modes_covered": "modes covered (the paper's count)", "modes_covered_strictly": "strictly (ours)"}
MARGIN = 2.0  # around the means
Z_LIMIT = 4.0


def coverage(rows: dict[str, list[dict]], modes: int) -> Figure:
    """Modes covered over steps, by game: the mean over draws, and from the least to the most."""
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    for axes, (name, title) in zip(figure.subplots(1, len(TITLES)), TITLES.items(), strict=True):
        for game, of_game in rows.items():
            steps = [row["step"] for row in of_game]
            covered = np.asarray([row[name] for row in of_game])  # (evaluations, draws)
            axes.plot(steps, covered.mean(1), label=game.upper())
            axes.fill_between(steps, covered.min(1), covered.max(1), alpha=0.2)
        axes.set(title=title, xlabel="step", ylim=(-0.5, modes + 0.5))
        axes.legend()
    return figure


def comparison(columns: dict[str, Points], test: data.Split, mixture: Gaussians, output: Path) -> None:
    """Figure 8 as comparison.png and comparison.pdf: rows of points, a column for each model."""
    report.save_plot(output, "comparison", comparison_figure(columns, test, mixture))


def comparison_figure(columns: dict[str, Points], test: data.Split, mixture: Gaussians) -> Figure:
    """Test points, codes, reconstructions (coloured by component), prior draws and samples (black)."""
    figure = Figure(figsize=(2.4 * len(columns), 12), layout="constrained")
    x_limit = np.max(np.abs(mixture.means)) + MARGIN
    grid = figure.subplots(5, len(columns), squeeze=False)
    for of_column, (title, points) in zip(grid.T, columns.items(), strict=True):
        rows = {
            "x": (test.x, test.label, x_limit),
            "codes of x": (points.codes, test.label, Z_LIMIT),
            "reconstructions": (points.reconstructions, test.label, x_limit),
            "z from the prior": (points.prior, None, Z_LIMIT),
            "samples": (points.samples, None, x_limit),
        }
        for axes, (name, panel) in zip(of_column, rows.items(), strict=True):
            images.scatter(axes, *panel)
            axes.set(xticks=[-panel[2], 0, panel[2]], yticks=[-panel[2], 0, panel[2]], ylabel=name)
            axes.label_outer()
        of_column[0].set_title(title, fontsize=10)
    return figure
