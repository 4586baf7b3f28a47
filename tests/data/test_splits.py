import numpy as np
import pytest

from ali_jax.data import splits
from ali_jax.data.splits import Part, Split
from ali_jax.errors import UserError


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("train", (0, 200)),
        ("train[:10]", (0, 10)),
        ("train[-10:]", (190, 200)),
        ("train[:90%]", (0, 180)),
        ("train[90%:]", (180, 200)),
        ("train[-25%:]", (150, 200)),
        ("train[5:1%]", None),
        ("train[:101%]", None),
        ("train[:0%]", None),
    ],
)
def test_slices(text, rows):
    (part,) = splits.parse(text)
    if rows is None:
        with pytest.raises(UserError, match=r"of digits .*200 examples"):
            part.rows("digits", 200)
    else:
        assert part.rows("digits", 200) == slice(*rows)


@pytest.mark.parametrize("text", ["train[:" + "9" * 5000 + "]", "train[:\u0663]", "train[1]"])
def test_what_is_no_slice_is_told(text):
    with pytest.raises(UserError, match="is not a split"):
        splits.parse(text)


def test_a_percentage_is_rounded_or_where_the_data_set_says():
    assert Part("train", "", "50%").rows("digits", 297) == slice(0, 148)
    assert Part("train", "1%", "50%").rows("mine", 297, lambda percent: 3 * percent) == slice(3, 150)


def test_a_sum_is_one_part_after_the_other():
    assert splits.parse("train[:9]+extra") == [("train", "", "9"), ("extra", "", "")]
    first = Split(np.zeros((2, 1)), np.array([1, 2]), None)
    second = Split(np.ones((1, 1)), np.array([3]), None)
    assert splits.join([first]) is first
    x, label, attributes = splits.join([first, second])
    assert x[:, 0].tolist() == [0, 0, 1] and label.tolist() == [1, 2, 3] and attributes is None
