"""Names -> splits of arrays; deterministic, step-addressable batches of them.

A data set is a row of a table: `offline.SETS` for those that need no download, `tfds_sets.SETS` for those of
TFDS. The head of either module says how to add one; nothing outside that module changes. Those of the user's
own are named by what they are and where: "images:FOLDER" (`image_folder`), "arrays:FILE" (`array_sets`).

Reading a split takes neither TensorFlow nor TFDS. The first use of a split of TFDS decodes it (`prepare`,
which needs TensorFlow), and so does that of the user's own images (`own`); from then on it is a few
memory-mapped array files beside the data (`array_files`).
"""

import functools
import logging
from collections.abc import Callable, Mapping

from ali_jax.data import array_sets, image_folder, offline, splits, tfds_sets
from ali_jax.data.batches import Batches
from ali_jax.data.offline import MIXTURES, Gaussians
from ali_jax.data.pictures import Frame
from ali_jax.data.splits import Split, take
from ali_jax.data.tfds_sets import CELEBA_ATTRIBUTES
from ali_jax.errors import UserError

__all__ = [
    "CELEBA_ATTRIBUTES",
    "MIXTURES",
    "OWN",
    "SETS",
    "Batches",
    "Frame",
    "Gaussians",
    "Split",
    "load",
    "load_roles",
    "take",
]

logger = logging.getLogger(__name__)

# name -> function of a whole split's name and the data_dir of `load`
SETS: dict[str, Callable[[str, str | None], Split]] = {**tfds_sets.SETS, **offline.SETS}

# What stands before the colon of the name -> function of what stands behind it, a whole split's name, the
# data_dir and the frame of `load`; it returns the split and the row at which a percentage of it is.
OWN: dict[str, Callable[[str, str, str | None, Frame | None], tuple[Split, Callable[[int], int]]]] = {
    "images": image_folder.load,
    "arrays": array_sets.load,
}


def load(name: str, split: str, data_dir: str | None = None, frame: Frame | None = None) -> Split:
    """The examples of a split such as "train", "train[:45000]", "train[90%:]" or "train+extra".

    Slices are those of TFDS. Where TFDS has an `id` (cifar10, svhn_cropped), examples are sorted by it, so
    that "train[:45000]" of CIFAR-10 is the first 45,000 images of the original files; elsewhere the order is
    that of the TFDS files (`shuffle_files=False`). The user's own come in an order that only the name of each
    determines (`own.key_of`), and a percentage is one of names: "train[:90%]" keeps what it has when others
    are added. A sum of splits is a copy in memory.

    Args:
      name: one of `SETS`, or "images:FOLDER" or "arrays:FILE".
      split: the split, a slice of it, or a sum of both.
      data_dir: where TFDS keeps its data; None for $TFDS_DATA_DIR or ~/tensorflow_datasets. Of the user's
        own, where they are kept decoded; None for a folder `.ali_jax` beside them.
      frame: what the user's own images are made into; the others are as they are.

    Raises:
      UserError: name, split or slice do not exist, or the data are missing or damaged.
    """
    return load_roles(name, {"": split}, data_dir, frame)[""]


def load_roles(
    name: str, texts: Mapping[str, str], data_dir: str | None = None, frame: Frame | None = None
) -> dict[str, Split]:
    """Several splits, by what they are for, as `load` has them, for which no whole one is read twice.

    Examples of "train" that are in another, too, are warned of: by them a model is judged on what it has
    learned by heart.
    """
    if not isinstance(name, str):
        raise UserError(f"The name of a data set is a string, and this is a {type(name).__name__}.")
    parts = {role: splits.parse(text) for role, text in texts.items()}
    read = functools.cache(lambda base: _load_whole(name, base, data_dir, frame))

    def rows_of(part: splits.Part) -> slice:
        whole, row_at = read(part.base)
        return part.rows(name, len(whole.x), row_at)

    rows = {role: [(part.base, rows_of(part)) for part in parts[role]] for role in parts}
    for role in [role for role in rows if "train" in rows and role != "train"]:
        if common := splits.count_common(rows["train"], rows[role]):
            logger.warning(
                "%d examples of %s are in the training split, %r, and in the %s split, %r: by these a model "
                "is judged on what it was trained on.",
                *(common, name, texts["train"], role, texts[role]),
            )
    return {role: splits.join([take(read(base)[0], within) for base, within in rows[role]]) for role in rows}


def _load_whole(
    name: str, base: str, data_dir: str | None, frame: Frame | None
) -> tuple[Split, Callable[[int], int] | None]:
    """A whole split, and the row at which a percentage of it is, if it is not in proportion."""
    if name in SETS:
        return splits.require_split(SETS[name](base, data_dir), name), None
    kind, colon, path = name.partition(":")
    if kind not in OWN or not colon:
        known = ", ".join([*SETS, *(f"{kind}:PATH" for kind in OWN)])
        raise UserError(f"There is no data set {name!r}; choose one of {known}.")
    if not path:
        raise UserError(f"The data set {name!r} names no path; write it behind the colon, as in {name}PATH.")
    return OWN[kind](path, base, data_dir, frame)
