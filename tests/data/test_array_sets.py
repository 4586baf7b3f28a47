"""Images of the user's own in .npy and .npz files."""

import errno
import zipfile

import numpy as np
import pytest

from ali_jax import data
from ali_jax.data import attribute_files
from ali_jax.errors import UserError

FRAME = data.Frame((4, 4, 1))
X = np.arange(40, dtype=np.uint8)[:, None, None] * np.ones((1, 4, 4), np.uint8)  # grey n is number n


def load(file, split="train", frame=FRAME) -> data.Split:
    return data.load(f"arrays:{file}", split, frame=frame)


def greys(split: data.Split) -> list[int]:
    return split.x[:, 0, 0, 0].tolist()


def test_a_file_of_images(tmp_path):
    np.save(tmp_path / "x.npy", X)
    split = load(tmp_path / "x.npy")
    assert (split.x.shape, split.x.dtype, split.label) == ((40, 4, 4, 1), np.uint8, None)
    assert isinstance(split.x, np.memmap) and sorted(greys(split)) == list(range(40)) != greys(split)


@pytest.mark.parametrize("kind", [np.float16, np.float64])
def test_floats_are_rounded_to_uint8(tmp_path, kind):
    floats = (X[..., None] / 255).astype(kind)
    floats[0] = -1e-3 / 2  # as resizing leaves a 0
    np.save(tmp_path / "x.npy", floats)
    assert sorted(greys(load(tmp_path / "x.npy"))) == list(range(40))


