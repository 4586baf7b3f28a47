"""The labelled splits of programs that compare features by how well they tell classes apart."""

import numpy as np
from ml_collections import ConfigDict

from ali_jax import data
from ali_jax.data.labels import with_label
from ali_jax.errors import UserError
from experiments.common import trained_runs


def names(values) -> tuple[str, str]:
    """The splits that the flags name, by default those that data sets publish."""
    return values.train_split or "train", values.test_split or "test"


def load(config: ConfigDict, names: tuple[str, str]) -> tuple[data.Split, data.Split]:
    """The examples of --train_split and of --test_split, which are the `names`.

    Raises:
      UserError: they have no labels, or the training examples a single one.
    """
    train_split, test = (trained_runs.examples(config, name) for name in names)
    if train_split.label is None or test.label is None:
        raise UserError(
            f"{config.dataset} has no labels to compare; pass the --workdir of a run on a labelled data set."
        )
    train_split, test = with_label(train_split), with_label(test)
    for name, split in zip(names, (train_split, test), strict=True):
        if not len(split.x):
            raise UserError(f"No example of {name} has a label that is known; name another split.")
    if len(np.unique(train_split.label)) < 2:
        raise UserError(f"The examples of --train_split={names[0]} are of one class; name a larger split.")
    trained_runs.refuse_overlap(names, (train_split, test))
    return train_split, test


def describe(
    config: ConfigDict, names: tuple[str, str], splits: tuple[data.Split, data.Split]
) -> dict[str, str]:
    """`trained_runs.describe` of both splits of `load`."""
    described = map(trained_runs.describe, (config, config), names, splits)
    return dict(zip(("train", "test"), described, strict=True))
