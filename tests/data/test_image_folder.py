"""Folders of images of the user's own."""

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
from photo_files import FRAME, greys, load, make_photos, save

from ali_jax import data
from ali_jax.data import own
from ali_jax.errors import UserError


@pytest.fixture
def photos(tmp_path):
    return make_photos(tmp_path / "photos")


def test_what_cannot_be_read_is_not_told_as_what_cannot_be_written(tmp_path):
    def source():
        raise PermissionError(13, "Permission denied", "/photos/locked")

    with pytest.raises(UserError, match=r"Cannot read /photos/locked .Permission denied.; allow reading"):
        own.load(tmp_path / "kept", FRAME, source)


def test_folders_are_classes(photos):
    split = load(photos)
    assert split.label.dtype == np.int32
    assert split.label.tolist() == [(1, 0)[value % 2] for value in greys(split)]  # cat, dog
    (names,) = photos.rglob("names.json")
    assert json.loads(names.read_text()) == {"classes": ["cat", "dog"], "unreadable": []}
    save(photos / "stray.png", 77)
    assert load(photos).label is None, "an image without a class"


def test_a_new_file_moves_no_other_across_a_percentage(photos):
    before = [set(greys(load(photos, split))) for split in ("train[:70%]", "train[70%:]")]
    assert before[0] | before[1] == set(range(40)) and not before[0] & before[1]
    assert 20 <= len(before[0]) <= 36
    for value in range(100, 130):
        save(photos / "cat" / f"{value}.png", value)
    after = [set(greys(load(photos, split))) for split in ("train[:70%]", "train[70%:]")]
    assert before[0] < after[0] and before[1] < after[1]
    assert len(list(photos.rglob("x.npy"))) == 1, "what is out of date is removed"


def test_the_place_of_a_name_stays_what_it_is():
    """A change of it would move images between training and validation of runs that there are."""
    assert own.key_of("cat/1.png") == 16482809177075911948


def test_folders_named_so_are_splits(tmp_path):
    for value, folder in enumerate(("train/a", "train/b", "val/b", "val/c", "val/c")):
        save(tmp_path / folder / f"{value}.png", value)
    train, validation = load(tmp_path, "train"), load(tmp_path, "val")
    assert sorted(greys(train)) == [0, 1] and sorted(greys(validation)) == [2, 3, 4]
    assert dict(zip(greys(validation), validation.label.tolist(), strict=True)) == {2: 1, 3: 2, 4: 2}
    assert sorted(greys(load(tmp_path, "train+val"))) == [0, 1, 2, 3, 4]
    with pytest.raises(UserError, match="no split 'test'; choose one of train, val"):
        load(tmp_path, "test")


def test_splits_may_be_capital_and_what_stands_beside_them_is_told(tmp_path):
    for value, folder in enumerate(("Train/a", "Train/b", "TEST/a")):
        save(tmp_path / folder / f"{value}.png", value)
    assert sorted(greys(load(tmp_path, "train"))) == [0, 1] and greys(load(tmp_path, "test")) == [2]
    save(tmp_path / "more" / "3.png", 3)
    with pytest.raises(UserError, match=r"as splits \(test, train\) and, beside them, the folder more; move"):
        load(tmp_path, "train")
    (tmp_path / "more" / "3.png").rename(tmp_path / "logo.png")
    with pytest.raises(UserError, match="beside them, images; move"):
        load(tmp_path, "train")


def test_images_in_a_folder_called_so_have_no_label(tmp_path):
    for value, folder in enumerate(("cat", "dog", "Unlabelled", "unlabelled/more", "zebra")):
        save(tmp_path / folder / f"{value}.png", value)
    split = load(tmp_path)
    assert dict(zip(greys(split), split.label.tolist(), strict=True)) == {0: 0, 1: 1, 2: -1, 3: -1, 4: 2}


def test_a_class_may_be_called_train(tmp_path):
    for value, folder in enumerate(("bus", "car", "train")):
        save(tmp_path / folder / f"{value}.png", value)
    split = load(tmp_path)
    assert sorted(greys(split)) == sorted(split.label.tolist()) == [0, 1, 2]


def test_figures_of_a_run_within_are_no_images(photos):
    save(photos / "runs" / "mine" / "figures" / "samples.png", 99)
    assert 99 in greys(load(photos))
    (photos / "runs" / "mine" / "config.json").write_text("{}")
    (photos / "runs" / "mine" / "checkpoints").mkdir()
    assert 99 not in greys(load(photos))


def test_a_run_may_be_kept_beside_its_images(photos):
    """The folder of the images is the workdir, and is read again when the run is gone on with."""
    before = sorted(greys(load(photos)))
    save(photos / "figures" / "samples.png", 99)
    (photos / "config.json").write_text("{}")
    (photos / "checkpoints").mkdir()
    assert sorted(greys(load(photos))) == before


def test_what_is_no_file_is_not_waited_for(photos):
    before = sorted(greys(load(photos)))
    os.mkfifo(photos / "cat" / "pipe.png")
    assert sorted(greys(load(photos))) == before


def test_formats_that_hold_one_picture_or_more_are_taken(tmp_path):
    for value, suffix in enumerate(("tif", "TIFF", "gif", "bmp", "jpeg", "webp")):
        save(tmp_path / f"{value}.{suffix}", 10 * value)
    assert sorted(greys(load(tmp_path))) == [0, 10, 20, 30, 40, 50]


