import jax.numpy as jnp
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
    with pytest.raises(UserError, match=r"sum of splits has attributes of shape \(3,\) and of \(2,\) for an"):
        splits.join([first._replace(attributes=np.ones((2, 3))), second._replace(attributes=np.ones((1, 2)))])


IMAGES, LABELS = np.zeros((3, 8, 8, 1), np.uint8), np.arange(3, dtype=np.int32)


@pytest.mark.parametrize(
    ("split", "words"),
    [
        ((IMAGES, None, None), "The data set mine is of type tuple and no Split"),
        (IMAGES, "of type ndarray and no Split"),
        (Split(None, LABELS, None), "mine has no examples: x of its Split is None"),
        (Split(5, None, None), "x of mine is a single int; make it an array"),
        (Split([[1], [1, 2]], None, None), "x of mine makes no array"),
        (Split(IMAGES, LABELS[:2], None), "mine has 3 examples and 2 of label"),
        (Split(IMAGES.astype(object), None, None), "The examples of mine are object"),
        (Split(IMAGES.tolist(), None, None), "The examples of mine are int64; make them uint8"),
        (Split(IMAGES + np.float32(7), None, None), "are floats from 7 to 7; make them uint8"),
        (
            Split(IMAGES + np.uint8(1), None, None),
            "are uint8 of no more than 1, .* make them booleans or floats",
        ),
    ],
)
def test_what_is_no_split_of_examples_is_told(split, words):
    with pytest.raises(UserError, match=words):
        splits.require_split(split, "mine")


def test_columns_of_pandas_go_by_place_as_their_examples_do():
    """As a shuffled split leaves them: by its index another row's label is the first."""
    pd = pytest.importorskip("pandas")
    label = pd.Series([0, 1, 2], index=[2, 0, 1])
    split = splits.require_split(Split(pd.DataFrame(np.eye(3), index=[2, 0, 1]), label, None), "mine")
    taken = splits.take(split, np.array([0, 2]))
    assert taken.label.tolist() == [0, 2] and taken.x.tolist() == [[1, 0, 0], [0, 0, 1]]


def test_examples_of_every_kind_are_as_they_are():
    of_attributes = Split(IMAGES, LABELS, np.zeros((3, 40), np.uint8))
    points = Split(np.full((3, 2), 7, np.float32), None, None)
    scaled = Split(np.full((3, 8, 8, 1), 1.0005, np.float32), LABELS, None)  # as resizing leaves them
    of_jax = Split(jnp.ones((3, 8, 8, 1), jnp.bfloat16), jnp.eye(3), None)  # labels that nobody reads
    for split in (of_attributes, points, scaled, of_jax, Split(IMAGES == 0, None, None)):
        for given, array in zip(split, splits.require_split(split, "mine"), strict=True):
            assert given is array
    np.testing.assert_array_equal(splits.require_split(Split(IMAGES, [0, 1, 2], None), "mine").label, LABELS)
