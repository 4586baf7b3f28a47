import errno
import multiprocessing
import os

import numpy as np
import pytest
from PIL import Image

from ali_jax import files
from ali_jax.errors import UserError


def test_save_png_round_trips_and_leaves_no_temporary_file(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    files.save_png(tmp_path / "deep" / "a.png", picture)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "deep" / "a.png")), picture)
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["a.png"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a"
    files.write_whole(path, b"old")

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        files.write_whole(path, b"new")
    assert path.read_bytes() == b"old" and [p.name for p in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.EROFS, os.strerror(errno.EROFS)), "Read-only file system"),
        (ValueError("Error opening a file [OS error 28: no space]"), "No space left on device"),
        (ValueError("RESOURCE_EXHAUSTED: [os_error_code='13']"), "Permission denied"),
    ],
)
def test_what_the_disk_refuses_is_said_in_a_sentence(error, said, tmp_path):
    with pytest.raises(UserError, match=said) as found, files.writing(tmp_path):
        raise error
    assert str(tmp_path) in str(found.value) and "\n" not in str(found.value)


def test_an_error_that_is_not_the_disks_passes(tmp_path):
    with pytest.raises(KeyError), files.writing(tmp_path):
        raise KeyError("a field")


def test_a_lock_that_another_holds_is_told_of_and_waited_for(tmp_path):
    path, order = tmp_path / "lock", []
    spawn = multiprocessing.get_context("spawn")
    held, release = spawn.Event(), spawn.Event()
    other = spawn.Process(target=_hold, args=(path, held, release))
    other.start()
    assert held.wait(60)

    def told():
        order.append("told")
        release.set()

    with files.locked(path, told) as taken:
        order.append("taken")
        assert taken
    other.join(60)
    assert order == ["told", "taken"] and other.exitcode == 0


def _hold(path, held, release):
    with files.locked(path, lambda: None):
        held.set()
        release.wait(60)
