"""Inputs of every kind to a trained model: what comes out is finite and as many as went in, or a sentence."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from conftest import make_tiny_config
from helpers import untrained
from PIL import Image

from ali_jax import data, inference
from ali_jax.errors import UserError

from .tally import Case

DTYPES = "bool uint8 uint16 int8 int16 int32 int64 float16 float32 float64 complex64 str object".split()
SHAPES = {
    "as it is": lambda x: x,
    "one of them": lambda x: x[0],
    "none of them": lambda x: x[:0],
    "a column short": lambda x: x[..., :-1] if x.ndim == 2 else x[:, :, :-1],
    "an axis more": lambda x: x[None],
    "an axis less": lambda x: x[..., 0],
    "channels twice": lambda x: np.concatenate([x, x], axis=-1),
    "flat": lambda x: x.reshape(len(x), -1),
    "a list": list,
    "a list of several shapes": lambda x: [x[0], x[1, :1]],
}
VALUES = {
    "as they are": lambda x: x,
    "up to 255": lambda x: x * 255.0,
    "from -1 to 1": lambda x: x * 2.0 - 1,
    "with NaN": lambda x: np.where(x == x.max(), np.nan, x),
    "with inf": lambda x: np.where(x == x.max(), np.inf, x),
    "large": lambda x: x * 1e6,
}
NO_ARRAYS = (None, 5, "digits", [], {}, [None], Image.new("L", (8, 8)), [Image.new("RGB", (9, 8))], b"x")


def of_inference(seed: int) -> Iterator[Case]:
    """Without end."""
    chance = random.Random(seed)
    images = data.load("digits", "test").x[:4]
    model = untrained(make_tiny_config(), x=images)
    x, z = images / np.float32(255), np.linspace(-2, 2, 12, dtype=np.float32).reshape(4, 3)
    uses: dict[str, Callable] = {
        "encode": lambda given: inference.encode(model, given),
        "encode, drawn": lambda given: inference.encode(model, given, key=jax.random.key(0)),
        "reconstruct": lambda given: inference.reconstruct(model, given),
        "features": lambda given: inference.features(model, given)["mu"],
        "judge": lambda given: inference.judge(model, given, z).score,
        "interpolate": lambda given: inference.interpolate(model, given, x),
        "attributes": lambda given: inference.encode(model, x, given),
        "decode": lambda given: inference.decode(model, given),
        "judge's codes": lambda given: inference.judge(model, x, given).score,
    }
    while True:
        name, use = chance.choice(sorted(uses.items()))
        words, given = draw(chance, z if name in ("decode", "judge's codes") else x)
        yield f"{name} of {words}", lambda use=use, given=given: require_sense(use, given)


def draw(chance: random.Random, x: np.ndarray) -> tuple[str, Any]:
    """(in words, an input): x in another type, shape or range, or no array at all."""
    if chance.random() < 0.1:
        given = chance.choice(NO_ARRAYS)
        return repr(given), given
    (values, of_values), (shape, of_shape) = (chance.choice([*part.items()]) for part in (VALUES, SHAPES))
    dtype = chance.choice(DTYPES)
    with np.errstate(all="ignore"):
        return f"{dtype}, {shape}, values {values}", of_shape(of_values(x).astype(dtype))


def require_sense(use: Callable, given: Any) -> None:
    try:
        found = np.asarray(use(given))
    except UserError as error:
        assert "\n" not in str(error), error
        return
    assert np.isfinite(found).all() and len(found) == 4, found
