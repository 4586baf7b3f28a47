import json
import os

import numpy as np
import pytest

from ali_jax.data import array_files
from ali_jax.errors import UserError


@pytest.fixture
def folder(tmp_path):
    """Three examples with x and labels, written."""
    arrays = array_files.create(tmp_path, {"x": ((3, 28, 28, 1), np.uint8), "label": ((3,), np.int32)})
    arrays["x"][:] = np.arange(3)[:, None, None, None]
    arrays["label"][:] = [7, 8, 9]
    array_files.describe(tmp_path, arrays, "mnist/3.0.1 test")
    return tmp_path


def test_a_split_is_read_as_it_was_written(folder):
    split = array_files.read(folder)
    np.testing.assert_array_equal(split.x, np.broadcast_to([[[[0]]], [[[1]]], [[[2]]]], (3, 28, 28, 1)))
    np.testing.assert_array_equal(split.label, [7, 8, 9])
    assert (split.x.dtype, split.label.dtype, split.attributes) == (np.uint8, np.int32, None)
    assert isinstance(split.x, np.memmap), "a split need not fit in memory"


def test_what_is_written_is_what_runs_of_this_format_have_on_disk(folder):
    """A change of this needs another FORMAT."""
    assert json.loads((folder / "meta.json").read_text()) == {
        "format": 1,
        "source": "mnist/3.0.1 test",
        "arrays": {
            "x": {"shape": [3, 28, 28, 1], "dtype": "uint8", "bytes": 128 + 3 * 28 * 28},
            "label": {"shape": [3], "dtype": "int32", "bytes": 128 + 3 * 4},
        },
    }
    assert sorted(path.name for path in folder.iterdir()) == ["label.npy", "meta.json", "x.npy"]


@pytest.mark.parametrize("file", ["x.npy", "label.npy", "meta.json"])
@pytest.mark.parametrize("harm", ["truncated", "missing"])
def test_damaged_files_are_named(folder, file, harm):
    path = folder / file
    if harm == "missing":
        path.unlink()
    else:
        os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(UserError, match=f"{path}.*delete the folder {folder}") as error:
        array_files.read(folder)
    assert "\n" not in str(error.value)


def test_file_that_is_no_array_is_named(folder):
    path = folder / "label.npy"
    path.write_bytes(bytes(path.stat().st_size))
    with pytest.raises(UserError, match=f"{path} is not a readable array file"):
        array_files.read(folder)


def test_meta_that_describes_another_array_is_refused(folder):
    meta = json.loads((folder / "meta.json").read_text())
    meta["arrays"]["x"]["shape"] = [3, 14, 56, 1]
    (folder / "meta.json").write_text(json.dumps(meta))
    with pytest.raises(UserError, match=r"x\.npy is not the array"):
        array_files.read(folder)


def test_meta_of_another_format_is_refused(folder, monkeypatch):
    monkeypatch.setattr(array_files, "FORMAT", array_files.FORMAT + 1)
    with pytest.raises(UserError, match=r"meta\.json is not of format 2"):
        array_files.read(folder)


def test_nothing_is_begun_that_the_disk_has_no_room_for(tmp_path):
    with pytest.raises(OSError, match=r"no room for 1125899\.9 GB"):
        array_files.create(tmp_path, {"x": ((2**50,), np.uint8)})
    assert not list(tmp_path.iterdir())
