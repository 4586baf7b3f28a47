"""Small data sets of TFDS: the official builders write a handful of made-up examples."""

from pathlib import Path

import numpy as np
import pytest

tfds = pytest.importorskip("tensorflow_datasets", reason="tensorflow-datasets is not installed")
pytest.importorskip("tensorflow", reason="TensorFlow is not installed")


def write_tfds(root: Path, name: str, contents: dict[str, list[dict]]):
    """Has the official builder of `name` write these examples of each split; returns the builder."""
    builder = tfds.builder(name, data_dir=root)
    builder._split_generators = lambda *_args, **_kwargs: {
        split: iter(enumerate(examples)) for split, examples in contents.items()
    }
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(compute_stats="skip", try_download_gcs=False)
    )
    return tfds.builder_from_directory(builder.data_dir)


def pictures(size: int, *shape: int) -> np.ndarray:
    """(size, *shape) of noise, the same each time."""
    return np.random.default_rng(0).integers(256, size=(size, *shape), dtype=np.uint8)


def digit_examples(size: int) -> list[dict]:
    return [{"image": image, "label": i % 10} for i, image in enumerate(pictures(size, 28, 28, 1))]
