"""Decoding, with the official TFDS builders writing a handful of synthetic examples."""

import json
import os
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest

from ali_jax import data
from ali_jax.data import prepare, splits
from ali_jax.errors import UserError

tfds = pytest.importorskip("tensorflow_datasets", reason="tensorflow-datasets is not installed")
pytest.importorskip("tensorflow", reason="TensorFlow is not installed")

REPOSITORY = Path(__file__).parent.parent
SHARED = REPOSITORY.parent / "shared/data/prepare_tfds.py"


def write_tfds(root: Path, name: str, contents: dict[str, list[dict]]) -> Path:
    """Has the official builder write these examples; returns the version folder."""
    builder = tfds.builder(name, data_dir=root)
    builder._split_generators = lambda *_args, **_kwargs: {
        split: iter(enumerate(examples)) for split, examples in contents.items()
    }
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(compute_stats="skip", try_download_gcs=False)
    )
    return Path(builder.data_dir)


def pictures(size: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(256, size=(size, *shape), dtype=np.uint8)


def digit_examples(size: int) -> list[dict]:
    return [{"image": image, "label": i % 10} for i, image in enumerate(pictures(size, 28, 28, 1))]


@pytest.fixture
def mnist(tmp_path) -> Path:
    return write_tfds(tmp_path, "mnist", {"train": digit_examples(600), "test": digit_examples(3)})


def run_python(program: str, *arguments: object) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_cifar10_is_in_the_order_of_its_ids(tmp_path):
    images = pictures(300, 32, 32, 3)
    shuffled = np.random.default_rng(1).permutation(300)
    write_tfds(
        tmp_path,
        "cifar10",
        {"train": [{"id": f"train_{i:05d}", "image": images[i], "label": i % 10} for i in shuffled]},
    )
    split = data.load("cifar10", "train[:290]", str(tmp_path))
    np.testing.assert_array_equal(split.x, images[:290])
    np.testing.assert_array_equal(split.label, np.arange(290) % 10)
    assert split.label.dtype == np.int32 and split.attributes is None
    assert isinstance(split.x, np.memmap), "a split need not fit in memory"


def test_mnist_is_in_the_order_of_tfds(mnist, tmp_path):
    split = data.load("mnist", "train", str(tmp_path))
    examples = list(tfds.as_numpy(tfds.load("mnist", split="train", data_dir=tmp_path, download=False)))
    np.testing.assert_array_equal(split.x, [example["image"] for example in examples])
    np.testing.assert_array_equal(split.label, [example["label"] for example in examples])
    assert split.x.shape == (600, 28, 28, 1)


def test_celeba_is_resized_and_cropped_as_the_official_conversion(tmp_path):
    from PIL import Image

    builder = tfds.builder("celeb_a", data_dir=tmp_path)
    features = builder.info.features
    image = pictures(1, 218, 178, 3)[0]
    image[100:120, 80:100] = 255  # something to misplace
    named = {name: name in ("Bald", "Male", "Young") for name in splits.CELEBA_ATTRIBUTES}
    example = {
        "image": image,
        "attributes": named,
        "landmarks": dict.fromkeys(features["landmarks"], 0),
        "identity": {"Identity_No": 0},
    }
    folder = write_tfds(tmp_path, "celeb_a", {"train": [example]})
    split = data.load("celeb_a", "train", str(tmp_path))

    stored = next(iter(tfds.as_numpy(tfds.builder_from_directory(folder).as_dataset(split="train"))))
    small = np.asarray(Image.fromarray(stored["image"]).resize((64, 78), Image.Resampling.LANCZOS))
    np.testing.assert_array_equal(split.x[0], small[7:71])
    assert np.flatnonzero(split.attributes[0]).tolist() == [4, 20, 39]
    assert (split.attributes.dtype, split.label) == (np.uint8, None)


def test_celeba_attributes_are_in_the_standard_order():
    from tensorflow_datasets.datasets.celeb_a import celeb_a_dataset_builder

    assert list(splits.CELEBA_ATTRIBUTES) == celeb_a_dataset_builder.ATTR_HEADINGS


@pytest.mark.parametrize(("height", "width"), [(64, 200), (500, 333), (40, 30), (65, 64)])
def test_imagenet_pictures_are_centred_squares(height, width):
    ramp = np.linspace(0, 255, width)[None, :, None] * np.ones((height, 1, 3))
    square = prepare.resize_imagenet(ramp.astype(np.uint8))
    assert square.shape == (64, 64, 3)
    assert abs(square[:, :32].astype(float).mean() + square[:, 32:].mean() - 255) < 6


def test_interrupted_decoding_leaves_nothing_and_the_next_run_succeeds(mnist, tmp_path, monkeypatch):
    blocks = prepare._blocks

    def interrupted(*arguments):
        yield next(blocks(*arguments))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(prepare, "_blocks", interrupted)
        with pytest.raises(KeyboardInterrupt):
            data.load("mnist", "train", str(tmp_path))
    decoded = mnist / f"ali_jax/v{splits.FORMAT}"
    assert [path.name for path in decoded.iterdir()] == ["train.lock"]

    killed = decoded / ".train-0123"  # what a killed run leaves
    killed.mkdir()
    (killed / "x.npy").write_bytes(b"half")
    assert data.load("mnist", "train", str(tmp_path)).x.shape == (600, 28, 28, 1)
    assert not killed.exists()


def test_loser_of_the_race_takes_what_the_winner_wrote(mnist, tmp_path, monkeypatch):
    """Without file locks both decode; the second to rename must not fail."""
    data.load("mnist", "train", str(tmp_path))
    folder = splits.decoded_folder(tmp_path, "mnist", "train")
    before = (folder / "meta.json").stat().st_mtime_ns
    prepare._decode_into(folder, prepare._builder(tmp_path, "mnist"), "mnist", "train")
    assert (folder / "meta.json").stat().st_mtime_ns == before
    assert sorted(path.name for path in folder.parent.iterdir()) == ["train", "train.lock"]


def test_two_processes_that_start_at_once_agree(mnist, tmp_path):
    program = """
import sys, time, zlib
from pathlib import Path
import tensorflow, tensorflow_datasets
from ali_jax import data
root = Path(sys.argv[1])
(root / "ready").touch()
while not (root / "go").exists():
    time.sleep(0.001)
print(zlib.crc32(data.load("mnist", "train", str(root)).x.tobytes()))
"""
    other = run_python(program, tmp_path)
    while not (tmp_path / "ready").exists() and other.poll() is None:
        time.sleep(0.01)
    (tmp_path / "go").touch()
    ours = data.load("mnist", "train", str(tmp_path))
    output, errors = other.communicate(timeout=60)
    assert output.strip() == str(zlib.crc32(ours.x.tobytes())), errors
    assert sorted(path.name for path in (mnist / f"ali_jax/v{splits.FORMAT}").iterdir()) == [
        "train",
        "train.lock",
    ]


def test_decoded_set_loads_where_tensorflow_is_not_installed(mnist, tmp_path):
    data.load("mnist", "train", str(tmp_path))
    program = """
import sys
sys.modules.update(dict.fromkeys(["tensorflow", "tensorflow_datasets", "PIL", "tqdm"]))
from ali_jax import data
print(data.load("mnist", "train[:5]", sys.argv[1]).x.shape)
data.load("mnist", "test", sys.argv[1])
"""
    process = run_python(program, tmp_path)
    output, errors = process.communicate(timeout=60)
    assert output.strip() == "(5, 28, 28, 1)", errors
    assert "UserError" in errors.splitlines()[-1] and "pip install" in errors.splitlines()[-1]


@pytest.mark.parametrize("file", ["x.npy", "label.npy", "meta.json"])
@pytest.mark.parametrize("harm", ["truncated", "missing"])
def test_damaged_decoded_files_are_named(mnist, tmp_path, file, harm):
    data.load("mnist", "test", str(tmp_path))
    path = splits.decoded_folder(tmp_path, "mnist", "test") / file
    if harm == "missing":
        path.unlink()
    else:
        os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(UserError, match=f"{path}.*delete the folder {path.parent}") as error:
        data.load("mnist", "test", str(tmp_path))
    assert "\n" not in str(error.value)


def test_meta_that_describes_another_array_is_refused(mnist, tmp_path):
    data.load("mnist", "test", str(tmp_path))
    meta = splits.decoded_folder(tmp_path, "mnist", "test") / "meta.json"
    content = json.loads(meta.read_text())
    content["arrays"]["x"]["shape"] = [3, 14, 56, 1]
    meta.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"x\.npy"):
        data.load("mnist", "test", str(tmp_path))


