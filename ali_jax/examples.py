"""The examples that a config asks for, as its networks want them, and the batches they come in."""

import zlib
from collections.abc import Mapping

import numpy as np
from ml_collections import ConfigDict

from ali_jax import config as config_lib
from ali_jax import data
from ali_jax.data import labels
from ali_jax.data.splits import require_split
from ali_jax.errors import UserError

FARTHEST = 300  # times their spread; at 1,000 batch normalisation is off by 7 %, at 3,000 it is of no use


def load_splits(config: ConfigDict) -> dict[str, data.Split]:
    """The examples of the config by role: "train", "validation" and, where it names one, "test"."""
    names = {role: config[f"{role}_split"] for role in ("train", "validation", "test")}
    if not names["test"]:
        del names["test"]
    return data.load_roles(config.dataset, names, config.data_dir, frame(config))


def all_fit(config: ConfigDict, given: Mapping[str, data.Split] | None = None) -> dict[str, data.Split]:
    """The examples by role, `given` or those that the config names, as the networks want them; see `fit`."""
    if given is None:
        splits = load_splits(config)
    else:
        splits = {role: require_split(split, config.dataset) for role, split in given.items()}
    for role in ("train", "validation"):
        if role not in splits:
            raise UserError(f'The splits are {", ".join(splits) or "none"}; pass "train" and "validation".')
    for role, split in splits.items():
        bad = None if role == "train" else not_finite(split.x)  # of training examples a loss says so
        if bad is not None:
            raise UserError(
                f"Example {bad} (from 0) of the split {role} of {config.dataset} holds NaN or infinite "
                "numbers; leave it out."
            )
        if not len(split.x):
            raise UserError(f"The split {role} of {config.dataset} has no examples; pass some.")
        if config.num_labels and split.label is not None and not len(labels.known_rows(split.label)):
            raise UserError(
                f"No example of the split {role} of {config.dataset} has a label, by which classes are "
                "learned or judged; name a split in which some have."
            )
    splits = {role: fit(split, config, role) for role, split in splits.items()}
    if config.num_labels:
        _require_classes_of_training(splits, config.dataset)
    return splits


def _require_classes_of_training(splits: Mapping[str, data.Split], dataset: str) -> None:
    """Raises UserError for an example of a class that D does not learn, which would count as a mistake."""
    most = {role: int(np.max(split.label)) for role, split in splits.items()}
    for role, label in most.items():
        if label > most["train"]:
            raise UserError(
                f"An example of the split {role} of {dataset} has the label {label}, and D learns the "
                f"classes 0 to {most['train']} of the training examples; leave its class out of {role}, or "
                "train on some of it."
            )


def not_finite(x: np.ndarray) -> int | None:
    """The number of the first example of which a value is NaN or infinite."""
    if x.dtype == np.uint8:
        return None
    bad = (row for row, example in enumerate(x) if not np.isfinite(np.asarray(example, np.float32)).all())
    return next(bad, None)


def load(config: ConfigDict, split: str) -> data.Split:
    """A split of the config's data set; images of the user's own come in the shape of its networks."""
    return data.load(config.dataset, split, config.data_dir, frame(config))


def fingerprint(split: data.Split, labelled: np.ndarray | None = None) -> dict[str, int]:
    """By which examples are known again: their `count`, and a checksum of 1,000 among them.

    Also checksums of the labels that training sees, of the `labelled` rows, and of attributes, where it does.
    """
    rows = np.unique(np.linspace(0, len(split.x) - 1, 1000).astype(int))
    known = {"count": len(split.x), "crc32": _checksum(split.x[rows])}
    if labelled is not None:
        known["labels_crc32"] = _checksum(np.asarray(split.label)[labelled].astype(np.int32))
    if split.attributes is not None:
        known["attributes_crc32"] = _checksum(split.attributes[rows].astype(np.uint8))
    return known


def _checksum(array: np.ndarray) -> int:
    return zlib.crc32(np.ascontiguousarray(array).tobytes())


def frame(config: ConfigDict) -> data.Frame:
    """How images of the user's own are brought to the shape that the networks take."""
    return data.Frame(tuple(config.model.x_shape), **config.images)


def fit(split: data.Split, config: ConfigDict, role: str | None = None) -> data.Split:
    """The split as the networks want it, of config.classes alone; a UserError where they cannot take it.

    Args:
      role: by which an error names it among others of the data set.
    """
    if config.classes or config.num_labels:
        _require_labels(split.label, config.dataset)
    split = of_classes(split, tuple(config.classes), config.dataset)
    if split.x.shape[1:] != tuple(config.model.x_shape):
        raise UserError(
            f"Examples of {config.dataset} have the shape {split.x.shape[1:]}, but "
            f"config.model.x_shape is {tuple(config.model.x_shape)}; pass the config of this data set."
        )
    if config.num_labels and split.label is None:
        raise UserError(
            f"config.num_labels is {config.num_labels}, and {f'the split {role} of ' if role else ''}"
            f"{config.dataset} has no labels; pass data that have: of images of your own, folders of classes "
            "with no image outside them, or an array y."
        )
    if config.num_labels:
        split = split._replace(label=np.asarray(split.label, np.int32))
    _require_near(split.x, config.dataset)
    if not config.model.num_attributes:
        return split._replace(attributes=None)
    if split.attributes is None:
        raise UserError(
            f"config.model is conditional on attributes, and {config.dataset} has none; use celeb_a, images "
            "of your own with their table (README.md), or a config without attributes."
        )
    _require_attributes(split.attributes, config)
    return split


