import collections
import errno
import os
import shutil
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import load_config, make_tiny_config
from helpers import truncate

from ali_jax import build
from ali_jax.errors import UserError
from ali_jax.run import devices
from ali_jax.run.checkpoints import Checkpoints

DEVICE = jax.sharding.SingleDeviceSharding(jax.devices()[0])


@pytest.fixture(scope="module")
def state():
    x = np.zeros((4, 8, 8, 1), np.uint8)
    return jax.jit(build.game(make_tiny_config()).init)(jax.random.key(3), batch={"x": x})


@pytest.fixture(scope="module")
def shapes():
    return build.game(make_tiny_config()).shapes


def at(state, step):
    return state._replace(step=jnp.asarray(step, jnp.int32))


def test_a_state_comes_back_bit_for_bit(tmp_path, state, shapes):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(7, at(state, 7))
    with Checkpoints(tmp_path) as checkpoints:
        step, restored = checkpoints.restore(shapes, DEVICE)
    assert step == 7 and type(restored) is type(state)
    assert jax.tree.structure(restored) == jax.tree.structure(state)
    for before, after in zip(
        jax.tree.leaves(at(state, 7)._replace(key=jax.random.key_data(state.key))),
        jax.tree.leaves(restored._replace(key=jax.random.key_data(restored.key))),
        strict=True,
    ):
        np.testing.assert_array_equal(before, after)


def test_a_checkpoint_from_before_a_field_was_there_restores_without_it(tmp_path, state, shapes):
    before = collections.namedtuple("Before", state._fields[:-1])(*state[:-1])
    assert state._fields[-1] == "average"
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(3, before)
        step, restored = checkpoints.restore(shapes, DEVICE)
    assert step == 3 and restored.average is None
    assert jax.tree.structure(restored) == jax.tree.structure(state)


def test_only_the_last_few_are_kept(tmp_path, state):
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        for step in (1, 2, 3):
            checkpoints.save(step, at(state, step))
    kept = sorted(p.name for p in (tmp_path / "checkpoints").iterdir())
    assert kept == ["2", "3"]


def test_an_empty_workdir_has_nothing_to_restore(tmp_path, shapes):
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.restore(shapes, DEVICE) is None


def test_a_truncated_checkpoint_gives_way_to_the_one_before(tmp_path, state, shapes, caplog):
    with Checkpoints(tmp_path) as checkpoints:
        for step in (1, 2):
            checkpoints.save(step, at(state, step))
    truncate(tmp_path / "checkpoints" / "2")
    with Checkpoints(tmp_path) as checkpoints:
        step, restored = checkpoints.restore(shapes, DEVICE)
        assert step == 1 and int(restored.step) == 1
        assert "step 2 cannot be read" in caplog.text
        checkpoints.save(2, at(state, 2))  # its place is free again
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.restore(shapes, DEVICE)[0] == 2
    assert (tmp_path / "unreadable_checkpoints" / "2").is_dir()


def test_a_damaged_checkpoint_that_cannot_be_moved_is_told(tmp_path, state, shapes, monkeypatch):
    with Checkpoints(tmp_path) as checkpoints:
        for step in (1, 2):
            checkpoints.save(step, at(state, step))
    truncate(tmp_path / "checkpoints" / "2")

    def full(*paths):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "move", full)
    with Checkpoints(tmp_path) as checkpoints:
        with pytest.raises(UserError, match=f"{tmp_path} cannot be written .No space left"):
            checkpoints.restore(shapes, DEVICE)
        monkeypatch.setattr(devices, "any_process", lambda condition: True)
        monkeypatch.setattr(jax, "process_index", lambda: 1)  # who waits for the first process hears of it
        with pytest.raises(UserError, match="Process 0 cannot write"):
            checkpoints.rewind(1)


def emptied(folder):
    shutil.rmtree(folder)
    folder.mkdir()