def test_labels_and_attributes_go_with_their_images(tmp_path):
    attributes = np.stack([np.arange(40) % 2, np.arange(40) // 20], axis=1)
    np.savez_compressed(tmp_path / "all.npz", x=X, y=np.arange(40)[:, None] % 10, attributes=attributes)
    split = load(tmp_path / "all.npz", "train[:50%]")
    assert split.label.tolist() == [value % 10 for value in greys(split)] and split.label.dtype == np.int32
    assert split.attributes.tolist() == [[value % 2, value // 20] for value in greys(split)]


def test_appended_images_move_no_other_across_a_percentage(tmp_path):
    halves = []
    for count in (20, 40):
        np.save(tmp_path / "x.npy", X[:count])
        halves.append([set(greys(load(tmp_path / "x.npy", half))) for half in ("train[:50%]", "train[50%:]")])
    for before, after in zip(*halves, strict=True):
        assert before and before < after


def test_a_disk_that_is_full_while_a_file_is_unpacked_is_told_as_that(tmp_path, monkeypatch):
    def full(*arguments, **named):
        raise OSError(errno.ENOSPC, "No space left on device")

    np.savez(tmp_path / "all.npz", x=X)
    monkeypatch.setattr(zipfile.ZipFile, "extract", full)
    with pytest.raises(UserError, match=r"Cannot write .*No space left on device.; make room"):
        load(tmp_path / "all.npz")


def test_splits_are_told_by_their_names(tmp_path):
    np.savez(
        tmp_path / "mnist.npz", x_train=X[:30], y_train=np.arange(30), x_test=X[30:], y_test=np.arange(10)
    )
    assert sorted(greys(load(tmp_path / "mnist.npz", "test"))) == list(range(30, 40))
    assert len(load(tmp_path / "mnist.npz", "test+train").x) == 40
    with pytest.raises(UserError, match="choose one of test, train"):
        load(tmp_path / "mnist.npz", "validation")


def test_images_of_another_size_are_brought_to_the_frame(tmp_path):
    np.save(tmp_path / "x.npy", X)
    split = load(tmp_path / "x.npy", frame=data.Frame((8, 8, 3)))
    assert split.x.shape == (40, 8, 8, 3) and sorted(greys(split)) == list(range(40))


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"z": X}, "holds no array called x, only z"),
        ({"x": X[0, 0]}, r"the shape \(4,\)"),
        ({"x": np.zeros((5, 4, 4, 2), np.uint8)}, r"the shape \(5, 4, 4, 2\)"),
        ({"x": np.zeros((5, 0, 8), np.uint8)}, r"the shape \(5, 0, 8, 1\)"),
        ({"x": X.astype(np.int64)}, "are int64"),
        ({"x": X.astype(np.float32)}, r"Image \d+ \(from 0\) .* values from \d+ to \d+; save the images"),
        ({"x": np.full((5, 4, 4), np.nan)}, "values from nan"),
        (
            {"x": np.uint8(X > 19)},
            "no value above 1, black among 0 to 255; if 1 is white, save them as floats",
        ),
        ({"x": X, "y": np.arange(39)}, "40 images and 39 rows of label"),
        ({"x": X, "y": 3}, "40 images and 0 rows of label"),
        ({"x": X, "images": X}, "holds two arrays of x, x and images; leave one out"),
        ({"x": X, "y": np.full(40, -2)}, "labels of .* are not whole numbers from 0, or -1 where"),
        ({"x": X, "y": np.full(40, 2**32 + 1)}, "labels of .* are not whole numbers"),
        ({"x": X, "attributes": np.full((40, 2), 3)}, "not a table of 0 and 1"),
        ({"x": np.array([None, None])}, "cannot be read"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(tmp_path, arrays, words):
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(UserError, match=words) as error:
        load(tmp_path / "bad.npz")
    assert "\n" not in str(error.value) and not list(tmp_path.rglob("meta.json"))


@pytest.mark.parametrize(
    "harm", [lambda whole: whole[: len(whole) // 2], lambda whole: _with_flags(whole, 1)]
)
def test_a_damaged_table_of_attributes_is_told(tmp_path, harm):
    path = tmp_path / "attributes.npz"
    np.savez(path, names=["a.png", "b.png"], attributes=np.eye(2))
    assert attribute_files.read(path).columns == ("0", "1")
    path.write_bytes(harm(path.read_bytes()))
    with pytest.raises(UserError, match="is no table of attributes"):
        attribute_files.read(path)


def test_names_of_a_table_of_attributes_are_text_and_as_many_as_there_are_columns(tmp_path):
    path, table = tmp_path / "attributes.npz", {"names": [b"a.png", b"b.png"], "attributes": np.eye(2)}
    np.savez(path, **table, columns=[b"old", b"new"])
    found = attribute_files.read(path)
    assert found.columns == ("old", "new") and found.of_file.keys() == {"a.png", "b.png"}
    np.savez(path, **table, columns=["old", "new", "red"])
    with pytest.raises(UserError, match="it has 3 columns for 2 attributes"):
        attribute_files.read(path)
    np.savez(path, **table, columns=["old", "old"])
    with pytest.raises(UserError, match="has two columns called old; rename one"):
        attribute_files.read(path)


def _with_flags(whole: bytes, flags: int) -> bytes:
    """The zip file with other flags of its first member, in its table of contents; 1: encrypted."""
    place = whole.index(b"PK\1\2") + 8
    return whole[:place] + bytes([flags]) + whole[place + 1 :]


def test_an_array_that_seems_to_be_encrypted_is_told(tmp_path):
    np.savez(tmp_path / "x.npz", x=np.zeros((2, 4, 4), np.uint8))
    (tmp_path / "x.npz").write_bytes(_with_flags((tmp_path / "x.npz").read_bytes(), 1))
    with pytest.raises(UserError, match="cannot be read"):
        load(tmp_path / "x.npz")


def test_a_member_that_is_no_array_is_none_of_them(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("x", b"no array")
    with pytest.raises(UserError, match="holds no array called x"):
        load(tmp_path / "x.npz")


def test_a_table_of_attributes_that_is_one_array_is_told(tmp_path):
    np.save(tmp_path / "attributes.npy", np.eye(2))
    path = (tmp_path / "attributes.npy").rename(tmp_path / "attributes.npz")
    with pytest.raises(UserError, match="is no table of attributes"):
        attribute_files.read(path)


@pytest.mark.parametrize("name", ["x.npz", "x.npy"])
def test_a_damaged_file_is_told(tmp_path, name):
    (tmp_path / name).write_bytes(b"half")
    with pytest.raises(UserError, match="cannot be read"):
        load(tmp_path / name)
    with pytest.raises(UserError, match="There is no file"):
        load(tmp_path / f"other_{name}")
