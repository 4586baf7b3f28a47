"""Decodes a split of a TFDS data set, once, into array files that can be memory-mapped.

It alone imports TensorFlow, TFDS and Pillow, inside functions only. The files are x.npy, label.npy,
attributes.npy (those that the data set has) and meta.json, in the folder `splits.decoded_folder`.
"""

import contextlib
import json
import logging
import math
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ali_jax.data import splits
from ali_jax.errors import UserError, first_line

logger = logging.getLogger(__name__)

_BLOCK = 256  # examples moved at a time: 3 MB of 64x64 images


def decode(root: Path, name: str, split: str) -> Path:
    """Decodes a split, downloading the TFDS data set first where need be; returns its folder.

    It is written elsewhere and renamed as the very last step, so it is whole or absent. Of several processes
    one decodes and the others wait. `root` holds all TFDS data sets; `split` has no slice.

    Raises:
        UserError: the data cannot be had, are damaged, or cannot be written.
    """
    _require_tensorflow(root, name)
    try:
        builder = _builder(root, name)
        splits.check_split(name, split, sorted(builder.info.splits))
        folder = splits.decoded_folder(root, name, split)
        with _locked(folder):
            if not folder.exists():
                _decode_into(folder, builder, name, split)
    except OSError as error:
        raise UserError(
            f"Cannot write below {root / name} ({error.strerror or error}); make room or allow "
            "writing there, or set --config.data_dir to a folder of your own."
        ) from error
    return folder


# --- The TFDS data -------------------------------------------------------------------------------


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


def _builder(root: Path, name: str) -> Any:
    """The TFDS builder of the newest version on disk, downloaded if there is none."""
    import tensorflow_datasets as tfds

    if not _is_prepared(root, name):
        _download(root, name)
    folder = splits.version_folder(root, name)
    try:
        return tfds.builder_from_directory(folder)
    except Exception as error:  # TFDS raises whatever its libraries raise
        raise _damaged(folder, error) from error


def _is_prepared(root: Path, name: str) -> bool:
    folder = splits.version_folder(root, name)
    return folder is not None and (folder / "dataset_info.json").exists()


def _download(root: Path, name: str) -> None:
    import tensorflow_datasets as tfds

    if not root.is_dir() and root != splits.tfds_root(None):
        raise UserError(
            f"{root} is no folder; set --config.data_dir to the one that has {name}, or make it to have the "
            "data set downloaded there."
        )
    root.mkdir(parents=True, exist_ok=True)
    if not os.access(root, os.W_OK):
        raise PermissionError("no write access")
    failure: Exception = FileNotFoundError("only decoded files are there")
    try:
        builder = tfds.builder(name, data_dir=root)
        if not builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
            _require_network(next(iter(builder.url_infos)))
        builder.download_and_prepare()
    except Exception as error:
        failure = error
    if not _is_prepared(root, name):  # in spite of a failure it is, if another process prepared it
        raise _missing(root, name, failure) from failure


def _require_network(url: str) -> None:
    """Raises within seconds where TFDS itself would try again for minutes."""
    import requests

    try:
        requests.head(url, timeout=10)
    except requests.RequestException as error:
        raise ConnectionError(f"no connection to {url.split('/')[2]}") from error


def _missing(root: Path, name: str, reason: object) -> UserError:
    if name == "imagenet2012":
        remedy = (
            "put ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar from "
            f"https://image-net.org/download-images into {root}/downloads/manual and run again"
        )
    else:
        command = f"import tensorflow_datasets as tfds; tfds.builder('{name}').download_and_prepare()"
        remedy = (
            f'run `python -c "{command}"` on a machine with network and copy its '
            f"~/tensorflow_datasets/{name} to {root / name}"
        )
    return UserError(
        f"The data set {name} is not in {root} and could not be prepared there ({first_line(reason)}); "
        f"{remedy}, or set --config.data_dir to the folder that has it."
    )


def _damaged(folder: Path, reason: object) -> UserError:
    fault = f"The TFDS data in {folder} are damaged ({first_line(reason)})"
    return UserError(f"{fault}; delete that folder and run again, or copy it again from where it came.")


