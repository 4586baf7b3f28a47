"""Directions of z, with a generator whose changes can be computed by hand."""

import functools
import types

import numpy as np
import pytest

from ali_jax.errors import UserError
from ali_jax.inference import directions

WEIGHTS = np.float32([1, 20, 5])  # of the dimensions of z in the images that G makes


@pytest.fixture
def linear(monkeypatch):
    """G(z) = WEIGHTS * z, which takes no model; what it was told of attributes."""
    told = []

    def decode(model, z, attributes=None):
        told.append(attributes)
        return z * WEIGHTS

    monkeypatch.setattr(directions, "decode", decode)
    return types.SimpleNamespace(
        told=told,
        principal=functools.partial(directions.principal, None),
        towards=functools.partial(directions.towards, None),
    )


@pytest.fixture
def codes():
    """Independent, with standard deviations of about 3, 0.1 and 1."""
    return np.float32(np.random.default_rng(0).normal(size=(500, 3)) * [3, 0.1, 1])


def test_principal_directions_are_deviations_of_codes_by_what_they_change(linear, codes):
    found = linear.principal(codes)
    steps = np.stack([direction.step for direction in found])
    # 5 * 1, then 1 * 3, then 20 * 0.1: not by their variance, nor by the weight alone.
    np.testing.assert_array_equal(np.abs(steps).argmax(axis=1), [2, 0, 1])
    np.testing.assert_allclose(np.linalg.norm(steps, axis=1), codes.std(axis=0)[[2, 0, 1]], rtol=0.02)
    change = np.sqrt(np.mean(np.square(steps * WEIGHTS), axis=1))
    np.testing.assert_allclose([direction.change for direction in found], change, rtol=1e-4)
    assert [direction.name for direction in found] == ["1", "2", "3"]
    assert (np.take_along_axis(steps, np.abs(steps).argmax(axis=1)[:, None], axis=1) > 0).all()


def test_there_are_no_more_directions_than_dimensions_codes_or_wanted(linear, codes):
    assert len(linear.principal(codes, count=1)) == 1
    assert len(linear.principal(codes[:2])) == 1
    with pytest.raises(UserError, match="at least 2"):
        linear.principal(codes[:1])
    with pytest.raises(UserError, match="diverged"):
        linear.principal(np.where(np.arange(500)[:, None] == 7, np.nan, codes))
    with pytest.raises(UserError, match="count is 0"):
        linear.principal(codes, count=0)
    with pytest.raises(UserError, match="500 examples and 1 of attributes"):
        linear.principal(codes, np.zeros((1, 2)))
    with pytest.raises(UserError, match=r"codes has the shape \(3,\)"):
        linear.principal(codes[0])


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (4, "is no array of examples, but int"),
        (np.ones((500, 3), object), "holds values of type object"),
        (np.full((500, 3), "1"), "holds values of type <U1"),
        (np.ones((500, 3)) + 1j, "holds values of type complex128"),
        ([[1.0, 2.0, 3.0]] * 499 + [[1.0]], "makes no array"),
    ],
)
def test_codes_and_attributes_that_are_no_numbers_are_told(linear, codes, wrong, words):
    for find in (linear.principal, functools.partial(linear.towards, groups={"all": [True] * 500})):
        with pytest.raises(UserError, match=f"codes {words}"):
            find(wrong)
        with pytest.raises(UserError, match=f"attributes {words}"):
            find(codes, attributes=wrong)


def test_the_way_to_a_group_is_from_the_mean_of_the_others(linear):
    codes = np.float32([[0, 0, 0], [2, 0, 0], [4, 6, 0]])
    inside = np.array([False, False, True])
    (found,) = linear.towards(codes, {"last": inside, "none": inside & False, "all": inside | True})
    assert found.name == "last"
    np.testing.assert_allclose(found.step, [3, 6, 0], rtol=1e-6)
    np.testing.assert_allclose(found.change, np.sqrt(np.mean(np.square(found.step * WEIGHTS))), rtol=1e-5)
    assert linear.towards(codes, {}) == []
    np.testing.assert_array_equal(linear.towards(codes, {"last": [0, 0, 1]})[0].step, found.step)
    # Numbers of rows, labels, no bits, too few, words, an array within.
    for group in ([2], [0, 1, 2], [0.5, 0, 1], inside[:2], ["in", "", ""], [0, 0, [1]]):
        with pytest.raises(UserError, match=r"The group 'last' must say of each of the 3 codes"):
            linear.towards(codes, {"last": group})
    with pytest.raises(UserError, match=r"groups is of type list; pass a dict of names and masks"):
        linear.towards(codes, [inside])


def test_a_step_to_a_group_is_no_less_than_a_deviation(linear):
    """The means are at 0 and 1, all codes at -10, 10 and 1."""
    codes = np.float32([[0, -10, 0], [0, 10, 0], [0, 1, 0]])
    (found,) = linear.towards(codes, {"middle": np.array([False, False, True])})
    np.testing.assert_allclose(found.step, [0, np.std([-10, 10, 1]), 0], rtol=1e-6)


def test_a_conditional_generator_is_told_the_attributes_of_each_code(linear, codes):
    attributes = np.float32(np.arange(500) % 2)[:, None]
    linear.principal(codes, attributes)
    rows = np.linspace(0, 499, directions.PROBES).astype(int)
    for told in linear.told:
        np.testing.assert_array_equal(told, np.tile(attributes[rows], (3, 1)))
