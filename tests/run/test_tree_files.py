"""Arrays and words in one file."""

import numpy as np
import pytest

from ali_jax.errors import UserError
from ali_jax.run import tree_files

ABOUT, ARRAYS = {"format": 1}, {"a": {"kernel": np.arange(6.0).reshape(2, 3)}, "count": np.int32(7)}


@pytest.fixture
def file(tmp_path):
    tree_files.write(tmp_path / "tree.npz", ABOUT, ARRAYS, "pass another")
    return tmp_path / "tree.npz"


def test_what_is_written_is_read(file):
    about, arrays = tree_files.read(file)
    assert about == ABOUT and arrays["count"] == 7
    np.testing.assert_array_equal(arrays["a"]["kernel"], ARRAYS["a"]["kernel"])


def test_every_cut_of_a_file_is_one_sentence(file):
    whole = file.read_bytes()
    for length in range(0, len(whole), 37):
        file.write_bytes(whole[:length])
        said = pytest.raises(UserError, match=r"tree\.npz cannot be read as a tree \(.*\); plant another\.$")
        with said, tree_files.reading(file, "tree", "plant another"):
            tree_files.read(file)


def test_what_is_no_file_of_arrays_is_not_to_be_loaded_unsafely(tmp_path):
    (tmp_path / "words").write_text("no arrays at all")
    said = pytest.raises(UserError, match=r"\(it is no file of arrays, .*\); plant another")
    with said as error, tree_files.reading(tmp_path / "words", "tree", "plant another"):
        tree_files.read(tmp_path / "words")
    assert "pickle" not in str(error.value)


def test_every_byte_that_is_another_is_a_fault_or_none(file):
    """A byte that nobody reads does no harm; any other is told."""
    whole, told = file.read_bytes(), 0
    for place, byte in enumerate(whole):
        file.write_bytes(whole[:place] + bytes([byte ^ 0x29]) + whole[place + 1 :])
        try:
            with tree_files.reading(file, "tree", "plant another"):
                tree_files.read(file)
        except UserError:
            told += 1
    assert told > len(whole) / 2


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "tree.npz").mkdir()
    with pytest.raises(UserError, match=r"cannot be written .*; pass another"):
        tree_files.write(tmp_path / "tree.npz", ABOUT, ARRAYS, "pass another")
    assert [path.name for path in tmp_path.iterdir()] == ["tree.npz"]
