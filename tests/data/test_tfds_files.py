import pytest

from ali_jax import data
from ali_jax.data import tfds_files
from ali_jax.errors import UserError


@pytest.fixture
def tfds():
    return pytest.importorskip("tensorflow_datasets", reason="tensorflow-datasets is not installed")


def test_newest_version_on_disk_wins(tmp_path):
    for version in ("2.9.0", "10.0.0", "3.1.0", "incomplete.X_11.0.0"):
        (tmp_path / "imagenet_resized/64x64" / version).mkdir(parents=True)
    assert tfds_files.version_folder(tmp_path, "imagenet_resized/64x64").name == "10.0.0"


def test_default_folder_is_that_of_tfds(monkeypatch, tmp_path):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    assert tfds_files.root_folder(None) == tmp_path
    monkeypatch.delenv("TFDS_DATA_DIR")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert tfds_files.root_folder(None) == tmp_path / "tensorflow_datasets"


def test_folder_of_another_machine_is_refused():
    with pytest.raises(UserError, match="not on this machine"):
        tfds_files.root_folder("gs://bucket/data")


@pytest.mark.parametrize("fails", ["_require_network", "download_and_prepare"])
@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("svhn_cropped", "tfds.builder('svhn_cropped').download_and_prepare()"),
        ("imagenet_resized/64x64", "tfds.builder('imagenet_resized/64x64').download_and_prepare()"),
        ("imagenet2012", "put ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar from "),
    ],
)
def test_missing_data_that_cannot_be_downloaded(tmp_path, monkeypatch, tfds, name, remedy, fails):
    def fail(*_args, **_kwargs):
        raise ConnectionError("no connection\nto anywhere")

    monkeypatch.setattr(
        tfds_files, "_require_network", lambda url: fail() if fails == "_require_network" else None
    )
    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", fail)
    with pytest.raises(
        UserError, match=f"{name} is not in {tmp_path}.*no connection.*--config.data_dir"
    ) as error:
        data.load(name, "train", str(tmp_path))
    assert remedy in str(error.value) and "\n" not in str(error.value)


@pytest.mark.usefixtures("tfds")
@pytest.mark.parametrize("folder", ["file", "not/made"])
def test_nothing_is_downloaded_where_no_folder_is(tmp_path, folder):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=rf"{folder} is no folder; set --config\.data_dir"):
        tfds_files.open_builder(tmp_path / folder, "mnist")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.usefixtures("tfds")
def test_damaged_description_of_a_data_set_is_told(tmp_path):
    folder = tmp_path / "mnist/3.0.1"
    folder.mkdir(parents=True)
    (folder / "dataset_info.json").write_text("{")
    with pytest.raises(UserError, match=f"TFDS data in {folder} are damaged.*delete that folder") as error:
        tfds_files.open_builder(tmp_path, "mnist")
    assert "\n" not in str(error.value)
