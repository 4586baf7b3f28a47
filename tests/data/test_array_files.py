import json
import os
import zlib

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
    crc = {field: zlib.crc32((folder / f"{field}.npy").read_bytes()) for field in ("x", "label")}
    assert json.loads((folder / "meta.json").read_text()) == {
        "format": 1,
        "source": "mnist/3.0.1 test",
        "arrays": {
            "x": {"shape": [3, 28, 28, 1], "dtype": "uint8", "bytes": 128 + 3 * 28 * 28, "crc32": crc["x"]},
            "label": {"shape": [3], "dtype": "int32", "bytes": 128 + 3 * 4, "crc32": crc["label"]},
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


def without_checksums(folder):
    """As files of before there were checksums."""
    meta = json.loads((folder / "meta.json").read_text())
    for array in meta["arrays"].values():
        del array["crc32"]
    (folder / "meta.json").write_text(json.dumps(meta))


def test_file_that_is_no_array_is_named(folder):
    without_checksums(folder)
    path = folder / "label.npy"
    path.write_bytes(bytes(path.stat().st_size))
    with pytest.raises(UserError, match=f"{path} is not a readable array file"):
        array_files.read(folder)


def test_files_from_before_there_were_checksums_are_read(folder):
    without_checksums(folder)
    assert len(array_files.read(folder).x) == 3


@pytest.mark.parametrize("offset", [0, 9, 21, 40, 60, -1])  # in the header, and the last value
@pytest.mark.parametrize("file", ["x.npy", "label.npy"])
def test_a_flipped_bit_is_noticed(folder, file, offset):
    array_files.read(folder)
    path = folder / file
    content = bytearray(path.read_bytes())
    content[offset] ^= 2
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"{path} is not as it was written; delete the folder {folder}"):
        array_files.read(folder)


@pytest.mark.filterwarnings("ignore:Data type alias")
@pytest.mark.parametrize("bit", range(8))
def test_a_header_with_a_flipped_bit_reads_right_or_is_refused(folder, bit):
    """Of files without checksums; once it made each label another number."""
    without_checksums(folder)
    path = folder / "label.npy"
    whole = path.read_bytes()
    for offset in range(128):
        content = bytearray(whole)
        content[offset] ^= 1 << bit
        path.write_bytes(content)
        try:
            np.testing.assert_array_equal(array_files.read(folder).label, [7, 8, 9])
        except UserError as error:
            assert str(path) in str(error) and "\n" not in str(error)


def test_checksums_are_compared_once_for_each_change(folder, monkeypatch):
    compared = []
    monkeypatch.setattr(array_files, "checksum", lambda path: compared.append(path.name) or zlib_of(path))
    for _ in range(2):
        array_files.read(folder)
    assert sorted(compared) == ["label.npy", "x.npy"]
    (folder / "x.npy").touch()
    array_files.read(folder)
    assert sorted(compared) == ["label.npy", "label.npy", "x.npy", "x.npy"]


def zlib_of(path):
    return zlib.crc32(path.read_bytes())


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "5", '{"format": 1}', '{"format": 1, "arrays": []}'),
        *('{"format": 1, "arrays": {"x": 3}}', '{"format": 1, "arrays": {"y": {}}}'),
        '{"format": 1, "arrays": {"x": {"shape": [3], "dtype": "u1"}}}',
        '{"format": 1, "arrays": {"x": {"shape": 3, "dtype": "nothing", "bytes": 2480}}}',
    ],
)
def test_a_damaged_meta_is_named(folder, text):
    (folder / "meta.json").write_text(text)
    with pytest.raises(UserError, match=f"delete the folder {folder}") as error:
        array_files.read(folder)
    assert "\n" not in str(error.value)


def test_arrays_of_several_lengths_are_refused(folder):
    meta = json.loads((folder / "meta.json").read_text())
    other = array_files.create(folder, {"attributes": ((2, 40), np.uint8)})
    array_files.describe(folder, other, "")
    described = json.loads((folder / "meta.json").read_text())["arrays"]
    (folder / "meta.json").write_text(json.dumps(meta | {"arrays": meta["arrays"] | described}))
    with pytest.raises(UserError, match=r"meta\.json is of arrays of several lengths"):
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
    with pytest.raises(OSError, match=r"no room for 1\.13PB"):
        array_files.create(tmp_path, {"x": ((2**50,), np.uint8)})
    assert not list(tmp_path.iterdir())
