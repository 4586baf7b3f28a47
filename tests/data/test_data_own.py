"""How images of the user's own are decoded: once, and again where they or the decoded files changed."""

import errno
import shutil

import numpy as np
import pytest
from photo_files import FRAME, greys, load, make_photos, save

from ali_jax import data
from ali_jax.data import once, own, pictures
from ali_jax.errors import UserError


@pytest.fixture
def photos(tmp_path):
    return make_photos(tmp_path / "photos")


def test_all_images_are_decoded_once_in_an_order_of_their_names(photos, monkeypatch):
    split = load(photos)
    assert (split.x.shape, split.x.dtype) == ((40, 4, 4, 3), np.uint8) and isinstance(split.x, np.memmap)
    assert sorted(greys(split)) == list(range(40)) != greys(split)
    monkeypatch.setattr(pictures, "read", None)
    assert greys(load(photos)) == greys(split)
    moved = photos.rename(photos.with_name("elsewhere"))
    assert greys(load(moved)) == greys(split)


def test_another_frame_is_another_decoding_and_both_stay(photos):
    assert load(photos, frame=data.Frame((6, 6, 1))).x.shape == (40, 6, 6, 1)
    assert load(photos).x.shape == (40, 4, 4, 3)
    assert len(list(photos.rglob("x.npy"))) == 2


def test_the_decoded_files_may_be_elsewhere(photos, tmp_path):
    load(photos, data_dir=str(tmp_path / "space"))
    assert not (photos / ".ali_jax").exists() and len(list((tmp_path / "space").rglob("x.npy"))) == 1


def test_a_folder_that_cannot_be_written_to_is_told(photos):
    (photos / ".ali_jax").touch()
    with pytest.raises(UserError, match=r"Cannot write .*config\.data_dir"):
        load(photos)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (OSError(errno.EMFILE, "Too many open files"), "cannot be read .Too many"),
        (MemoryError(), "more memory"),
    ],
)
def test_what_the_machine_refuses_for_a_while_is_not_taken_for_damaged(photos, monkeypatch, fault, words):
    read = pictures.read

    def refused(path, frame):
        if path.name == "7.PNG":
            raise fault
        return read(path, frame)

    with monkeypatch.context() as patch:
        patch.setattr(pictures, "read", refused)
        with pytest.raises(UserError, match=rf"cat/7\.PNG .*{words}"):
            load(photos, frame=FRAME._replace(unreadable=0.9))
    assert sorted(greys(load(photos))) == list(range(40))


def test_what_was_unreadable_is_tried_again_and_told_of_again(photos):
    (photos / "cat" / "torn.png").write_text("no image")
    for _ in range(2):
        with pytest.raises(UserError, match=r"1 of the 41 images .* cannot be read \(.*identify.*\): cat"):
            load(photos)


def test_with_an_unreadable_image_all_others_are_kept_once(photos):
    (photos / "cat" / "torn.png").write_text("no image")
    frame = FRAME._replace(unreadable=0.5)
    assert len(load(photos, frame=frame).x) == 40
    assert len(list((photos / ".ali_jax").rglob("x.npy"))) == 1


def test_an_interrupted_decoding_is_gone_on_with(photos, monkeypatch):
    monkeypatch.setattr(own, "_BLOCK", 8)
    monkeypatch.setattr(own, "cores", lambda: 1)
    read, decoded = pictures.read, []

    def interrupted(path, frame):
        decoded.append(path)
        if len(decoded) == 30:
            raise KeyboardInterrupt
        return read(path, frame)

    with monkeypatch.context() as patch:
        patch.setattr(pictures, "read", interrupted)
        with pytest.raises(KeyboardInterrupt):
            load(photos)
    assert not list(photos.rglob("meta.json"))
    again = []
    monkeypatch.setattr(pictures, "read", lambda path, frame: (again.append(path), read(path, frame))[1])
    assert sorted(greys(load(photos))) == list(range(40))
    assert 10 <= len(again) < 40 and not list(photos.rglob("*.partial"))


def test_what_a_run_left_that_was_killed_early_is_begun_anew(photos):
    load(photos)
    (folder,) = (path.parent for path in photos.rglob("meta.json"))
    partial = folder.with_name(f".{folder.name}.partial")
    folder.rename(partial)  # without its state
    (partial / "x.npy").write_bytes(b"half")
    assert sorted(greys(load(photos))) == list(range(40))


def test_a_decoding_leaves_what_another_process_decodes(photos):
    load(photos)
    (folder,) = (path.parent for path in photos.rglob("meta.json"))
    others, dead = folder.with_name(".0123.partial"), folder.with_name(".4567.partial")
    others.mkdir(), dead.mkdir()
    save(photos / "cat" / "new.png", 50)
    with once.locked(folder.with_name("0123")):
        load(photos)
        assert others.is_dir() and not dead.exists() and not folder.exists()
    save(photos / "cat" / "newer.png", 51)
    load(photos)
    assert not others.exists()


def test_without_locks_what_was_killed_is_begun_anew(photos, monkeypatch):
    (photos / "cat" / "torn.png").write_text("no image")

    def no_locks(*arguments):
        raise OSError(errno.ENOLCK, "No locks")

    def killed(*arguments):
        raise KeyboardInterrupt

    frame = FRAME._replace(unreadable=0.1)
    monkeypatch.setattr("fcntl.flock", no_locks)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(own.array_files, "describe", killed)
        load(photos, frame=frame)
    assert sorted(greys(load(photos, frame=frame))) == list(range(40))


def test_of_blocks_no_more_than_asked_for_are_ahead():
    from concurrent.futures import ThreadPoolExecutor

    begun = []
    with ThreadPoolExecutor(2) as pool:
        results = own.ahead(pool, lambda n: (begun.append(n), n)[1], range(100), 3)
        taken = [next(results) for _ in range(10)]
        assert taken == list(range(10)) and len(begun) <= 13
        results.close()


def test_a_copy_of_the_images_that_changed_is_decoded_again(photos):
    load(photos)
    save(photos / "dog" / "4.png", 200)
    assert 200 in greys(load(photos)) and 4 not in greys(load(photos))
    shutil.rmtree(photos / "cat")
    assert len(load(photos).x) == 20


@pytest.mark.parametrize("file", ["keys.npy", "x.npy", "label.npy"])
def test_damage_to_a_decoded_file_is_told(photos, file):
    load(photos)
    (path,) = photos.rglob(file)
    path.write_bytes(path.read_bytes()[:-8] + bytes(8))
    with pytest.raises(UserError, match=rf"{file} is .*delete the folder .* decode it anew"):
        load(photos)
