"""Who takes part: each is a function of what is fitted, what is judged and a seed, to strangeness (M,)."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import LocalOutlierFactor
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

from ali_jax.anomaly import Detector
from ali_jax.errors import UserError
from experiments.anomaly.protocols import Task
from experiments.common import elsewhere

MOST_FITTED = {"local_outlier_factor": 20_000, "one_class_svm": 5_000}  # rows, of methods that need all pairs

Method = Callable[[Task, int], np.ndarray]


def detector(task: Task, seed: int, **settings) -> np.ndarray:
    """Ours, at its defaults but for `settings`."""
    return -Detector(random_state=seed, **settings).fit(task.fit).score_samples(task.judged)


def isolation_forest(task: Task, seed: int) -> np.ndarray:
    fit, judged = standardised(task)
    return -IsolationForest(random_state=seed).fit(fit).score_samples(judged)


def local_outlier_factor(task: Task, seed: int) -> np.ndarray:
    fit, judged = standardised(task)
    fit = fit[: MOST_FITTED["local_outlier_factor"]]
    return -LocalOutlierFactor(novelty=True).fit(fit).score_samples(judged)


def one_class_svm(task: Task, seed: int) -> np.ndarray:
    fit, judged = standardised(task)
    return -OneClassSVM().fit(fit[: MOST_FITTED["one_class_svm"]]).score_samples(judged)


def pca(task: Task, seed: int) -> np.ndarray:
    """Squared error of the reconstruction through components that hold 90 % of the variance."""
    fit, judged = standardised(task)
    model = PCA(0.9, svd_solver="full").fit(fit)
    return np.sum(np.square(judged - model.inverse_transform(model.transform(judged))), axis=1)


METHODS: dict[str, Method] = {
    method.__name__: method
    for method in (detector, isolation_forest, local_outlier_factor, one_class_svm, pca)
}
OUTSIDE = ("pyod_alad", "pyod_autoencoder", "pyod_ecod")


def outside(python: str, name: str, task: Task, seed: int) -> np.ndarray:
    """A method of PyOD, in its own environment: the interpreter `python`, which has PyOD and torch."""
    fit, judged = standardised(task)
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "given.npz", Path(folder) / "made.npy"
        np.savez(given, fit=fit, judged=judged)
        script = Path(__file__).with_name("outside.py")
        arguments = [json.dumps({"method": name, "seed": seed}), str(given), str(made)]
        elsewhere.run(name, python, script, arguments)
        if not made.exists():
            raise UserError(f"{name} ended in {python} and left no scores; see {script}.")
        return np.load(made)


def standardised(task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Both parts as rows, each column of mean 0 and variance 1 over the fitted ones."""
    # float32 has no room for what is far from 0 and varies little, as seconds since 1970: not before scaling.
    fit, judged = (x.reshape(len(x), -1).astype(np.float64) for x in (task.fit, task.judged))
    scaler = StandardScaler().fit(fit)
    return scaler.transform(fit).astype(np.float32), scaler.transform(judged).astype(np.float32)