def test_unreadable_files_are_named_and_left_out(photos, caplog):
    (photos / "cat" / "torn.png").write_bytes((photos / "cat" / "1.webp").read_bytes()[:30])
    (photos / "dog" / "nowhere.jpg").symlink_to(photos / "gone.jpg")
    for _ in range(2):  # the second time nothing is left to decode
        with pytest.raises(UserError, match=r"2 of the 42 images .*: cat/torn\.png, dog/nowhere\.jpg; mend"):
            load(photos)
    caplog.clear()
    split = load(photos, frame=FRAME._replace(unreadable=0.1))
    assert sorted(greys(split)) == list(range(40)) and len(split.label) == 40
    assert split.label.tolist() == [(1, 0)[value % 2] for value in greys(split)]
    (names,) = photos.rglob("names.json")
    assert sorted(json.loads(names.read_text())["unreadable"]) == ["cat/torn.png", "dog/nowhere.jpg"]
    with pytest.raises(UserError, match=r"2 of the 42 images .*: cat/torn\.png, dog/nowhere\.jpg; mend"):
        load(photos)  # what one run allowed, the next one may not


def test_a_folder_that_cannot_be_read_is_told_and_not_left_out(photos, monkeypatch):
    scan = os.scandir

    def refused(path):
        if Path(path).name == "cat":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(UserError, match=r"The folder .*cat cannot be read .Permission denied."):
        load(photos)


def test_none_that_can_be_read_is_told(tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.png").write_text("no image")
    with pytest.raises(UserError, match="cannot be read"):
        load(tmp_path, frame=FRAME._replace(unreadable=0.99))


def test_links_that_lead_back_are_followed_once(photos):
    os.symlink(photos, photos / "cat" / "again", target_is_directory=True)
    assert len(load(photos).x) == 40


def test_a_folder_by_two_ways_is_two(photos, tmp_path):
    """As of a class that is another one's link, or of two splits that are one pool."""
    pool = tmp_path / "pools"
    pool.mkdir()
    for way in ("train", "validation"):
        os.symlink(photos, pool / way, target_is_directory=True)
    first, second = (load(pool, split) for split in ("train", "validation"))
    assert len(first.x) == len(second.x) == 40


def test_a_row_is_of_one_image_whatever_its_split(tmp_path):
    for split, value in (("train", 10), ("test", 20)):
        save(tmp_path / "both" / split / "0.png", value)
    table = tmp_path / "both" / "attributes.csv"
    table.write_text("name,Odd\n0.png,1\n")
    with pytest.raises(UserError, match=r"one row, 0\.png, for train/0\.png and test/0\.png; name both"):
        load(tmp_path / "both")
    table.write_text("name,Odd\ntrain/0.png,1\ntest/0.png,0\n")
    assert [load(tmp_path / "both", split).attributes[0, 0] for split in ("train", "test")] == [1, 0]


@pytest.mark.parametrize("kind", ["csv", "npz"])
def test_attributes_stand_in_a_table_beside(photos, kind):
    """By path or, as here, by file name; a value of -1 is a 0, as in CelebA's own list."""
    names = [path.name for path in photos.rglob("*.*") if path.name[0].isdigit()]
    bits = [[value % 2, value // 20] for value in (int(Path(name).stem) for name in names)]
    if kind == "csv":
        rows = [f"{name},{2 * a - 1},{2 * b - 1}" for name, (a, b) in zip(names, bits, strict=True)]
        (photos / "attributes.csv").write_text("\n".join(["image_id,Odd,Large", *rows]) + "\n")
    else:
        np.savez(photos / "attributes.npz", names=names, attributes=bits)
    split = load(photos)
    assert split.attributes.dtype == np.uint8
    assert split.attributes.tolist() == [[value % 2, value // 20] for value in greys(split)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name,A\n0.png,1\n", "no row for"),
        ("name,A\n0.png,1\n0.png,0\n", r"attributes\.csv has two rows for 0\.png; remove"),
        ("name,A\n0.png,1,1\n", "line 2 has 2 values for 1 attributes"),
        ("name,A\n\n0.png,1\n\n1.png,1,1\n", "line 5 has 2 values for 1 attributes"),
        ("name,A\n0.png,yes\n", "is no table of attributes"),
        *((f"name,A\n0.png,{value}\n", "not a table of 0 and 1") for value in ("2", "0.5", "257", "nan")),
        ("", "not a table of 0 and 1"),
    ],
)
def test_a_table_that_lacks_something_is_told(photos, text, words):
    (photos / "attributes.csv").write_text(text)
    with pytest.raises(UserError, match=words) as error:
        load(photos)
    assert "\n" not in str(error.value)


def test_a_row_of_two_images_is_told(photos):
    """As where a table says 0.png of images in several folders."""
    first, *others = sorted(photos.rglob("[0-9]*.*"))
    (photos / "zebras").mkdir()
    (photos / "zebras" / first.name).write_bytes(first.read_bytes())
    (photos / "attributes.csv").write_text(
        "name,A\n" + "".join(f"{path.name},1\n" for path in (first, *others))
    )
    with pytest.raises(UserError, match=rf"one row, {first.name}, for .* and .*; name both there"):
        load(photos)


def test_images_of_other_formats_are_told_once(photos, caplog):
    for name in ("of_a_phone.HEIC", "new.avif", "notes.txt"):
        (photos / name).write_bytes(b"anything")
    with caplog.at_level("WARNING"):
        split = load(photos)
        assert len(load(photos).x) == len(split.x) > 0
    (said,) = [record.getMessage() for record in caplog.records if "left out" in record.getMessage()]
    assert said.startswith("2 images in ") and "such as new.avif; those ending in .png, " in said


def test_a_folder_without_images_is_told(tmp_path):
    for folder, words in ((tmp_path, "holds no images"), (tmp_path / "nowhere", "is no folder")):
        with pytest.raises(UserError, match=words):
            load(folder)
    with pytest.raises(UserError, match=r"no data set 'image:photos'; .*images:PATH, arrays:PATH"):
        data.load("image:photos", "train")
