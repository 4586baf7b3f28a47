"""The table of ranges: complete, and each range refuses what it should."""

import math
import re

import numpy as np
import pytest
from conftest import CONFIGS, load_config

from ali_jax import config as config_lib
from ali_jax import ranges
from ali_jax.errors import UserError
from ali_jax.models.rows import Row
from ali_jax.run.overrides import paths

NAMES = sorted(path.stem for path in CONFIGS.glob("*.py"))
NEVER = (math.nan, math.inf, -math.inf, 1e39, True, "1", None)


@pytest.mark.parametrize("name", NAMES)
def test_every_number_of_a_config_and_of_a_row_has_a_range(name):
    config = load_config(name)
    fields = config.to_dict()
    for path in paths(config):
        value = fields
        for name in path.split("."):
            value = value[name]
        if isinstance(value, int | float) and not isinstance(value, bool) and not path.startswith("terms."):
            assert path in ranges.FIELDS, path
    assert {*ranges.FIELDS} <= {*paths(config)}
    assert {*ranges.COLUMNS} == {name for name, kind in Row.__annotations__.items() if kind in (int, float)}


@pytest.mark.parametrize(
    "within", {*ranges.FIELDS.values(), *ranges.SETTINGS.values(), ranges.FINITE}, ids=str
)
def test_no_range_holds_what_is_no_finite_number(within):
    assert not [value for value in NEVER if value in within]
    # A value strictly inside, and the ends.
    inside = 1 if within.whole else (max(within.least, -1) + min(within.most, 1)) / 2
    assert inside in within
    assert (within.least in within) != within.open_below and (within.most in within) != within.open_above
    assert within.whole == (0.5 not in within and 1.5 not in within)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("seed", 2**63, "a whole number in [0, 4294967295]"),
        ("seed", -1, "a whole number in [0, 4294967295]"),
        ("learning_rate", 0.0, "above 0 and finite"),
        ("learning_rate", math.nan, "above 0 and finite"),
        ("weight_decay", math.inf, "at least 0 and finite"),
        ("rate_of.encoder", math.nan, "at least 0"),
        ("model.leak", math.inf, "in [0, 1]"),
        ("model.init_std", 0.0, "above 0"),
        ("model.latent_dim", 0, "a whole number in [1, "),
        ("model.num_attributes", -1, "a whole number in [0, "),
        ("disturbance.noise_x", math.inf, "at least 0"),
        ("terms.adversarial.d", math.nan, "a finite number"),
    ],
)
def test_a_value_out_of_its_range_is_named_with_it(tiny_config, path, value, words):
    *parents, field = path.split(".")
    part = tiny_config
    for parent in parents:
        part = part[parent]
    part[field] = value
    with pytest.raises(UserError, match=re.escape(f"config.{path} is {value}; it must be {words}")):
        config_lib.check(tiny_config)


@pytest.mark.parametrize("classes", [((1, 2),), (1, True), ("3",), (-1,)])
def test_classes_are_numbers(tiny_config, classes):
    tiny_config.classes = classes
    with pytest.raises(UserError, match=r"config\.classes is .*; it must be a whole number in \[0, "):
        config_lib.check(tiny_config)


def test_sizes_of_examples_are_counts(tiny_config):
    tiny_config.model.x_shape = (8, 0, 1)
    with pytest.raises(UserError, match=r"config\.model\.x_shape is 0; it must be a whole number"):
        config_lib.check(tiny_config)


def test_numbers_of_numpy_are_numbers():
    assert np.float32(0.5) in ranges.SHARE and np.int64(3) in ranges.COUNT
    assert np.float32(3) not in ranges.COUNT and np.float32("nan") not in ranges.FINITE
