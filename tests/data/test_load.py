import re

import numpy as np
import pytest

from ali_jax import data
from ali_jax.data import offline
from ali_jax.errors import UserError


def test_slices_are_those_of_python():
    whole = data.load("digits", "train")
    for text, rows in [("[:100]", slice(100)), ("[1400:]", slice(1400, None)), ("[-9:-2]", slice(-9, -2))]:
        np.testing.assert_array_equal(data.load("digits", f"train{text}").x, whole.x[rows])


def test_sums_are_one_split_after_the_other():
    x, label, attributes = data.load("digits", "test+train[:20%]")
    for array, field in ((x, "x"), (label, "label")):
        parts = [getattr(data.load("digits", split), field) for split in ("test", "train[:300]")]
        np.testing.assert_array_equal(array, np.concatenate(parts))
    assert attributes is None


def test_a_whole_split_is_read_once_for_all_roles(monkeypatch):
    read = []

    def load(base, data_dir):
        read.append(base)
        return offline.SETS["digits"](base, data_dir)

    monkeypatch.setitem(data.SETS, "digits", load)
    texts = {"train": "train[:1000]", "validation": "train[1000:1200]+train[1300:]", "test": "test"}
    splits = data.load_roles("digits", texts)
    assert sorted(read) == ["test", "train"]
    for role, text in texts.items():
        np.testing.assert_array_equal(splits[role].x, data.load("digits", text).x)


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        ({"train": "train", "validation": "train[90%:]"}, ["150 .* validation"]),
        (
            {"train": "train[:1000]+test[:5]", "validation": "train[990:]", "test": "test"},
            ["10 ", "5 "],
        ),
        ({"train": "train[:90%]", "validation": "train[90%:]", "test": "train[1350:]"}, []),
        ({"validation": "test", "test": "test"}, []),
    ],
)
def test_examples_that_are_trained_on_and_judged_are_told_of(texts, told, caplog):
    with caplog.at_level("WARNING"):
        data.load_roles("digits", texts)
    said = sorted(record.getMessage() for record in caplog.records)
    assert len(said) == len(told)
    for message, pattern in zip(said, told, strict=True):
        assert re.search(rf"^{pattern}", message)


@pytest.mark.parametrize(
    ("name", "split", "named"),
    [
        ("didgits", "train", "digits, mixture, .*images:PATH, arrays:PATH"),
        ("images:", "train", "names no path; write it behind the colon, as in images:PATH"),
        ("arrays:", "train", "names no path"),
        ("digits", "valid", "train, test"),
        ("digits", "train[5:5]", "1,500"),
        ("digits", "train[:1501]", "1,500"),
        ("digits", "train[-1501:]", "1,500"),
        ("digits", "train[:10.5%]", r"train\[:1000\]"),
        ("digits", "train+", r"train\[:1000\]"),
        ("digits", "train+valid", "train, test"),
        ("digits", "../train", r"train\[:1000\]"),
    ],
)
def test_unknown_names_and_splits_are_told_what_exists(name, split, named):
    with pytest.raises(UserError, match=named) as error:
        data.load(name, split)
    assert "\n" not in str(error.value)
