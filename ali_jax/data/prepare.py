"""A split of a TFDS data set, decoded into array files (`array_files`) by the first run that asks for it.

The files are written elsewhere and renamed as the very last step, so a decoded split is whole or absent. Of
several processes one decodes and the others wait. TensorFlow is imported inside functions only.
"""

import contextlib
import os
import shutil
import uuid
from pathlib import Path
from typing import Any

from ali_jax.data import array_files, decode, once, tfds_files
from ali_jax.data.decode import ImageSet
from ali_jax.data.splits import Split, check_split
from ali_jax.errors import UserError


def load(images: ImageSet, split: str, data_dir: str | None) -> Split:
    """A whole split, memory-mapped; the first time, decodes it, downloading the data set where need be.

    Raises:
      UserError: there is no such split, or the data cannot be had, are damaged, or cannot be written.
    """
    root = tfds_files.root_folder(data_dir)
    folder = tfds_files.decoded_folder(root, images.name, split)
    if folder is None or not folder.exists():
        folder = _prepare(root, images, split)
    return array_files.read(folder)


def _prepare(root: Path, images: ImageSet, split: str) -> Path:
    """Decodes a split unless another process does; returns its folder."""
    _require_tensorflow(root, images.name)
    try:
        builder = tfds_files.open_builder(root, images.name, images.by_hand)
        check_split(images.name, split, sorted(builder.info.splits))
        folder = tfds_files.decoded_folder(root, images.name, split)
        with once.locked(folder):
            if not folder.exists():
                _write(folder, images, builder, split)
    except OSError as error:
        raise UserError(
            f"Cannot write below {root / images.name} ({error.strerror or error}); make room or allow "
            "writing there, or set --config.data_dir to a folder of your own."
        ) from error
    return folder


def _require_tensorflow(root: Path, name: str) -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        import tensorflow as tf
        import tensorflow_datasets  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"{name} is not yet decoded below {root / name}, and decoding it needs `pip install "
            f"tensorflow tensorflow-datasets` ({error})."
        ) from error
    # JAX needs their memory, which TensorFlow would take whole.
    for kind in ("GPU", "TPU"):
        with contextlib.suppress(RuntimeError):  # already in use by the caller's own TensorFlow
            tf.config.set_visible_devices([], kind)


def _write(folder: Path, images: ImageSet, builder: Any, split: str) -> None:
    """Decodes the split into a temporary folder beside `folder`, which then becomes it."""
    import tensorflow as tf

    temporary = folder.parent / f".{folder.name}-{uuid.uuid4().hex}"
    temporary.mkdir()
    try:
        arrays = array_files.create(temporary, decode.specs(images, builder, split))
        _fill(arrays, images, builder, split)
        array_files.describe(temporary, arrays, f"{builder.info.full_name} {split}")
        once.publish(temporary, folder)
    except tf.errors.OpError as error:
        raise tfds_files.damaged(builder.data_path, error.message) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _fill(arrays: dict[str, Any], images: ImageSet, builder: Any, split: str) -> None:
    """Decodes every example of the split to its place in `arrays`."""
    from tqdm import tqdm

    size, done = len(arrays["x"]), 0
    with tqdm(total=size, desc=f"Decoding {images.name} {split}", unit=" images", disable=None) as bar:
        for rows, block in decode.blocks(images, builder, split):
            for field, array in arrays.items():
                array[rows] = block[field]
            done += len(rows)
            bar.update(len(rows))
    if done != size:
        raise tfds_files.damaged(builder.data_path, f"{split} has {done:,} of its {size:,} examples")
