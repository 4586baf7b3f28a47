import pytest

from ali_jax.data import splits
from ali_jax.errors import UserError


def test_newest_version_on_disk_wins(tmp_path):
    for version in ("2.9.0", "10.0.0", "3.1.0", "incomplete.X_11.0.0"):
        (tmp_path / "imagenet_resized/64x64" / version).mkdir(parents=True)
    assert splits.version_folder(tmp_path, "imagenet_resized/64x64").name == "10.0.0"


def test_default_folder_is_that_of_tfds(monkeypatch, tmp_path):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    assert splits.tfds_root(None) == tmp_path
    monkeypatch.delenv("TFDS_DATA_DIR")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert splits.tfds_root(None) == tmp_path / "tensorflow_datasets"
    with pytest.raises(UserError, match="local"):
        splits.tfds_root("gs://bucket/data")