def _require_attributes(attributes: np.ndarray, config: ConfigDict) -> None:
    """Raises UserError for attributes that the networks were not made for."""
    if attributes.ndim != 2:
        raise UserError(
            f"The attributes of {config.dataset} have the shape {attributes.shape}; make them (N, A), a row "
            "for each example."
        )
    if attributes.shape[1] != config.model.num_attributes:
        raise UserError(
            f"config.model.num_attributes is {config.model.num_attributes}, but {config.dataset} has "
            f"{attributes.shape[1]}; it must be that."
        )
    low, high = np.min(attributes), np.max(attributes)
    if not (low >= 0 and high <= 1):  # NaN is neither
        raise UserError(
            f"The attributes of {config.dataset} are from {low:g} to {high:g}; they must be zeros and ones."
        )


def _require_labels(label: np.ndarray | None, dataset: str) -> None:
    """Raises UserError for labels that are no numbers of classes, where some are read."""
    if label is None:
        return
    if label.ndim != 1 or label.dtype.kind not in "iu":
        raise UserError(
            f"The labels of {dataset} are {label.dtype} of shape {label.shape}; make them int32, (N,), "
            "classes from 0."
        )
    if len(label) and np.max(label) > np.iinfo(np.int32).max:
        raise UserError(f"A label of {dataset} is {np.max(label)}; make labels int32, classes from 0.")
    if len(label) and (least := int(np.min(label))) < labels.UNLABELLED:
        raise UserError(
            f"A label of {dataset} is {least}; make labels classes from 0, and {labels.UNLABELLED} where the "
            "class is not known."
        )


def _require_near(x: np.ndarray, dataset: str) -> None:
    """Raises UserError for points so far from 0 that float32 holds little of where they are.

    Batch normalisation of what a layer makes of them takes the mean of the squares less the square of the
    mean, of which rounding leaves nothing.
    """
    if x.ndim != 2 or x.dtype == np.uint8 or not len(x):
        return
    sample = np.asarray(x[:: -(-len(x) // 1000)], np.float64)
    away, spread = np.linalg.norm(sample.mean(axis=0)), np.linalg.norm(sample.std(axis=0))
    if spread and away > FARTHEST * spread:
        raise UserError(
            f"The examples of {dataset} are {away / spread:,.0f} times as far from 0 as they spread; "
            "subtract their mean, and divide by their standard deviation."
        )


def of_classes(split: data.Split, classes: tuple[int, ...], dataset: str) -> data.Split:
    """The examples of these classes, copied, or with () all of them as they are; labels stay what they are.

    Raises:
      UserError: there are no labels, or no example of a class.
    """
    if not classes:
        return split
    if split.label is None:
        raise UserError(f"config.classes is {classes}, and {dataset} has no labels; set it to ().")
    there = np.setdiff1d(split.label, labels.UNLABELLED)
    for k in classes:
        if k not in there:
            raise UserError(
                f"config.classes is {classes}, and {dataset} has no examples of class {k}, only of "
                f"{', '.join(map(str, there))}; choose of these."
            )
    return data.take(split, np.flatnonzero(np.isin(split.label, classes)))


def labelled_examples(config: ConfigDict, split: data.Split) -> np.ndarray | None:
    """Which training examples keep their labels; None in a game without labels."""
    if not config.num_labels:
        return None
    logits = config_lib.num_logits(config)
    classes = int(np.max(split.label)) + 1
    if not classes:
        raise UserError(f"No example of {config.dataset} has a label; pass some that have one.")
    absent = np.setdiff1d(np.arange(classes), split.label)
    if len(absent):
        raise UserError(
            f"{config.dataset} has no examples of class {absent[0]}, but of class {classes - 1}; number its "
            "classes from 0 without gaps, or name a larger split."
        )
    if logits != classes:
        further = f"; if there is a class {classes}, name a split that has it" if logits > classes else ""
        raise UserError(
            f"The last row of config.model.discriminator_joint has {logits} features; for {config.dataset} "
            f"with labels it needs {classes}, one for each class of its training examples (with "
            f"configs/images.py, classes={classes}){further}."
        )
    return labels.labelled_rows(split.label, config.num_labels, config.label_seed)


def open_batches(
    config: ConfigDict,
    split: data.Split,
    labelled: np.ndarray | None,
    process_index: int = 0,
    process_count: int = 1,
) -> data.Batches | labels.MixedBatches:
    """A process's share of the batches, by step; of labelled examples alone where they fill a batch."""
    process = (config.seed, process_index, process_count)
    if labelled is None:
        # Labels that no term of the game wants never reach it.
        return data.Batches(split._replace(label=None), config.batch_size, *process)
    if config.labelled_batch_size == config.batch_size:
        known = labels.as_often(labelled, config.batch_size)
        return data.Batches(split, config.batch_size, *process, rows=known)
    sizes = (config.batch_size, config.labelled_batch_size)
    return labels.MixedBatches(split, labelled, *sizes, *process)
