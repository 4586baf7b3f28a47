"""Constructors of rows against rows written by hand; what `parse` says of wrong ones."""

import pytest

from ali_jax.errors import UserError
from ali_jax.models import layers
from ali_jax.models.rows import Row, conv, dense, embed, identity, mean, noise, parse, transposed


def parsed(values, number=3):
    named = layers.OPERATIONS, (*layers.APPENDED, "clock"), layers.NONLINEARITIES
    return parse("config.model.encoder", number, values, *named)


@pytest.mark.parametrize(
    ("row", "values"),
    [
        # operation, kernel, stride, features, norm, dropout, nonlinearity, bias, input_noise
        (conv(64), ("convolution", 1, 1, 64, False, 0.0, "leaky_relu", "tied", 0.0)),
        (conv(64, 4), ("convolution", 4, 1, 64, False, 0.0, "leaky_relu", "tied", 0.0)),
        (
            conv(64, 4, stride=2, norm=True, dropout=0.2),
            ("convolution", 4, 2, 64, True, 0.2, "leaky_relu", "none", 0.0),
        ),
        (
            conv(64, dropout=0.5, bias="none"),
            ("convolution", 1, 1, 64, False, 0.5, "leaky_relu", "none", 0.0),
        ),
        (
            conv(3, nonlinearity="sigmoid", bias="untied"),
            ("convolution", 1, 1, 3, False, 0.0, "sigmoid", "untied", 0.0),
        ),
        (transposed(64), ("transposed", 1, 1, 64, False, 0.0, "leaky_relu", "tied", 0.0)),
        (
            transposed(64, 5, stride=2, norm=True),
            ("transposed", 5, 2, 64, True, 0.0, "leaky_relu", "none", 0.0),
        ),
        (dense(10), ("dense", 1, 1, 10, False, 0.0, "leaky_relu", "tied", 0.0)),
        (
            dense(10, norm=True, nonlinearity="relu"),
            ("dense", 1, 1, 10, True, 0.0, "relu", "none", 0.0),
        ),
        (dense(10, input_noise=0.3), ("dense", 1, 1, 10, False, 0.0, "leaky_relu", "tied", 0.3)),
        (
            identity(8, dropout=0.5, nonlinearity="maxout2"),
            ("identity", 1, 1, 8, False, 0.5, "maxout2", "none", 0.0),
        ),
        (mean(64), ("mean", 1, 1, 64, False, 0.0, "linear", "none", 0.0)),
        (mean(64, dropout=0.5), ("mean", 1, 1, 64, False, 0.5, "linear", "none", 0.0)),
        (embed(256), ("embed", 1, 1, 256, False, 0.0, "linear", "tied", 0.0)),
        (embed(256, learned=False), ("embed_frozen", 1, 1, 256, False, 0.0, "linear", "none", 0.0)),
        (noise(2), ("noise", 1, 1, 2, False, 0.0, "linear", "none", 0.0)),
    ],
)
def test_constructors_give_the_row_written_by_hand(row, values):
    assert row == values
    assert parsed(row) == row


def test_the_last_two_values_are_optional_and_any_sequence_will_do():
    short = ["dense", 1, 1, 8, True, 0.0, "relu"]
    assert parsed(short) == Row("dense", 1, 1, 8, True, 0.0, "relu", bias="none", input_noise=0.0)
    assert parsed((*short[:4], False, 0, "relu", "untied")).bias == "untied"
    assert isinstance(parsed(short), Row)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (("dense", 1, 1, 2, False, 0.0), "is ('dense', 1, 1, 2, False, 0.0); a row is (operation, kernel, "),
        (("dense", 1, 1, 2, False, 0.0, "relu", "tied", 0.1, 7), "the last two optional"),
        (5, "is 5; a row is"),
        ("identity", "is 'identity'; a row is"),
        (("pool", 1, 1, 2, False, 0.0, "relu"), "operation 'pool' is none of convolution, transposed, dense"),
        (("dense", 1, 1, 2, False, 0.0, "swish"), "nonlinearity 'swish' is none of linear, relu"),
        (
            ("dense", 1, 1, 2, False, 0.0, "relu", "free"),
            "the bias is 'free'; it must be none, tied or",
        ),
        (("dense", 1, 1, 2, True, 0.0, "relu", "tied"), "none where there is batch normalisation"),
        (("embed", 1, 1, 2, True, 0.0, "linear"), "embed appends channels as they are; it has no batch"),
        (("embed_frozen", 1, 1, 2, False, 0.0, "linear", "tied"), "only embed may have a bias"),
        (("noise", 1, 1, 2, False, 0.0, "linear", "untied"), "only embed may have a bias"),
        (("clock", 1, 1, 2, False, 0.0, "linear", "tied"), "only embed may have a bias"),
        (("dense", 0, 1, 2, True, 0.0, "relu"), "kernel is 0; it must be a whole number in [1, "),
        (("dense", 1, 0, 2, True, 0.0, "relu"), "stride is 0; it must be a whole number"),
        (("dense", 1, 1, -2, True, 0.0, "relu"), "features is -2; it must be a whole number"),
        (("dense", 1, 1, 2, True, 1.0, "relu"), "dropout is 1.0; it must be in [0, 1)"),
        (("dense", 1, 1, 2, True, -0.1, "relu"), "dropout is -0.1; it must be in [0, 1)"),
        (("dense", 1, 1, 2, True, float("nan"), "relu"), "dropout is nan; it must be in [0, 1)"),
        (("dense", 1, 1, 2, True, 0.0, "relu", "none", -0.1), "input_noise is -0.1; it must be at least 0"),
        (("dense", 1, 1, 2, True, 0.0, "relu", "none", float("inf")), "input_noise is inf; it must be at"),
        (("dense", 5, 3, 2, True, 0.0, "relu"), "has kernel 5 and stride 3, and dense has neither; write 1"),
        (("mean", 1, 2, 2, True, 0.0, "relu"), "has kernel 1 and stride 2, and mean has neither"),
        (("dense", True, 1, 2, True, 0.0, "relu"), "kernel is True; it must be"),
        ((["dense"], 1, 1, 2, True, 0.0, "relu"), "operation is ['dense']; it must be a name in quotes"),
        (("dense", "1", 1, 2, True, 0.0, "relu"), "kernel is '1'; it must be a whole number"),
        (("dense", 1, 1.5, 2, True, 0.0, "relu"), "stride is 1.5; it must be a whole number"),
        (("dense", 1, 1, None, True, 0.0, "relu"), "features is None; it must be a whole number"),
        (("dense", 1, 1, 2, "False", 0.0, "relu"), "norm is 'False'; it must be True or False"),
        (("dense", 1, 1, 2, False, "0.2", "relu"), "dropout is '0.2'; it must be a number"),
        (("dense", 1, 1, 2, False, 0.0, {}), "nonlinearity is {}; it must be a name in quotes"),
        (("dense", 1, 1, 2, False, 0.0, "relu", None), "bias is None; it must be a name in quotes"),
        (
            ("dense", 1, 1, 2, False, 0.0, "relu", "tied", "much"),
            "input_noise is 'much'; it must be a",
        ),
    ],
)
def test_a_wrong_row_is_named_with_its_field(values, words):
    with pytest.raises(UserError) as error:
        parsed(values, number=7)
    message = str(error.value)
    assert message.startswith("Row 7 of config.model.encoder")
    assert words in message
    assert "\n" not in message
