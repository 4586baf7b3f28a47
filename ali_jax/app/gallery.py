"""The images that a page knows: of a data set, or the model's own samples, with what is known of them."""

from typing import NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from ali_jax import data, examples, inference
from ali_jax.data import attribute_files, image_folder, splits, tfds_files, tfds_sets
from ali_jax.data.labels import UNLABELLED
from ali_jax.errors import UserError
from ali_jax.paths import local
from ali_jax.run import images

SAMPLES = 1000  # where there are no images
MOST_CLASSES = 40  # more get no names, and so no directions

CLASSES = {  # names of labels that are not their numbers
    "cifar10": "airplane automobile bird cat deer dog frog horse ship truck".split(),
    "fashion_mnist": "T-shirt trouser pullover dress coat sandal shirt sneaker bag boot".split(),
}


class Gallery(NamedTuple):
    """Images as the model takes them, and what is known of each."""

    x: np.ndarray  # uint8 (N, H, W, C)
    label: np.ndarray | None  # int (N,)
    attributes: np.ndarray | None  # uint8 (N, A)
    classes: tuple[str, ...]  # names of labels, from 0; none where there are no labels, or too many
    columns: tuple[str, ...]  # names of attributes
    source: str  # in words

    def class_of(self, row: int) -> str:
        """The name of an image's class; "" where it has none."""
        return self.classes[self.label[row]] if self.classes and self.label[row] != UNLABELLED else ""

    def groups(self) -> dict[str, dict[str, np.ndarray]]:
        """ "classes" and "attributes", where there are any: name -> bool (N,), of the images that have it."""
        classes = {name: self.label == k for k, name in enumerate(self.classes)}
        attributes = {name: self.attributes[:, k] == 1 for k, name in enumerate(self.columns)}
        return {
            title: groups for title, groups in (("classes", classes), ("attributes", attributes)) if groups
        }


def load(
    model: inference.Model,
    config: ConfigDict,
    asked: str | None = None,
    split: str | None = None,
    most: int = 5000,
) -> Gallery:
    """At most so many images, evenly spaced in their split, or samples of G.

    Args:
      config: of the model.
      asked: a data set as in config.dataset, or the path of a folder or of a file of arrays. None: the
        model's own data set where it is on this machine, else samples.
      split: of the data set. None: what the model was trained on, or "train" of another set.

    Raises:
      UserError: the data set that was asked for is not there, or holds no images that the model takes.
    """
    if asked is None and not split:
        try:
            return _of_own(config, most)
        except UserError as error:
            return _samples(model, config, str(error))
    dataset = config.dataset if asked is None else dataset_named(asked)
    return _of_data(config, dataset, split or _usual_split(config, dataset), most)


def dataset_named(asked: str) -> str:
    """ "images:photos" of the path of a folder, "arrays:x.npz" of that of a file; a name as it is."""
    if asked in data.SETS or asked.startswith(tuple(f"{kind}:" for kind in data.OWN)):
        return asked
    path = local(asked, "The path")
    if path.suffix in (".npy", ".npz"):
        return f"arrays:{path}"
    return f"images:{path}" if path.is_dir() or "/" in asked else asked


def _usual_split(config: ConfigDict, dataset: str) -> str:
    return config.train_split if dataset == config.dataset else "train"


def _of_own(config: ConfigDict, most: int) -> Gallery:
    """Of the model's own data set; a UserError where it is not on this machine, as nothing is downloaded."""
    if config.dataset in tfds_sets.SETS:
        root = tfds_files.root_folder(config.data_dir)
        if tfds_files.version_folder(root, config.dataset) is None:
            raise UserError(f"{config.dataset} is not in {root}.")
    return _of_data(config, config.dataset, config.train_split, most)


def _of_data(config: ConfigDict, dataset: str, split: str, most: int) -> Gallery:
    whole = data.load(dataset, split, config.data_dir, examples.frame(config))
    if dataset == config.dataset:
        whole = examples.of_classes(whole, tuple(config.classes), dataset)
    _require_fit(config, dataset, whole)
    rows = np.unique(np.linspace(0, len(whole.x) - 1, most).astype(int))
    found = data.take(whole, rows)
    classes, columns = _names(dataset, split, found)
    counted = f"{len(rows):,} of the " * (len(rows) < len(whole.x)) + f"{len(whole.x):,} images"
    return Gallery(*found, classes, columns, f"{counted} of {dataset}, split {split}")


def _require_fit(config: ConfigDict, dataset: str, split: data.Split) -> None:
    """Raises UserError where the model cannot take these examples."""
    shape, wanted = split.x.shape[1:], tuple(config.model.x_shape)
    if shape != wanted:
        raise UserError(
            f"Examples of {dataset} have the shape {shape}, and the model takes {wanted}; pass --images of "
            "such a data set, or of a folder, whose images are brought to it."
        )
    count = 0 if split.attributes is None else split.attributes.shape[1]
    if config.model.num_attributes not in (0, count):
        raise UserError(
            f"The model is conditional on {config.model.num_attributes} attributes, and {dataset} has {count}"
            "; pass --images of a data set that has them."
        )


def _names(dataset: str, split: str, found: data.Split) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the classes and of the attributes."""
    classes = [] if found.label is None else CLASSES.get(dataset) or range(int(found.label.max()) + 1)
    columns = [] if found.attributes is None else range(1, found.attributes.shape[1] + 1)
    if dataset == "celeb_a":
        columns = [name.replace("_", " ") for name in data.CELEBA_ATTRIBUTES]
    kind, _, path = dataset.partition(":")
    if kind == "images":
        root = local(path, "The folder").absolute()
        listing = image_folder.list_split(root, dataset, splits.parse(split)[0].base)
        classes = listing.classes
        columns = attribute_files.read(listing.table).columns if listing.table else []
    if len(classes) > MOST_CLASSES:
        classes = []
    return tuple(map(str, classes)), tuple(map(str, columns))


def _samples(model: inference.Model, config: ConfigDict, why: str) -> Gallery:
    """G(z) of draws of z; of a conditional model, without any attribute."""
    count = config.model.num_attributes
    attributes = np.zeros((SAMPLES, count), np.uint8) if count else None
    x = images.to_uint8(inference.sample(model, jax.random.key(0), SAMPLES, attributes))
    names = data.CELEBA_ATTRIBUTES if config.dataset == "celeb_a" else range(1, count + 1)
    columns = tuple(str(name).replace("_", " ") for name in names) if count else ()
    return Gallery(x, None, attributes, (), columns, f"{SAMPLES:,} samples of the model ({why.rstrip('.')})")
