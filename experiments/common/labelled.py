"""The labelled splits of programs that compare features by how well they tell classes apart."""

import numpy as np
from absl import flags
from ml_collections import ConfigDict

from ali_jax import data
from ali_jax.errors import UserError
from experiments.common import workdirs

flags.DEFINE_string("train_split", "train", "Labelled examples to learn from.")
flags.DEFINE_string("test_split", "test", "Labelled examples to score on.")


def load(config: ConfigDict) -> tuple[data.Split, data.Split]:
    """The examples of --train_split and of --test_split.

    Raises:
      UserError: they have no labels, or the training examples a single one.
    """
    train_split, test = (workdirs.examples(config, name) for name in names())
    if train_split.label is None or test.label is None:
        raise UserError(
            f"{config.dataset} has no labels to compare; pass the --workdir of a run on a labelled data set."
        )
    if len(np.unique(train_split.label)) < 2:
        raise UserError(f"The examples of --train_split={names()[0]} are of one class; name a larger split.")
    return train_split, test


def describe(config: ConfigDict, splits: tuple[data.Split, data.Split]) -> dict[str, str]:
    """`workdirs.describe` of both splits of `load`."""
    described = map(workdirs.describe, (config, config), names(), splits)
    return dict(zip(("train", "test"), described, strict=True))


def names() -> tuple[str, str]:
    return flags.FLAGS.train_split, flags.FLAGS.test_split
