import numpy as np
import pytest

from ali_jax import data
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
