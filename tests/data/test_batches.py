import numpy as np
import pytest

from ali_jax.data import Batches, Split
from ali_jax.errors import UserError


def numbered(size: int) -> Split:
    """A split in which x, label and attributes all tell the example's number."""
    number = np.arange(size)
    x = np.broadcast_to(number[:, None, None, None].astype(np.uint8), (size, 2, 2, 1))
    return Split(x, number.astype(np.int32), np.stack([number % 2] * 40, axis=1).astype(np.uint8))


def labels(batches: Batches, steps: range) -> np.ndarray:
    return np.concatenate([batches[step]["label"] for step in steps])


def test_every_example_comes_once_an_epoch_when_batches_straddle_epochs():
    stream = labels(Batches(numbered(23), batch_size=5, seed=0), range(23))  # 5 epochs
    epochs = stream.reshape(5, 23)
    np.testing.assert_array_equal(np.sort(epochs, axis=1), np.tile(np.arange(23), (5, 1)))
    assert len(np.unique(epochs, axis=0)) == 5, "each epoch has an order of its own"


def test_fields_of_a_row_belong_to_the_same_example():
    batch = Batches(numbered(23), batch_size=10, seed=3)[7]
    np.testing.assert_array_equal(batch["x"][:, 0, 0, 0], batch["label"])
    np.testing.assert_array_equal(batch["attributes"][:, 5], batch["label"] % 2)
    assert {k: (v.shape, v.dtype.name) for k, v in batch.items()} == {
        "x": ((10, 2, 2, 1), "uint8"),
        "label": ((10,), "int32"),
        "attributes": ((10, 40), "uint8"),
    }


@pytest.mark.parametrize("count", [1, 2, 4])
def test_processes_share_out_the_same_global_batch(count):
    split = numbered(30)
    parts = [Batches(split, 8, seed=1, process_index=i, process_count=count) for i in range(count)]
    for step in range(12):
        shared = np.concatenate([part[step]["label"] for part in parts])
        np.testing.assert_array_equal(shared, Batches(split, 8, seed=1)[step]["label"])


def test_random_access_equals_sequential():
    split = numbered(23)
    sequential = labels(Batches(split, 5, seed=0), range(40)).reshape(40, 5)
    batches = Batches(split, 5, seed=0)
    for step in [39, 0, 17, 18, 4, 39, 9, 8, 0]:
        np.testing.assert_array_equal(batches[step]["label"], sequential[step])
        assert batches._order.cache_info().currsize <= 2, "a long run must not keep every permutation"


def test_seed_decides_the_order():
    split = numbered(100)
    a, b, other = (labels(Batches(split, 50, seed), range(4)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(a, b)
    assert np.mean(a == other) < 0.1


def test_order_is_the_one_that_earlier_runs_resume_with():
    assert Batches(numbered(10), 10, seed=0)[0]["label"].tolist() == [0, 8, 9, 3, 7, 5, 1, 2, 6, 4]


def test_whole_data_set_as_one_batch():
    assert sorted(Batches(numbered(7), 7, seed=0)[3]["label"]) == list(range(7))


@pytest.mark.parametrize(
    ("batch_size", "seed", "count", "named"),
    [(0, 0, 1, "batch_size"), (8, 0, 1, "batch_size"), (6, 0, 4, "processes"), (4, -1, 1, "seed")],
)
def test_batches_that_cannot_be(batch_size, seed, count, named):
    with pytest.raises(UserError, match=named):
        Batches(numbered(7), batch_size, seed, process_count=count)


@pytest.mark.parametrize(
    ("split", "arguments", "words"),
    [
        (np.zeros((7, 2, 2, 1)), (2, 0), "Batches are of a Split, and this is a ndarray"),
        (numbered(7)._replace(label=np.zeros(3)), (2, 0), "has 7 examples and 3 of label"),
        (numbered(7), (2.0, 0), "batch_size is 2.0; it must be a whole number"),
        (numbered(7), (2, None), "seed is None; it must be a whole number"),
    ],
)
def test_what_batches_are_not_of_is_named(split, arguments, words):
    with pytest.raises(UserError, match=words):
        Batches(split, *arguments)


def test_no_batch_before_the_first():
    with pytest.raises(IndexError):
        Batches(numbered(7), 2, seed=0)[-1]


def test_rows_are_drawn_from_as_often_as_they_are_named_and_nothing_is_copied():
    split, rows = numbered(23), np.array([2, 3, 5, 7, 2, 3, 5, 7])
    drawn = Batches(split, 6, seed=1, rows=rows)
    of_copies = Batches(Split(split.x[rows], split.label[rows], None), 6, seed=1)
    for step in range(4):
        np.testing.assert_array_equal(drawn[step]["label"], of_copies[step]["label"])
        np.testing.assert_array_equal(drawn[step]["x"], of_copies[step]["x"])
    assert np.shares_memory(drawn._arrays["x"], split.x)
