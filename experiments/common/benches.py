"""What models are measured on, opened as the flags of a program ask for it; see `quality.Bench`."""

from pathlib import Path

import numpy as np
from ml_collections import ConfigDict

from ali_jax import data, examples
from ali_jax.data.labels import with_label
from ali_jax.errors import UserError
from experiments.common import distances, quality, referee, referee_files, trained_runs

LEAST = distances.NEIGHBOURS + 1  # images of a split


def open_bench(config: ConfigDict, values, file: Path) -> tuple[quality.Bench, dict]:
    """(the bench, its description for results.json).

    Args:
      config: of a run on the data set.
      values: of the flags train_split, test_split, examples and seed.
      file: of the referee, see `referee_files.obtain`.

    Raises:
      UserError: the splits hold no images, too few, or nothing that a referee could learn.
    """
    names = values.train_split or config.train_split, values.test_split or config.validation_split
    # With attributes, whether the model is conditional on them or not.
    splits = [
        with_label(examples.of_classes(examples.load(config, name), tuple(config.classes), config.dataset))
        for name in names
    ]
    learn, judged = (choose(split, max(values.examples, LEAST), values.seed) for split in splits)
    refuse_unfit(config, names, splits, learn)
    trained = referee_files.obtain(file, config, names[0], splits[0])
    described = map(trained_runs.describe, (config, config), names, splits)
    return quality.prepare(learn, judged, trained, values.seed), {
        "data": dict(zip(("learned_from", "judged"), described, strict=True)),
        "examples": {"learned_from": len(learn.x), "judged": len(judged.x)},
        # Two that are trained alike on two machines are two.
        "referee": trained.settings._asdict() | {"checksum": referee_files.checksum(trained)},
    }


def refuse_unfit(
    config: ConfigDict, names: tuple[str, str], splits: list[data.Split], learn: data.Split
) -> None:
    """Raises UserError where splits are none of images, too small, of other things, or of the same images.

    Args:
      learn: the examples of the first split that are drawn to learn from.
    """
    for name, split in zip(names, splits, strict=True):
        trained_runs.refuse_points(config, split)
        if len(split.x) < LEAST:
            raise UserError(
                f"The {len(split.x)} images of {name} are too few to measure; name a larger split."
            )
    teaches, asks = (None if (of := referee.targets(split)) is None else of[0] for split in splits)
    if teaches and teaches != asks:
        raise UserError(
            f"The images of {names[0]} have {teaches}, and those of {names[1]} {asks or 'neither'}, so that "
            "what a referee learns cannot be asked there; name other splits."
        )
    if teaches == "classes" and len(np.unique(splits[0].label)) < 2:
        raise UserError(
            f"The images of {names[0]} are of one class, of which a referee learns nothing; name another "
            "split. experiments.figures and experiments.scores need no referee of classes."
        )
    if teaches == "classes" and len(np.unique(learn.label)) < 2:
        raise UserError(
            f"The {len(learn.x)} images that are drawn of {names[0]} are of one class; raise --examples."
        )
    trained_runs.refuse_overlap(names, splits)


def choose(split: data.Split, count: int, seed: int) -> data.Split:
    """At most `count` examples at random, in the order they have."""
    rows = np.random.default_rng(seed).permutation(len(split.x))[:count]
    return data.take(split, np.sort(rows))
