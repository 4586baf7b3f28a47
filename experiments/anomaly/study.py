"""Rows of results: a method on a data set from a seed; kept as they come, and summed up."""

import functools
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_curve
from tqdm import tqdm

from ali_jax.anomaly import SCORES, networks
from ali_jax.errors import UserError
from ali_jax.run import provenance
from experiments.anomaly import methods
from experiments.anomaly.judging import MEASURES, judge
from experiments.anomaly.protocols import Task
from experiments.common import report, spreads

CURVE_POINTS = 100  # of a ROC curve, at most, that a figure is drawn of


def players(
    asked: Sequence[str],
    measures: Sequence[str],
    longer: int,
    contamination: float | None,
    opponent_python: str | None,
) -> dict[str, methods.Method]:
    """The methods by name."""
    known = (*methods.METHODS, *methods.OUTSIDE)
    for name in asked:
        if name not in known:
            raise UserError(f"There is no method {name!r}; choose of {', '.join(known)}.")
        if name in methods.OUTSIDE and not opponent_python:
            raise UserError(f"{name} runs elsewhere; pass an interpreter with PyOD as --opponent_python.")
    for name in measures:
        if name not in SCORES:
            raise UserError(f"There is no measure {name!r}; choose of {', '.join(SCORES)}.")
    found = {
        name: methods.METHODS.get(name) or functools.partial(methods.outside, opponent_python, name)
        for name in asked
    }
    for name in measures:
        found[f"detector_{name}"] = functools.partial(methods.detector, measure=name)
    if contamination:
        found[f"detector_told_{contamination}"] = functools.partial(
            methods.detector, contamination=contamination
        )
    if longer > 1:
        found[f"detector_{longer}_times_the_steps"] = functools.partial(lengthened, longer)
    return found


def lengthened(times: int, task: Task, seed: int) -> np.ndarray:
    """Ours with so many times its default steps."""
    steps = networks.plan(2, len(task.fit), width=1).steps  # by the number of rows alone
    return methods.detector(task, seed, steps=times * steps)


class Rows:
    """The rows of a folder's results.json, and what is added to them; curves of a last seed each.

    Raises:
      UserError: those that are there are of another protocol, or cannot be read.
    """

    def __init__(self, output: Path, protocol: str):
        self._output, self._protocol = output, protocol
        path = output / "results.json"
        self.rows: list[dict] = []
        self.curves: dict[str, dict[str, list[list[float]]]] = {}
        if path.exists():
            self.rows, self.curves, before = _read(path)
            if before != protocol:
                raise UserError(f"{path} is of the protocol {before!r}; pass another --output.")

    def has(self, dataset: str, digest: str, method: str, seed: int) -> bool:
        """A UserError where there are rows of this name, but of other data."""
        of_it = [row for row in self.rows if row["data"] == dataset]
        if any(row.get("digest") != digest for row in of_it):
            raise UserError(
                f"{self._output / 'results.json'} has rows of another {dataset} than this one; rename "
                "the data, or pass another --output."
            )
        return any((row["method"], row["seed"]) == (method, seed) for row in of_it)

    def add(self, row: dict) -> None:
        self.rows.append(row)
        self.write(self.summary())

    def write(self, results: dict) -> Path:
        return report.write(
            self._output, results | {"protocol": self._protocol, "rows": self.rows, "curves": self.curves}
        )

    def summary(self) -> dict:
        """Means and standard deviations over seeds, and of these the mean over data sets."""
        groups: dict[tuple[str, str], list[dict]] = {}
        for row in self.rows:
            groups.setdefault((row["data"], row["method"]), []).append(row)
        by_data: dict[str, dict[str, dict]] = {}
        for (dataset, method), rows in groups.items():
            by_data.setdefault(dataset, {})[method] = _over_seeds(rows)
        mean: dict[str, dict[str, float]] = {}
        for method in dict.fromkeys(row["method"] for row in self.rows):
            of_it = [found[method] for found in by_data.values() if method in found]
            mean[method] = {"data_sets": len(of_it)} | {
                name: float(np.mean([found[name]["mean"] for found in of_it])) for name in MEASURES
            }
        return {"by_data": by_data, "mean": mean}


def _read(path: Path) -> tuple[list[dict], dict, str]:
    """Rows, curves and protocol; a UserError where it is of another program, or damaged."""
    try:
        found = json.loads(path.read_text())
        return [*found["rows"]], {**found["curves"]}, found["protocol"]
    except (KeyError, OSError, TypeError, ValueError):
        raise UserError(f"{path} holds no rows of this program; pass another --output.") from None


def _over_seeds(rows: Sequence[Mapping]) -> dict:
    found = {name: spreads.mean_and_std([row[name] for row in rows]) for name in MEASURES}
    return found | {"seeds": len(rows), "seconds": float(np.mean([row["seconds"] for row in rows]))}


def play(
    rows: Rows,
    players: Mapping[str, methods.Method],
    dataset: str,
    digest: str,
    seed: int,
    make: Callable[[], Task],
) -> None:
    """Adds the row of every method that is not there yet.

    Args:
      dataset: its name; of one `digest` in all rows.
      digest: of what it holds.
      seed: of the split, and of the methods.
      make: the split.
    """
    missing = [name for name in players if not rows.has(dataset, digest, name, seed)]
    if not missing:
        return
    task = make()
    if not len(task.fit) or len({*task.anomaly.tolist()}) != 2:
        raise UserError(
            f"{dataset}, seed {seed}: {len(task.fit)} rows are fitted, and of {len(task.judged)} that are "
            f"judged {int(np.sum(task.anomaly))} are anomalies; there must be rows to fit, and both kinds to "
            "judge: use more data, another --protocol or fewer --seeds."
        )
    for name in tqdm(missing, f"{dataset}, seed {seed}", disable=None):
        start = time.perf_counter()
        strangeness = players[name](task, seed)
        seconds = time.perf_counter() - start
        false, true, _ = roc_curve(task.anomaly, strangeness)
        chosen = np.unique(np.linspace(0, len(false) - 1, CURVE_POINTS).astype(int))
        curve = [np.round(rates[chosen], 4).tolist() for rates in (false, true)]
        rows.curves.setdefault(dataset, {})[name] = curve
        rows.add(
            {
                "data": dataset,
                "digest": digest,
                "method": name,
                "seed": seed,
                "fitted": len(task.fit),
                "judged": len(task.judged),
                "anomalies": int(np.sum(task.anomaly)),
                **judge(strangeness, task.anomaly),
                "seconds": seconds,
                "date": provenance.of_here()["date"],  # other rows may be of other days
            }
        )


def table(mean: Mapping[str, Mapping[str, float]]) -> str:
    """Means over data sets, a line a method."""
    lines = [f"{'method':32}" + "".join(f"{name:>8}" for name in MEASURES)]
    lines += [
        f"{method:32}" + "".join(f"{found[name]:8.4f}" for name in MEASURES) for method, found in mean.items()
    ]
    return "\n".join(lines)
