"""Data that cannot be used end in one sentence."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.exceptions import NotFittedError

from ali_jax.anomaly import Detector, inputs

ROWS = np.arange(12.0).reshape(6, 2)


def refused(x, words, fitting=True, noted=None):
    with pytest.raises(ValueError, match=words):  # a UserError is one
        inputs.checked(noted or Detector(), x, fitting=fitting)


def test_gaps_are_named_by_column():
    gap = ROWS.copy()
    gap[3, 1] = np.nan
    refused(gap, r"Column 1 holds NaN in row 3 \(NaN, inf or beyond 1e\+100 are 1 cells")
    gap[2, 0] = np.inf
    refused(gap, "Column 0 holds an infinity in row 2")
    refused(ROWS * 1e300, r"Column 0 holds 2e\+300 in row 1")
    refused(np.ma.masked_equal(ROWS, 3.0), "X has masked cells; fill them")
    np.testing.assert_array_equal(inputs.checked(Detector(), np.ma.asarray(ROWS), fitting=True), ROWS)


def test_too_few_too_flat_and_words_are_refused():
    refused(ROWS[:1], "n_samples|1 sample")
    refused(ROWS[0], "2D array")
    refused([["1", "b"], ["2", "d"]], r"Column 1 holds what is no number \(could not convert .*'b'")
    refused(np.array([[1, "b"], [2, "d"]], object), "Column 1 holds what is no number")
    refused(ROWS.astype("datetime64[s]"), r"Column 0 holds what is no number \(datetime64")
    refused([[1, 2], [3]], "X holds rows of 2 and of 1 values; make them as long")
    refused(np.zeros((6, 2, 2, 2, 3)), r"X has the shape \(6, 2, 2, 2, 3\); give a table")
    refused(np.zeros((6, 3, 8, 8)), r"\(6, 3, 8, 8\), as of images whose channels come first")
    refused([np.zeros((4, 4)), np.zeros((4, 5))], r"images of \(4, 4\) and of \(4, 5\); resize them")


def test_images_of_pillow_are_taken_by_their_colours_and_not_by_their_palettes():
    grey = np.random.default_rng(0).integers(0, 256, (3, 8, 8), dtype=np.uint8)
    images = [Image.fromarray(each) for each in grey]
    np.testing.assert_array_equal(inputs.checked(Detector(), images, fitting=True)[..., 0], grey)
    palettes = [each.convert("RGB").quantize(256) for each in images]
    coloured = inputs.checked(Detector(), [images[0], *palettes], fitting=True)
    assert coloured.shape == (4, 8, 8, 3)
    np.testing.assert_allclose(coloured[1:].mean(axis=3), grey, atol=8)
    refused([*images, Image.new("L", (9, 8))], r"images of \(8, 8, 1\) and of \(8, 9, 1\); resize them")
    refused(
        [Image.fromarray(np.full((8, 8), 1e9, np.float32))] * 2, "An image of X cannot be used .its values"
    )


def test_rows_that_were_copied_count_once_and_those_alike_by_chance_all():
    random = np.random.default_rng(0)
    rows = random.normal(size=(50, 3))
    np.testing.assert_array_equal(inputs.without_copies(np.concatenate([rows, rows[::-1]])), rows)
    np.testing.assert_array_equal(inputs.without_copies(np.repeat(rows, 3, axis=0)), rows)
    categories = random.integers(0, 3, size=(200, 3)).astype(float)
    at_rest = np.concatenate([rows, np.zeros((60, 3))])  # one state that comes often
    for x in (rows, categories, at_rest, np.ones((9, 2))):
        assert inputs.without_copies(x) is x


def test_data_frames_are_named_by_their_columns():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(ROWS, columns=["length", "width"])
    refused(frame.assign(width=["a"] * 6), "Column 'width' holds what is no number")
    refused(frame.assign(width=[1j] * 6), "Column 'width' holds what is no number .complex128")
    missing = frame.astype(object)
    missing.iloc[4, 1] = pandas.NA
    refused(missing, "Column 'width' holds pandas.NA in row 4; fill it")
    refused(missing.to_numpy(), "Column 1 holds pandas.NA in row 4; fill it")
    refused(frame.assign(width=pandas.to_datetime(["2020-01-01"] * 6)), "Column 'width' holds what is no num")
    refused(pandas.DataFrame(ROWS, columns=["a", "a"]), "Two columns are called 'a'; rename one")
    refused(frame.assign(width=[np.nan] + [1.0] * 5), "Column 'width' holds NaN in row 0")
    sparse = pandas.arrays.SparseArray([0.0, 1.0] * 3)
    refused(frame.assign(width=sparse), r"Column 'width' is sparse; pass X\.sparse\.to_dense")
    detector = Detector()
    np.testing.assert_array_equal(inputs.checked(detector, frame, fitting=True), ROWS)
    assert [*detector.feature_names_in_] == ["length", "width"]


def test_other_columns_than_in_fit_are_refused():
    detector = Detector()
    detector.shape_ = inputs.checked(detector, ROWS, fitting=True).shape[1:]
    refused(ROWS[:, :1], "1 features, but Detector is expecting 2", False, detector)
    refused(np.zeros((3, 2, 2, 1), np.uint8), r"the shape \(2, 2, 1\)", False, detector)


def test_images_are_checked():
    refused(np.ones((5, 4, 4), complex), "these are complex128")
    refused(np.ones((5, 4, 4), "m8[s]"), "these are timedelta64")
    refused(np.zeros((5, 0, 4)), "images without a pixel")
    refused(np.zeros((5, 4, 4, 0), np.uint8), "images without a pixel")
    noted = Detector()
    images = np.zeros((3, 4, 5), np.uint8)
    assert inputs.checked(noted, images, fitting=True).shape == (3, 4, 5, 1)
    noted.shape_ = (4, 5, 1)
    refused(np.zeros((3, 4, 6, 1)), "fitted on", False, noted)
    refused(np.zeros((3, 20)), "fitted on images of shape", False, noted)
    refused(images[0], "also where it is one", False, noted)
    assert inputs.checked(noted, [*images], fitting=True).shape == (3, 4, 5, 1)
    refused(images + 1.5, "floats from 0 to 1")
    refused(np.full((3, 4, 5), np.nan), "holds NaN")
    refused(images[:1], "n_samples = 1")
    refused(images.astype(str), "must be numbers")


def test_predict_before_fit_says_so():
    with pytest.raises(NotFittedError, match="not fitted yet"):
        Detector().predict(ROWS)


@pytest.mark.parametrize(
    "given, words",
    [
        ("table.csv", "X is str; give a table"),
        (Path("table.csv"), "X is PosixPath; give a table"),
        ({"a": [1, 2]}, "X is dict; give a table"),
        ({1, 2}, "X is set; give a table"),
        (iter([[1], [2]]), "X is list_iterator; give a table"),
        (["a.png", "b.png"], "X is a list of str; give a table"),
        ([{"a": 1}, {"a": 2}], "X is a list of dict; give a table"),
    ],
)
def test_what_is_no_table_is_told(given, words):
    refused(given, words)
