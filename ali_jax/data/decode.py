"""Examples of a TFDS data set -> blocks of rows, in memory; TensorFlow is imported inside functions only."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

_BLOCK = 256  # examples moved at a time: 3 MB of 64x64 images


class ImageSet(NamedTuple):
    """A data set of TFDS, and how its examples become rows."""

    name: str  # in TFDS
    shape: tuple[int, int, int]  # of a decoded image: height, width, channels
    resize: Callable[[np.ndarray], np.ndarray] | None = None  # to that shape, of images of another one
    attributes: tuple[str, ...] = ()  # names of the binary attributes to keep, in order
    by_hand: str = ""  # files that TFDS cannot download by itself, and where to get them


def specs(images: ImageSet, builder: Any, split: str) -> dict[str, tuple[tuple[int, ...], type]]:
    """The shape and the dtype of each field that the split has, all examples together."""
    size = builder.info.splits[split].num_examples
    fields = {"x": ((size, *images.shape), np.uint8)}
    if "label" in builder.info.features:
        fields["label"] = ((size,), np.int32)
    if images.attributes:
        fields["attributes"] = ((size, len(images.attributes)), np.uint8)
    return fields


def blocks(images: ImageSet, builder: Any, split: str) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
    """All examples, in the order of the TFDS files: (row numbers (B,), the fields of `specs`, (B, ...) each).

    Raises:
      tf.errors.OpError: the files are damaged.
    """
    import tensorflow as tf

    def fields(example: dict[str, Any]) -> dict[str, Any]:
        image = example["image"]
        if images.resize:
            image = tf.numpy_function(images.resize, [image], tf.uint8)
        row = {"x": tf.ensure_shape(image, images.shape)}
        if "label" in example:
            row["label"] = tf.cast(example["label"], tf.int32)
        if images.attributes:
            named = [example["attributes"][attribute] for attribute in images.attributes]
            row["attributes"] = tf.cast(tf.stack(named), tf.uint8)
        return row

    rows, start = _rows(builder, split), 0
    dataset = _dataset(builder, split).map(fields, num_parallel_calls=tf.data.AUTOTUNE)
    for block in dataset.batch(_BLOCK).prefetch(1).as_numpy_iterator():
        stop = start + len(block["x"])
        yield rows[start:stop], block
        start = stop


def _rows(builder: Any, split: str) -> np.ndarray:
    """The row of each example of the TFDS files: its rank by `id` or, without one, its place in the files."""
    if "id" not in builder.info.features:
        return np.arange(builder.info.splits[split].num_examples)
    dataset = _dataset(builder, split, decode_images=False).map(lambda example: example["id"]).batch(_BLOCK)
    ids = np.concatenate([np.empty(0, "S"), *(block.astype("S") for block in dataset.as_numpy_iterator())])
    return np.argsort(np.argsort(ids, kind="stable"))


def _dataset(builder: Any, split: str, decode_images: bool = True) -> Any:
    import tensorflow_datasets as tfds

    # One file after the other, so that the first n examples are those of the TFDS slice [:n].
    in_order = tfds.ReadConfig(interleave_cycle_length=1)
    decoders = None if decode_images else {"image": tfds.decode.SkipDecoding()}
    return builder.as_dataset(split, shuffle_files=False, read_config=in_order, decoders=decoders)
