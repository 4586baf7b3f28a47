"""Decoding on first use, with TFDS data of made-up examples."""

import os
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from tfds_examples import digit_examples, write_tfds

from ali_jax import data
from ali_jax.data import array_files, decode, prepare, tfds_files
from ali_jax.data.decode import ImageSet
from ali_jax.errors import UserError

REPOSITORY = Path(__file__).parents[2]
SHARED = REPOSITORY.parent / "shared/data/prepare_tfds.py"
MNIST = ImageSet("mnist", (28, 28, 1))


@pytest.fixture(scope="session")
def written(tmp_path_factory) -> Path:
    """A root folder with mnist, not decoded; not to be written to."""
    root = tmp_path_factory.mktemp("tfds")
    write_tfds(root, "mnist", {"train": digit_examples(600), "test": digit_examples(3)})
    return root


@pytest.fixture
def mnist(written, tmp_path) -> Path:
    """The version folder of a copy of mnist below tmp_path."""
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    return tfds_files.version_folder(tmp_path, "mnist")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_split_is_decoded_and_memory_mapped(mnist, tmp_path):
    split = data.load("mnist", "train[:290]", str(tmp_path))
    assert (split.x.shape, split.x.dtype, split.label.dtype) == ((290, 28, 28, 1), np.uint8, np.int32)
    assert isinstance(split.x, np.memmap), "a split need not fit in memory"
    assert names(mnist / "ali_jax/v1") == ["train", "train.lock"]
    assert names(mnist / "ali_jax/v1/train") == ["label.npy", "meta.json", "verified.json", "x.npy"]


def test_interrupted_decoding_leaves_nothing_and_the_next_run_succeeds(mnist, tmp_path, monkeypatch):
    blocks = decode.blocks

    def interrupted(*arguments):
        yield next(blocks(*arguments))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(decode, "blocks", interrupted)
        with pytest.raises(KeyboardInterrupt):
            data.load("mnist", "train", str(tmp_path))
    folder = mnist / "ali_jax/v1"
    assert names(folder) == ["train.lock"]

    killed = folder / ".train-0123"  # what a killed run leaves
    killed.mkdir()
    (killed / "x.npy").write_bytes(b"half")
    assert data.load("mnist", "train", str(tmp_path)).x.shape == (600, 28, 28, 1)
    assert not killed.exists()


def test_of_runs_that_start_at_once_one_decodes(mnist, tmp_path, monkeypatch):
    """In threads, which a file lock keeps apart as it does processes: it is the open file's."""
    runs, decoding, blocks = 3, [], decode.blocks
    start = threading.Barrier(runs)

    def counted(*arguments):
        decoding.append(arguments)
        return blocks(*arguments)

    def run(_):
        start.wait(timeout=300)
        return data.load("mnist", "train", str(tmp_path)).x

    monkeypatch.setattr(decode, "blocks", counted)
    with ThreadPoolExecutor(runs) as pool:
        first, *others = pool.map(run, range(runs))
    assert len(decoding) == 1 and first.any()
    for other in others:
        np.testing.assert_array_equal(first, other)
    assert names(mnist / "ali_jax/v1") == ["train", "train.lock"]


def test_loser_of_the_race_takes_what_the_winner_wrote(mnist, tmp_path):
    """Without file locks both decode; the second to rename must not fail."""
    data.load("mnist", "train", str(tmp_path))
    folder = mnist / "ali_jax/v1/train"
    before = (folder / "meta.json").stat().st_mtime_ns
    prepare._write(folder, MNIST, tfds_files.open_builder(tmp_path, "mnist"), "train")
    assert (folder / "meta.json").stat().st_mtime_ns == before
    assert names(folder.parent) == ["train", "train.lock"]


def test_decoded_set_loads_where_tensorflow_is_not_installed(mnist, tmp_path):
    data.load("mnist", "train", str(tmp_path))
    program = """
import sys
sys.modules.update(dict.fromkeys(["tensorflow", "tensorflow_datasets", "PIL", "tqdm"]))
from ali_jax import data
print(data.load("mnist", "train[:5]", sys.argv[1]).x.shape)
data.load("mnist", "test", sys.argv[1])
"""
    process = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert process.stdout.strip() == "(5, 28, 28, 1)", process.stderr
    told = process.stderr.splitlines()[-1]
    assert "UserError" in told and "pip install" in told


def test_change_of_preprocessing_decodes_again(mnist, tmp_path, monkeypatch):
    old = data.load("mnist", "test", str(tmp_path))
    monkeypatch.setattr(array_files, "FORMAT", array_files.FORMAT + 1)
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
    assert not (mnist / "ali_jax/v1/train").exists()


def test_unknown_split_of_a_tfds_set(mnist, tmp_path):
    with pytest.raises(UserError, match="choose one of test, train"):
        data.load("mnist", "validation", str(tmp_path))


def test_folder_with_decoded_files_alone_cannot_give_another_split(mnist, tmp_path, monkeypatch):
    data.load("mnist", "train", str(tmp_path))
    for path in mnist.glob("*.*"):
        path.unlink()
    monkeypatch.setattr(tfds_files, "_require_network", lambda url: None)
    assert len(data.load("mnist", "train", str(tmp_path)).x) == 600
    with pytest.raises(UserError, match="only decoded files"):
        data.load("mnist", "test", str(tmp_path))


def test_folder_that_cannot_be_written_to(mnist, tmp_path):
    """Access rights do not stop root, so a file stands where a folder would have to be made."""
    (mnist / "ali_jax").touch()
    with pytest.raises(UserError, match="Cannot write below") as error:
        data.load("mnist", "train", str(tmp_path))
    assert "\n" not in str(error.value)


def test_full_disk_is_told_before_decoding(mnist, tmp_path, monkeypatch):
    full = type("Usage", (), {"free": 10_000})
    monkeypatch.setattr(array_files.shutil, "disk_usage", lambda path: full)
    with pytest.raises(UserError, match=r"Cannot write below .*no room for"):
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
