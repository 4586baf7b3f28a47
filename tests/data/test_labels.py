import numpy as np
import pytest

from ali_jax.data import Split
from ali_jax.data.labels import ALL, UNLABELLED, MixedBatches, interleave_blocks, labelled_rows
from ali_jax.errors import UserError

LABEL = np.random.default_rng(0).integers(0, 5, 200).astype(np.int32)
SPLIT = Split(np.arange(200, dtype=np.float32)[:, None], LABEL, None)  # x tells an example's number


def test_labelled_examples_are_balanced_and_depend_on_the_seed_alone():
    rows = labelled_rows(LABEL, 15, seed=1)
    np.testing.assert_array_equal(np.bincount(LABEL[rows]), [3] * 5)
    np.testing.assert_array_equal(rows, np.unique(rows))
    np.testing.assert_array_equal(rows, labelled_rows(LABEL, 15, seed=1))
    assert set(rows) != set(labelled_rows(LABEL, 15, seed=2))


def test_more_labels_keep_the_fewer():
    """A curve over label counts of one seed adds labels, it does not exchange them."""
    assert set(labelled_rows(LABEL, 15, seed=1)) < set(labelled_rows(LABEL, 50, seed=1))


def test_all_labels_that_are_known_may_be_kept_however_many_each_class_has():
    label = np.array([1, -1, 0, 1, -1, 1])
    np.testing.assert_array_equal(labelled_rows(label, ALL, seed=0), [0, 2, 3, 5])


@pytest.mark.parametrize(("num_labels", "words"), [(12, "multiple of 5"), (500, "lower it")])
def test_label_counts_that_do_not_fit_are_named(num_labels, words):
    with pytest.raises(UserError, match=words):
        labelled_rows(LABEL, num_labels, seed=0)


def test_the_draw_of_labels_is_not_the_order_of_the_data():
    """With one seed for both, the first unlabelled batch holds few of the labelled examples."""
    rows = labelled_rows(LABEL, 20, seed=0)
    batch = MixedBatches(SPLIT, rows, batch_size=40, labelled_batch_size=20, seed=0)[0]
    unlabelled = batch["x"][batch["label"] == UNLABELLED, 0].astype(int)
    assert np.isin(unlabelled, rows).sum() < 10  # 2 are expected of 20


def test_where_all_labels_are_known_both_kinds_are_in_orders_of_their_own():
    batch = MixedBatches(SPLIT, np.arange(200), batch_size=40, labelled_batch_size=20, seed=0)[0]
    labelled = batch["label"] != UNLABELLED
    assert len(np.intersect1d(batch["x"][labelled], batch["x"][~labelled])) < 10  # 2 are expected of 20


@pytest.mark.parametrize("unknown", [[199], [100], range(150, 200)])
def test_so_they_are_where_most_labels_are_known(unknown):
    rows = np.setdiff1d(np.arange(200), unknown)
    batches = MixedBatches(SPLIT, rows, batch_size=40, labelled_batch_size=20, seed=0)
    for step in range(4):
        batch = batches[step]
        labelled = batch["label"] != UNLABELLED
        assert len(np.intersect1d(batch["x"][labelled], batch["x"][~labelled])) < 10  # 2 or 3 are expected


def mixed(**process):
    rows = labelled_rows(LABEL, 15, seed=1)
    return MixedBatches(SPLIT, rows, batch_size=40, labelled_batch_size=16, seed=3, **process), rows


def test_batches_hold_the_labels_of_labelled_examples_and_no_others():
    batches, rows = mixed()
    seen = set()
    for step in range(20):
        batch = batches[step]
        known = batch["label"] != UNLABELLED
        assert known.sum() == 16 and len(known) == 40
        numbers = batch["x"][known, 0].astype(int)
        np.testing.assert_array_equal(batch["label"][known], LABEL[numbers])
        seen.update(numbers)
    assert seen == set(rows)


def test_unlabelled_examples_are_an_epoch_of_all():
    batches, _ = mixed()
    unlabelled = [b["x"][b["label"] == UNLABELLED, 0] for b in (batches[step] for step in range(25))]
    values, counts = np.unique(np.concatenate(unlabelled), return_counts=True)
    np.testing.assert_array_equal(values, np.arange(200))
    assert set(counts) == {3}  # 25 x 24 rows are three epochs of 200


def test_processes_share_a_batch_in_order():
    whole, _ = mixed()
    parts = [mixed(process_index=i, process_count=4)[0] for i in range(4)]
    for step in (0, 7, 13):
        for field in ("x", "label"):
            joined = np.concatenate([part[step][field] for part in parts])
            np.testing.assert_array_equal(joined, whole[step][field])


def test_kinds_that_processes_cannot_share_are_named():
    with pytest.raises(UserError, match="3 processes must share both kinds"):
        mixed(process_index=0, process_count=3)


def test_a_batch_that_wants_more_examples_than_there_are_is_named():
    split = Split(np.zeros((50, 1), np.float32), np.arange(50) % 5, None)
    with pytest.raises(UserError, match=r"batch_size is 80, and 60 of a batch .* has 50 examples; lower it"):
        MixedBatches(split, np.arange(10), 80, 20, seed=0)


def test_blocks_are_interleaved():
    np.testing.assert_array_equal(
        interleave_blocks(np.arange(2), np.arange(10, 14), blocks=2), [0, 10, 11, 1, 12, 13]
    )
