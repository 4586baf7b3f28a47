"""Paths that a user wrote."""

import os
from pathlib import Path

import pytest

from ali_jax.errors import UserError
from ali_jax.paths import local


def test_home_is_what_a_tilde_is_and_nothing_need_be_there(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", "/home/someone")
    assert local("~/runs/svhn", "The workdir") == Path("/home/someone/runs/svhn")
    (tmp_path / "file").write_text("")
    for path in ("runs/svhn", str(tmp_path / "file"), str(tmp_path / "file" / "below"), "a:b"):
        assert local(path, "The workdir") == Path(path)


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("gs://bucket/run", "not on this machine; mount"),
        (Path("s3://bucket/run"), "not on this machine; mount"),
        ("~no_such_user/run", "cannot be reached .*home"),
        ("a" * 300, "cannot be reached .*too long"),
        ("with\0nothing", "cannot be reached .*null"),
        ("", "is '', and no path"),
        (None, "is None, and no path"),
        (b"runs", "is b'runs', and no path"),
    ],
)
def test_what_cannot_be_a_path_here_is_one_sentence(written, words):
    with pytest.raises(UserError, match=f"^The model .*{words}") as error:
        local(written, "The model")
    assert "\n" not in str(error.value)


def test_a_folder_that_may_not_be_entered_is_told_before_it_is_looked_into(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "access", lambda path, how: False)
    with pytest.raises(UserError, match=r"cannot be reached .it may not be entered.; pass another path"):
        local(tmp_path, "The workdir")