# --- Decoding ------------------------------------------------------------------------------------


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Holds the lock on writing `folder`; without one where the file system knows no locks.

    The lock dies with its process, so a temporary folder found by its next holder is of a dead run.
    """
    import fcntl

    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.with_suffix(".lock"), "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logger.info("waiting for another process that is decoding %s", folder)
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError:
            logger.info("no file locks below %s: decoding without one", folder.parent)
        else:
            for stale in folder.parent.glob(f".{folder.name}-*"):
                shutil.rmtree(stale, ignore_errors=True)
        yield


def _decode_into(folder: Path, builder: Any, name: str, split: str) -> None:
    import tensorflow as tf

    temporary = folder.parent / f".{folder.name}-{uuid.uuid4().hex}"
    temporary.mkdir()
    try:
        arrays = _create_arrays(temporary, builder, name, split)
        _fill(arrays, builder, name, split)
        _write_meta(temporary, arrays, builder, split)
        _publish(temporary, folder)
    except tf.errors.OpError as error:
        raise _damaged(builder.data_path, error.message) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _publish(temporary: Path, folder: Path) -> None:
    try:
        os.rename(temporary, folder)
    except OSError:
        if not folder.exists():  # else another process was first, and its files are as good
            raise


def _create_arrays(folder: Path, builder: Any, name: str, split: str) -> dict[str, np.ndarray]:
    """Array files for all examples of the split, one for each field that the data set has."""
    size, features = builder.info.splits[split].num_examples, builder.info.features
    specs = {"x": ((size, *splits.IMAGE_SHAPES[name]), np.uint8)}
    if "label" in features:
        specs["label"] = ((size,), np.int32)
    if "attributes" in features:
        specs["attributes"] = ((size, len(splits.CELEBA_ATTRIBUTES)), np.uint8)
    needed = sum(math.prod(shape) * np.dtype(dtype).itemsize for shape, dtype in specs.values())
    # Checked first because writing to a memory-mapped file on a full disk kills the process.
    if shutil.disk_usage(folder).free < 1.01 * needed:
        raise OSError(f"no room for {needed / 1e9:.1f} GB")
    return {
        field: np.lib.format.open_memmap(folder / f"{field}.npy", "w+", dtype, shape)
        for field, (shape, dtype) in specs.items()
    }


def _fill(arrays: dict[str, np.ndarray], builder: Any, name: str, split: str) -> None:
    """Decodes every example of the split to its place in `arrays`."""
    from tqdm import tqdm

    size, done = len(arrays["x"]), 0
    places = _places(builder, split, size)
    with tqdm(total=size, desc=f"Decoding {name} {split}", unit=" images", disable=None) as bar:
        for block in _blocks(builder, name, split):
            rows = places[done : done + len(block["x"])]
            for field, array in arrays.items():
                array[rows] = block[field]
            done += len(rows)
            bar.update(len(rows))
    if done != size:
        raise _damaged(builder.data_path, f"{split} has {done:,} of its {size:,} examples")


def _places(builder: Any, split: str, size: int) -> np.ndarray:
    """The row of each example of the TFDS files: its rank by `id` or, without one, its place in the files."""
    if "id" not in builder.info.features:
        return np.arange(size)
    dataset = _dataset(builder, split, decode_images=False).map(lambda example: example["id"]).batch(_BLOCK)
    ids = np.concatenate([np.empty(0, "S"), *(block.astype("S") for block in dataset.as_numpy_iterator())])
    return np.argsort(np.argsort(ids, kind="stable"))


def _blocks(builder: Any, name: str, split: str) -> Iterator[dict[str, np.ndarray]]:
    """Decoded examples in the order of the TFDS files: "x" (B, H, W, C), "label", "attributes"."""
    import tensorflow as tf

    resize, shape = _RESIZE.get(name), splits.IMAGE_SHAPES[name]

    def fields(example: dict[str, Any]) -> dict[str, Any]:
        image = tf.numpy_function(resize, [example["image"]], tf.uint8) if resize else example["image"]
        row = {"x": tf.ensure_shape(image, shape)}
        if "label" in example:
            row["label"] = tf.cast(example["label"], tf.int32)
        if "attributes" in example:
            named = [example["attributes"][attribute] for attribute in splits.CELEBA_ATTRIBUTES]
            row["attributes"] = tf.cast(tf.stack(named), tf.uint8)
        return row

    dataset = _dataset(builder, split).map(fields, num_parallel_calls=tf.data.AUTOTUNE)
    return dataset.batch(_BLOCK).prefetch(1).as_numpy_iterator()


def _dataset(builder: Any, split: str, decode_images: bool = True) -> Any:
    import tensorflow_datasets as tfds

    # One file after the other, so that the first n examples are those of the TFDS slice [:n].
    in_order = tfds.ReadConfig(interleave_cycle_length=1)
    decoders = None if decode_images else {"image": tfds.decode.SkipDecoding()}
    return builder.as_dataset(split, shuffle_files=False, read_config=in_order, decoders=decoders)


def _write_meta(folder: Path, arrays: dict[str, np.ndarray], builder: Any, split: str) -> None:
    described = {}
    for field, array in arrays.items():
        array.flush()
        size = (folder / f"{field}.npy").stat().st_size
        described[field] = {"shape": array.shape, "dtype": array.dtype.name, "bytes": size}
    meta = {"format": splits.FORMAT, "source": f"{builder.info.full_name} {split}", "arrays": described}
    (folder / "meta.json").write_text(json.dumps(meta) + "\n")


def resize_celeba(image: np.ndarray) -> np.ndarray:
    """(218, 178, 3) -> (64, 64, 3): the official 64 wide x 78 high, then rows 7 to 70."""
    from PIL import Image

    small = Image.fromarray(image).resize((64, 78), Image.Resampling.LANCZOS)
    return np.asarray(small.crop((0, 7, 64, 71)))


def resize_imagenet(image: np.ndarray) -> np.ndarray:
    """(H, W, 3) -> (64, 64, 3): shorter side to 64, centre crop; [choice] ours."""
    from PIL import Image

    height, width = image.shape[:2]
    scale = 64 / min(height, width)
    width, height = max(64, round(width * scale)), max(64, round(height * scale))
    left, top = (width - 64) // 2, (height - 64) // 2
    resized = Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(resized.crop((left, top, left + 64, top + 64)))


_RESIZE = {"celeb_a": resize_celeba, "imagenet2012": resize_imagenet}
