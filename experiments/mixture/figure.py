"""The figures of the 25-mode study."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

TITLES = {"modes_covered": "modes covered (the paper's count)", "modes_covered_strictly": "strictly (ours)"}
X_LIMIT, Z_LIMIT = 6.0, 4.0


def coverage(rows: dict[str, list[dict]], path: Path) -> None:
    """Modes covered over steps, by game: the mean over draws, and from the least to the most."""
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    for axes, (name, title) in zip(figure.subplots(1, len(TITLES)), TITLES.items(), strict=True):
        for game, of_game in rows.items():
            steps = [row["step"] for row in of_game]
            covered = np.asarray([row[name] for row in of_game])  # (evaluations, draws)
            axes.plot(steps, covered.mean(1), label=game.upper())
            axes.fill_between(steps, covered.min(1), covered.max(1), alpha=0.2)
        axes.set(title=title, xlabel="step", ylim=(-0.5, 25.5))
        axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80)