def with_a_flipped_bit(folder):
    """In the middle of the largest file of arrays: as a disk or a copy may leave it, valid to its reader."""
    path = max((folder / "default").rglob("*"), key=lambda p: p.stat().st_size * (p.parent.name == "d"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def with_metadata_of_another_kind(folder):
    (folder / "_CHECKPOINT_METADATA").write_text("[]")


def absent(folder):
    """An empty folder of a higher step: of nothing that was ever saved."""
    folder.with_name("3").mkdir()


@pytest.mark.parametrize(
    ("damage", "bad", "reads"),
    [
        (emptied, 2, 1),
        (absent, 3, 2),
        (with_a_flipped_bit, 2, 1),
        (with_metadata_of_another_kind, None, 2),  # orbax's notes; the arrays are as they were saved
    ],
)
def test_damage_to_one_checkpoint_leaves_the_others(tmp_path, state, shapes, caplog, damage, bad, reads):
    with Checkpoints(tmp_path) as checkpoints:
        for step in (1, 2):
            checkpoints.save(step, at(state, step))
    damage(tmp_path / "checkpoints" / "2")
    for read_only in (True, False):
        with Checkpoints(tmp_path, read_only=read_only) as checkpoints:
            step, restored = checkpoints.restore(shapes, DEVICE)
        assert step == int(restored.step) == reads
        assert (f"step {bad} cannot be read" in caplog.text) == (bad is not None)
    kept = [int(path.name) for path in (tmp_path / "unreadable_checkpoints").glob("*")]
    assert kept == ([] if bad is None else [bad])


def test_a_checkpoint_from_before_there_were_checksums_restores(tmp_path, state, shapes):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, at(state, 1))
    shutil.rmtree(tmp_path / "checkpoints" / "1" / "checksums")
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.restore(shapes, DEVICE)[0] == 1


def test_a_folder_that_cannot_be_made_leaves_nothing_waiting_for_it(tmp_path, state, monkeypatch):
    mkdir, before = os.mkdir, {*threading.enumerate()}

    def refuse(path, *arguments, **options):
        if "orbax-checkpoint-tmp" in str(path):
            raise OSError(errno.ENOSPC, "No space left on device")
        return mkdir(path, *arguments, **options)

    with pytest.raises(UserError, match="No space left"), Checkpoints(tmp_path) as checkpoints:
        monkeypatch.setattr(os, "mkdir", refuse)
        checkpoints.save(1, at(state, 1))
    left = [thread for thread in {*threading.enumerate()} - before if not thread.daemon]
    for thread in left:
        thread.join(20)
    assert not any(thread.is_alive() for thread in left)


def test_what_a_killed_save_left_is_removed(tmp_path, state, shapes):
    left = tmp_path / "checkpoints" / "4.orbax-checkpoint-tmp"
    left.mkdir(parents=True)
    with Checkpoints(tmp_path, read_only=True) as checkpoints:
        assert checkpoints.restore(shapes, DEVICE) is None
        assert left.exists()
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(8, at(state, 8))
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["8"]


def test_without_any_readable_checkpoint_one_sentence_says_so(tmp_path, state, shapes):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, at(state, 1))
    truncate(tmp_path / "checkpoints" / "1")
    with Checkpoints(tmp_path) as checkpoints, pytest.raises(UserError, match="step 1"):
        checkpoints.restore(shapes, DEVICE)
    assert (tmp_path / "checkpoints" / "1").is_dir()  # nothing is thrown away


def test_asking_for_a_step_that_is_not_there_names_those_that_are(tmp_path, state, shapes):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, at(state, 1))
    with Checkpoints(tmp_path) as checkpoints, pytest.raises(UserError, match=r"only \[1\]"):
        checkpoints.restore(shapes, DEVICE, step=5)


def test_networks_of_another_shape_do_not_restore(tmp_path, state):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, at(state, 1))
    wider = make_tiny_config()
    wider.model.latent_dim = 5
    wider.model.encoder = (*wider.model.encoder[:-1], ("dense", 1, 1, 10, False, 0.0, "linear", "tied"))
    # No more of orbax's sentence, which goes on with advice to its own callers.
    of_shapes = r"can be read \(step 1: Requested shape: .* the stored shape: \([^()]*\)\); restore"
    for other, words in ((load_config("mixture"), "can be read"), (wider, of_shapes)):
        with Checkpoints(tmp_path) as checkpoints, pytest.raises(UserError, match=words):
            checkpoints.restore(build.game(other).shapes, DEVICE)