def test_change_of_preprocessing_decodes_again(mnist, tmp_path, monkeypatch):
    old = data.load("mnist", "test", str(tmp_path))
    monkeypatch.setattr(splits, "FORMAT", splits.FORMAT + 1)
    new = data.load("mnist", "test", str(tmp_path))
    assert Path(old.x.filename) != Path(new.x.filename)
    np.testing.assert_array_equal(old.x, new.x)


@pytest.mark.parametrize("kept", [0.0, 0.5, "whole records"])
def test_truncated_tfrecord_is_told(mnist, tmp_path, kept):
    (shard,) = mnist.glob("mnist-train.tfrecord*")
    if kept == "whole records":
        payload = int.from_bytes(shard.read_bytes()[:8], "little")
        os.truncate(shard, payload + 16)  # a record is framed by 12 bytes before and 4 behind
    else:
        os.truncate(shard, int(kept * shard.stat().st_size))
    with pytest.raises(UserError, match=f"TFDS data in {mnist} are damaged") as error:
        data.load("mnist", "train", str(tmp_path))
    assert "\n" not in str(error.value)
    assert not splits.decoded_folder(tmp_path, "mnist", "train").exists()


def test_unknown_split_of_a_tfds_set(mnist, tmp_path):
    with pytest.raises(UserError, match="choose one of test, train"):
        data.load("mnist", "validation", str(tmp_path))


