"""Rows of networks: one call a layer, to be read beside the paper's tables.

    conv(64, 4, stride=2, norm=True, dropout=0.2)  # 64 maps, kernel 4x4, BN, dropout on the input, leaky ReLU

A row is a tuple, so that a config's JSON and the command line can hold it too: there its values stand in the
order of `Row`, the last two optional.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from ali_jax import ranges
from ali_jax.errors import UserError


class Row(NamedTuple):
    """One layer: the columns of the tables in the paper's appendix, then what it says elsewhere."""

    operation: str  # a key of `layers.OPERATIONS` or of `layers.APPENDED`
    kernel: int  # side of the square kernel; 1 where there is none
    stride: int
    features: int  # channels out of the operation, before a maxout takes the maximum
    norm: bool  # batch normalisation between the operation and the nonlinearity; then there is no bias
    dropout: float  # probability of dropping an element of the layer's INPUT, in training
    nonlinearity: str  # a key of `layers.NONLINEARITIES`
    bias: str = "none"  # "none", "tied" (one per channel) or "untied" (one per output element)
    # Standard deviation of the Gaussian noise on the layer's INPUT, in training (Salimans et al., 2016).
    input_noise: float = 0.0


# Of these operations kernel and stride are 1.
WITHOUT_KERNEL = frozenset({"dense", "flatten", "mean", "identity", "embed", "embed_frozen", "noise"})
BIASES = ("none", "tied", "untied")
# What the values of each type must be, in words and as Python has them.
KINDS = {
    str: ("a name in quotes", str),
    int: ("a whole number", int),
    bool: ("True or False", bool),
    float: ("a number", (int, float)),
}


def conv(features: int, kernel: int = 1, **options: Any) -> Row:
    """A convolution without padding ("VALID"); `options` are those of `row`."""
    return row("convolution", features, kernel, **options)


def transposed(features: int, kernel: int = 1, **options: Any) -> Row:
    """A transposed convolution, the adjoint of `conv`; `options` are those of `row`."""
    return row("transposed", features, kernel, **options)


def dense(features: int, **options: Any) -> Row:
    """A matrix product of all that an example holds; `options` are those of `row`."""
    return row("dense", features, **options)


def identity(features: int, **options: Any) -> Row:
    """The input as it is: a row that only drops, or only takes a maximum."""
    return row("identity", features, bias="none", **options)


def mean(features: int, **options: Any) -> Row:
    """The mean of each channel over the image; where nothing else is said, linear and without a bias."""
    return row("mean", features, **({"nonlinearity": "linear", "bias": "none"} | options))


def embed(features: int, learned: bool = True) -> Row:
    """A linear embedding of the attributes, appended to the channels; learned, or random and fixed."""
    bias = "tied" if learned else "none"
    return row("embed" if learned else "embed_frozen", features, nonlinearity="linear", bias=bias)


def noise(features: int) -> Row:
    """The encoder's noise, appended to the channels: an implicit posterior."""
    return row("noise", features, nonlinearity="linear", bias="none")


def row(
    operation: str,
    features: int,
    kernel: int = 1,
    *,
    stride: int = 1,
    norm: bool = False,
    dropout: float = 0.0,
    nonlinearity: str = "leaky_relu",
    bias: str | None = None,
    input_noise: float = 0.0,
) -> Row:
    """A row of any operation; see `Row`. The bias is by default "tied", and "none" beside a norm."""
    bias = ("none" if norm else "tied") if bias is None else bias
    return Row(operation, kernel, stride, features, norm, dropout, nonlinearity, bias, input_noise)


def parse(field: str, number: int, values: Sequence[Any], operations, appended, nonlinearities) -> Row:
    """The values of a row as a `Row`.

    Args:
      field: that holds the row, for messages.
      number: of the row there, from 1.
      values: in the order of `Row`.
      operations: names of the operations that transform their input.
      appended: names of the operations that append channels to it.
      nonlinearities: names of the nonlinearities.

    Raises:
      UserError: naming field, row and what is wrong with it.
    """
    where = f"Row {number} of {field}"
    try:
        if isinstance(values, str):  # of a stack of one row that lacks the comma behind it
            raise TypeError
        parsed = Row(*values)
    except TypeError:
        raise UserError(
            f"{where} is {values!r}; a row is ({', '.join(Row._fields)}), the last two optional."
        ) from None
    for name, kind in Row.__annotations__.items():
        words, types = KINDS[kind]
        if not isinstance(getattr(parsed, name), types):
            raise UserError(f"{where}: {name} is {getattr(parsed, name)!r}; it must be {words}.")
    if parsed.operation not in (*operations, *appended):
        known = ", ".join((*operations, *appended))
        raise UserError(f"{where}: the operation {parsed.operation!r} is none of {known}.")
    if parsed.nonlinearity not in nonlinearities:
        raise UserError(
            f"{where}: the nonlinearity {parsed.nonlinearity!r} is none of {', '.join(nonlinearities)}."
        )
    if parsed.bias not in BIASES or (parsed.norm and parsed.bias != "none"):
        raise UserError(
            f"{where}: the bias is {parsed.bias!r}; it must be {', '.join(BIASES[:-1])} or {BIASES[-1]}, and "
            "none where there is batch normalisation, which has its own shift."
        )
    biased = parsed.bias != "none" and parsed.operation != "embed"
    if parsed.operation in appended and (parsed.norm or biased):
        raise UserError(
            f"{where}: {parsed.operation} appends channels as they are; it has no batch normalisation, and "
            "only embed may have a bias."
        )
    for name, within in ranges.COLUMNS.items():
        ranges.require(f"{where}: {name}", getattr(parsed, name), within)
    if parsed.operation in WITHOUT_KERNEL and (parsed.kernel, parsed.stride) != (1, 1):
        raise UserError(
            f"{where} has kernel {parsed.kernel} and stride {parsed.stride}, and {parsed.operation} has "
            "neither; write 1 and 1."
        )
    return parsed
