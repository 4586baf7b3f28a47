"""The referee: it learns, its images are moved as it says, and it is kept in a file."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest

from ali_jax import data
from ali_jax.errors import UserError
from experiments.common import referee, referee_files

QUICK = referee.Settings(width=8, hidden=32, steps=200, learning_rate=5e-3, shift=0)


@pytest.fixture(scope="module")
def digits():
    return data.load("digits", "train"), data.load("digits", "test")


def test_it_learns_digits(digits):
    trained = referee.train(digits[0], QUICK)
    opinion = referee.look(trained, digits[1].x)
    assert np.mean(opinion.seen("classes") == digits[1].label) > 0.9
    assert opinion.logits.shape == (297, 10) and opinion.features.shape == (297, 32)
    # What it says of an image does not depend on the others, nor on how its pixels are written.
    alone = referee.look(trained, digits[1].x[5:6] / np.float32(255))
    np.testing.assert_allclose(alone.logits[0], opinion.logits[5], rtol=1e-4, atol=1e-4)


def test_it_learns_attributes_each_by_itself():
    """Two at random: one is whether the left half is bright, the other whether the lower half is."""
    random = np.random.default_rng(0)
    y = random.integers(0, 2, (400, 2), dtype=np.uint8)
    x = random.integers(0, 60, (400, 8, 8, 1), dtype=np.uint8)
    x[:, :, :4] += 90 * y[:, 0, None, None, None]
    x[:, 4:] += 90 * y[:, 1, None, None, None]
    trained = referee.train(data.Split(x[:300], None, y[:300]), QUICK._replace(steps=60))
    assert (trained.kind, trained.outputs) == ("attributes", 2)
    seen = referee.look(trained, x[300:]).seen("attributes")
    assert np.mean(seen == y[300:], axis=0).min() > 0.95


@pytest.mark.parametrize("side", [8, 9, 28, 32, 64])
def test_its_rows_fit_images_of_every_size(side):
    stack = referee.network((side, side, 3), referee.Settings(), 10)
    example = jax.ShapeDtypeStruct((2, side, side, 3), np.float32)
    logits, _ = jax.eval_shape(stack.init_with_output, jax.random.key(0), example)
    assert logits.shape == (2, 10)


def test_images_are_moved_with_their_edge_repeated_and_turned():
    x = np.arange(6, dtype=np.uint8).reshape(1, 2, 3, 1).repeat(2, axis=0)  # [[0, 1, 2], [3, 4, 5]] twice
    fixed = SimpleNamespace(  # the first down and right by 1, mirrored; the second stays
        integers=lambda low, high, shape: np.array([[-1, 0], [-1, 0]]), random=lambda n: np.array([0.1, 0.9])
    )
    found = referee.augment(x, 1, True, fixed)
    np.testing.assert_array_equal(found[0, :, :, 0], [[1, 0, 0], [1, 0, 0]])
    np.testing.assert_array_equal(found[1], x[1])
    still = referee.augment(x, 0, False, np.random.default_rng(0))
    np.testing.assert_array_equal(still, x)


@pytest.fixture
def kept(digits, tmp_path, monkeypatch):
    """(file, how to obtain the referee in it, how many were trained)."""
    path, trained = tmp_path / "made" / "referee.npz", []
    monkeypatch.setattr(referee, "settings_for", lambda dataset: QUICK._replace(steps=2))
    train = referee.train
    monkeypatch.setattr(referee, "train", lambda *given: trained.append(1) or train(*given))

    def obtain(name="train", split=digits[0]):
        return referee_files.obtain(path, SimpleNamespace(dataset="digits"), name, split)

    return path, obtain, trained


def test_referees_of_other_numbers_are_told_apart(kept):
    _, obtain, _ = kept
    mine = obtain()
    again = obtain()
    assert referee_files.checksum(mine) == referee_files.checksum(again)
    other = mine._replace(variables=jax.tree.map(lambda a: 1.5 * a, mine.variables))
    assert referee_files.checksum(other) != referee_files.checksum(mine)


def test_it_is_trained_once_and_read_from_then_on(kept, digits):
    path, obtain, trained = kept
    first, again = obtain(), obtain()
    assert len(trained) == 1 and path.exists()
    for found in ("kind", "outputs", "settings"):
        assert getattr(first, found) == getattr(again, found)
    both = (referee.look(one, digits[1].x).logits for one in (first, again))
    np.testing.assert_array_equal(*both)


def test_a_referee_of_something_else_is_refused(kept, digits, monkeypatch):
    path, obtain, _ = kept
    obtain()
    with pytest.raises(UserError, match=rf"{path} holds a referee whose split is train, not test"):
        obtain("test")
    with pytest.raises(UserError, match="whose examples is 1500, not 100"):
        obtain(split=data.take(digits[0], slice(100)))
    with pytest.raises(UserError, match="checksum"):
        obtain(split=digits[0]._replace(label=digits[0].label[::-1]))
    monkeypatch.setattr(referee, "settings_for", lambda dataset: QUICK._replace(steps=3))
    with pytest.raises(UserError, match="settings"):
        obtain()


def test_a_damaged_file_is_refused(kept):
    path, obtain, _ = kept
    obtain()
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"PK no archive"):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match="cannot be read as a referee"):
            obtain()
    np.savez(path, about="{}")
    with pytest.raises(UserError, match="cannot be read as a referee"):
        obtain()


def test_images_that_tell_nothing_and_folders_that_cannot_be_written_are_named(kept, digits, tmp_path):
    _, obtain, _ = kept
    with pytest.raises(UserError, match="neither labels nor attributes"):
        obtain(split=digits[0]._replace(label=None))
    (tmp_path / "made").write_text("a file where a folder should be")
    with pytest.raises(UserError, match="cannot be written"):
        obtain()
