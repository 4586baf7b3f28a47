"""How often a referee sees in a picture what it ought to: functions of arrays.

Classes are (N,), attributes (N, A) of zeros and ones. Attributes are skewed (6 % of CelebA's faces wear
glasses), so that each has its balanced accuracy, too: the mean of the shares seen rightly among those that
have it and among those that lack it, 50 % for who always says the same.
"""

import numpy as np

from ali_jax import data

Numbers = dict[str, float | dict | None]


def accuracy(truth: np.ndarray, seen: np.ndarray) -> Numbers:
    """In percent: "accuracy_percent" and, of attributes, "balanced_accuracy_percent" and both of each.

    Those without "by_attribute" are means over attributes.
    """
    if truth.ndim == 1:
        return {"accuracy_percent": _percent(truth == seen)}
    each = {
        name: {
            "accuracy_percent": _percent(truth[:, column] == seen[:, column]),
            "balanced_accuracy_percent": _balanced(truth[:, column], seen[:, column]),
        }
        for column, name in enumerate(names(truth.shape[1]))
    }
    return {**_means(list(each.values())), "by_attribute": each}


def kept(truth: np.ndarray, of_originals: np.ndarray, seen: np.ndarray) -> Numbers:
    """What is seen in reconstructions, in percent.

    "kept_percent" is right by the truth, "agrees_percent" equal to what is seen in the originals. Of
    attributes, both are means over them, and "by_attribute" has also "share_of_balanced_accuracy": the
    balanced accuracy over that of the originals.
    """
    results: Numbers = {
        "kept_percent": _percent(truth == seen),
        "agrees_percent": _percent(of_originals == seen),
    }
    if truth.ndim == 1:
        return results
    again, before = accuracy(truth, seen), accuracy(truth, of_originals)
    each = again["by_attribute"]
    for name, row in each.items():
        was = before["by_attribute"][name]["balanced_accuracy_percent"]
        now = row["balanced_accuracy_percent"]
        row["share_of_balanced_accuracy"] = now / was if was and now is not None else None
    balanced = again["balanced_accuracy_percent"]
    return {**results, "kept_balanced_percent": balanced, "by_attribute": each}


def is_lost(truth: np.ndarray, of_originals: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Of each image, (N,), whether its class is not seen, or fewer attributes than in the original."""
    if truth.ndim == 1:
        return truth != seen
    return np.sum(truth == seen, axis=1) < np.sum(truth == of_originals, axis=1)


def names(count: int) -> list[str]:
    """Of as many attributes."""
    known = data.CELEBA_ATTRIBUTES
    return list(known) if count == len(known) else [f"attribute_{number}" for number in range(1, count + 1)]


def _balanced(truth: np.ndarray, seen: np.ndarray) -> float | None:
    """None where all examples are the same."""
    right = truth == seen
    groups = [right[truth == value] for value in (0, 1)]
    return None if any(len(group) == 0 for group in groups) else float(np.mean([_percent(g) for g in groups]))


def _means(rows: list[dict]) -> Numbers:
    means: Numbers = {}
    for name in rows[0]:
        known = [row[name] for row in rows if row[name] is not None]
        means[name] = float(np.mean(known)) if known else None
    return means


def _percent(right: np.ndarray) -> float:
    return 100 * float(np.mean(right))
