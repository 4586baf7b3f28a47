"""The examples that a config asks for."""

import numpy as np
import pytest
from conftest import load_config

from ali_jax import data, examples
from ali_jax.errors import UserError


@pytest.fixture
def digits():
    return data.load("digits", "test")


def test_without_classes_a_split_is_as_it_is(digits):
    assert examples.fit(digits, load_config("digits")).x is digits.x


def test_classes_keep_their_examples_in_order(digits):
    config = load_config("digits")
    config.classes = (3, 8)
    kept = examples.fit(digits, config)
    rows = np.isin(digits.label, (3, 8))
    np.testing.assert_array_equal(kept.x, digits.x[rows])
    np.testing.assert_array_equal(kept.label, digits.label[rows])


def test_classes_that_are_not_there_are_named(digits):
    with pytest.raises(UserError, match="no examples of class 11, only of 0, 1"):
        examples.of_classes(digits, (3, 11), "digits")
    with pytest.raises(UserError, match="has no labels"):
        examples.of_classes(digits._replace(label=None), (3,), "digits")


@pytest.mark.parametrize(
    ("label", "words"),
    [
        (None, "the split test of digits has no labels"),
        (np.full(3, 10), "split test of digits has the label 10, and D learns the classes 0 to 9"),
    ],
)
def test_examples_by_which_no_d_can_be_judged_are_named(digits, label, words):
    given = {"train": digits, "validation": digits, "test": data.Split(digits.x[:3], label, None)}
    with pytest.raises(UserError, match=words):
        examples.all_fit(load_config("digits_semi_supervised"), given)


@pytest.mark.parametrize("role", ["train", "validation"])
def test_a_split_without_examples_is_named(digits, role):
    given = {"train": digits, "validation": digits} | {role: data.take(digits, slice(0, 0))}
    with pytest.raises(UserError, match=f"The split {role} of digits has no examples"):
        examples.all_fit(load_config("digits"), given)


def test_a_split_to_judge_classes_by_has_some_that_are_known(digits):
    config = load_config("digits_semi_supervised")
    unknown = digits._replace(label=np.full(len(digits.x), -1, np.int32))
    with pytest.raises(UserError, match="No example of the split validation of digits has a label"):
        examples.all_fit(config, {"train": digits, "validation": unknown})
    with pytest.raises(UserError, match="no examples of class -1, only of 1, 2, 3"):
        none = digits._replace(label=np.where(digits.label == 0, -1, digits.label))
        examples.of_classes(none, (-1,), "digits")


@pytest.mark.parametrize("label", [np.arange(297) / 2, np.zeros((297, 10), np.int32)])
def test_labels_of_another_form_are_refused_where_they_are_read(digits, label):
    config, of_another_form = load_config("digits"), digits._replace(label=label)
    assert examples.fit(of_another_form, config).label is label
    for field, value in (("classes", (3,)), ("num_labels", 10)):
        config = load_config("digits")
        config[field] = value
        with pytest.raises(UserError, match=r"The labels of digits are .* of shape \(297"):
            examples.fit(of_another_form, config)


def test_labels_become_int32_and_none_but_one_stands_for_unknown(digits):
    config = load_config("digits_semi_supervised")
    whole = digits._replace(label=digits.label.astype(np.uint64))
    assert examples.fit(whole, config).label.dtype == np.int32
    ignored = digits._replace(label=np.where(digits.label == 0, -100, digits.label))  # as in PyTorch
    with pytest.raises(UserError, match="A label of digits is -100; make labels classes from 0, and -1"):
        examples.fit(ignored, config)
    beyond = digits._replace(label=digits.label.astype(np.int64) + 2**32)  # as int32 the same as before
    with pytest.raises(UserError, match=r"A label of digits is 42949\d+; make labels int32"):
        examples.fit(beyond, config)


def test_a_class_that_training_examples_lack_is_thought_of(digits):
    config = load_config("digits_semi_supervised")
    without = data.take(digits, np.flatnonzero(digits.label != 9))
    with pytest.raises(UserError, match=r"needs 9, .*; if there is a class 9, name a split that has it"):
        examples.labelled_examples(config, without)


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        (np.zeros(297), r"have the shape \(297,\); make them \(N, A\)"),
        (np.zeros((297, 3)), "num_attributes is 2, but digits has 3"),
        (np.full((297, 2), -1), "are from -1 to -1; they must be zeros and ones"),
        (np.full((297, 2), np.nan), "are from nan to nan"),
    ],
)
def test_attributes_that_the_networks_do_not_take_are_refused(digits, attributes, words):
    config = load_config("digits")
    given = digits._replace(attributes=attributes)
    assert examples.fit(given, config).attributes is None
    config.model.num_attributes = 2
    with pytest.raises(UserError, match=words):
        examples.fit(given, config)


def test_an_example_that_is_not_finite_is_named_where_no_loss_would(digits):
    bad = digits._replace(x=np.where(np.arange(297)[:, None, None, None] == 7, np.nan, digits.x / 255))
    given = {"train": bad, "validation": digits}
    assert examples.all_fit(load_config("digits"), given)
    with pytest.raises(UserError, match=r"Example 7 \(from 0\) of the split validation of digits holds NaN"):
        examples.all_fit(load_config("digits"), given | {"validation": bad})


def test_points_far_from_0_are_refused():
    config = load_config("mixture")
    points = data.load("mixture", "test")
    assert examples.fit(points, config).x is points.x
    constant = points._replace(x=np.full_like(points.x, 9.0))
    assert examples.fit(constant, config).x is constant.x
    with pytest.raises(UserError, match="times as far from 0 as they spread; subtract their mean"):
        examples.fit(points._replace(x=points.x + 3000), config)