@pytest.mark.parametrize("fails", ["_require_network", "download_and_prepare"])
@pytest.mark.parametrize("name", ["svhn_cropped", "imagenet_resized/64x64", "imagenet2012"])
def test_missing_data_that_cannot_be_downloaded(tmp_path, monkeypatch, name, fails):
    def fail(*_args, **_kwargs):
        raise ConnectionError("no connection\nto anywhere")

    monkeypatch.setattr(
        prepare, "_require_network", lambda url: fail() if fails == "_require_network" else None
    )
    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", fail)
    with pytest.raises(
        UserError, match=f"{name} is not in {tmp_path}.*no connection.*--config.data_dir"
    ) as error:
        data.load(name, "train", str(tmp_path))
    assert "\n" not in str(error.value)
    assert ("ILSVRC2012_img_train.tar" in str(error.value)) == (name == "imagenet2012")


def test_folder_with_decoded_files_alone_cannot_give_another_split(mnist, tmp_path, monkeypatch):
    data.load("mnist", "train", str(tmp_path))
    for path in mnist.glob("*.*"):
        path.unlink()
    monkeypatch.setattr(prepare, "_require_network", lambda url: None)
    assert len(data.load("mnist", "train", str(tmp_path)).x) == 600
    with pytest.raises(UserError, match="only decoded files"):
        data.load("mnist", "test", str(tmp_path))


def test_data_dir_that_cannot_be_written(mnist, tmp_path):
    """Access rights do not stop root, so a file stands where a folder would have to be made."""
    (tmp_path / "file").touch()
    for name in ("file", "not/made"):
        with pytest.raises(UserError, match=rf"{name} is no folder; set --config\.data_dir"):
            data.load("mnist", "train", str(tmp_path / name))
    assert not (tmp_path / "not").exists()
    (mnist / "ali_jax").touch()
    with pytest.raises(UserError, match="Cannot write below") as error:
        data.load("mnist", "train", str(tmp_path))
    assert "\n" not in str(error.value)


def test_full_disk_is_told_before_decoding(mnist, tmp_path, monkeypatch):
    full = type("Usage", (), {"free": 10_000})
    monkeypatch.setattr(prepare.shutil, "disk_usage", lambda path: full)
    with pytest.raises(UserError, match="no room for"):
        data.load("mnist", "train", str(tmp_path))


@pytest.mark.skipif(not SHARED.exists(), reason=f"the real images ({SHARED}) are not here")
def test_real_svhn(tmp_path):
    subprocess.run(
        [sys.executable, SHARED, "--data_dir", tmp_path, "svhn_cropped"], check=True, capture_output=True
    )
    split = data.load("svhn_cropped", "extra", str(tmp_path))
    assert split.x.shape == (4000, 32, 32, 3)
    with np.load(SHARED.parent / "svhn_10k.npz") as official:
        np.testing.assert_array_equal(split.label, official["y"][4000:8000])
    batch = data.Batches(split, 100, seed=0)[0]
    assert 50 < batch["x"].mean() < 200 and set(batch["label"]) == set(range(10))
