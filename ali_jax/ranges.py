"""Which values each number of a config may have: the one table of them, and what is said of any other."""

import numbers
from collections.abc import Mapping
from typing import Any, NamedTuple

from ali_jax.augmentation import CHANGES
from ali_jax.errors import UserError

LARGEST = 3.4e38  # of float32, in which everything is computed
ROUNDING = 1e-3  # by so much floats of images may leave [0, 1], as resizing leaves them


class Range(NamedTuple):
    """An interval of numbers; never inf or NaN."""

    least: float = -LARGEST
    most: float = LARGEST
    whole: bool = False
    open_below: bool = False  # without `least` itself
    open_above: bool = False  # without `most` itself

    def __contains__(self, value: Any) -> bool:
        kind = numbers.Integral if self.whole else numbers.Real
        if not isinstance(value, kind) or isinstance(value, bool):
            return False
        above = value > self.least if self.open_below else value >= self.least
        return above and (value < self.most if self.open_above else value <= self.most)

    def __str__(self) -> str:
        """What a value must be: "at least 0 and finite", "in [0, 1)", "a whole number in [1, 2]"."""
        kind = "a whole number" if self.whole else "a finite number"
        if self.most < LARGEST:
            ends = "[("[self.open_below], "])"[self.open_above]
            interval = f"in {ends[0]}{self.least}, {self.most}{ends[1]}"
            return f"{kind} {interval}" if self.whole else interval
        if self.least == -LARGEST:
            return kind
        return f"{'above' if self.open_below else 'at least'} {self.least} and finite"


FINITE = Range()
NOT_NEGATIVE = Range(0)
POSITIVE = Range(0, open_below=True)
SHARE = Range(0, 1)
RATE = Range(0, 1, open_above=True)  # of a moment, which at 1 would never change; of dropout
COUNT = Range(1, 2**31 - 1, whole=True)  # what an int32 holds
NUMBER = Range(0, 2**31 - 1, whole=True)
NUMBER_OR_ALL = Range(-1, 2**31 - 1, whole=True)

# Of a config, by the path of the field; every other number of it is FINITE.
FIELDS = {
    "seed": Range(0, 2**32 - 1, whole=True),  # JAX takes two seeds for one that differ by more
    **dict.fromkeys(("batch_size", "num_steps", "keep_checkpoints"), COUNT),
    **dict.fromkeys(("log_every", "figures_every", "checkpoint_every"), COUNT),
    "steps_per_dispatch": Range(1, 10_000, whole=True),  # so many batches are in memory at once
    "learning_rate": POSITIVE,
    **dict.fromkeys(("rate_of.generator", "rate_of.encoder", "rate_of.discriminator"), NOT_NEGATIVE),
    **dict.fromkeys(("b1", "b2", "average_rate"), RATE),
    **dict.fromkeys(("decay_after", "freeze_generator_after"), SHARE),
    "weight_decay": NOT_NEGATIVE,
    **dict.fromkeys(("disturbance.noise_x", "disturbance.noise_z"), NOT_NEGATIVE),
    "disturbance.noise_until": Range(0, 1, open_below=True),
    **dict.fromkeys((f"disturbance.{change}" for change in CHANGES), SHARE),
    "images.zoom": Range(0, 1, open_below=True),
    "images.unreadable": RATE,
    "num_labels": NUMBER_OR_ALL,
    **dict.fromkeys(("label_seed", "labelled_batch_size", "model.num_attributes"), NUMBER),
    "classes": NUMBER,  # each
    **dict.fromkeys(("model.x_shape", "model.latent_dim", "model.packing"), COUNT),
    "model.leak": SHARE,
    "model.init_std": POSITIVE,
}
# Of a row of the networks.
COLUMNS = {
    **dict.fromkeys(("kernel", "stride", "features"), COUNT),
    "dropout": RATE,
    "input_noise": NOT_NEGATIVE,
}
# Of the terms of `ali_jax.terms`, by the name of the setting, which means the same in all of them.
SETTINGS = {
    **dict.fromkeys(("weight", "d", "ge", "gamma"), NOT_NEGATIVE),
    "temperature": POSITIVE,
    "share": Range(0, 1, open_below=True),
    **dict.fromkeys(CHANGES, SHARE),
    "noise": NOT_NEGATIVE,
    "every": COUNT,
    "power": Range(1, 2, whole=True),
}


def check(fields: Mapping[str, Any], before: str = "") -> None:
    """Raises a UserError for the first number of a config, or of the part at `before`, out of its range."""
    for name, value in fields.items():
        path = f"{before}{name}"
        if isinstance(value, Mapping):
            check(value, f"{path}.")
            continue
        _require_plain(f"config.{path}", value)
        if path in FIELDS or (isinstance(value, numbers.Real) and not isinstance(value, bool)):
            for each in value if isinstance(value, list | tuple) else (value,):
                require(f"config.{path}", each, FIELDS.get(path, FINITE))


def _require_plain(what: str, value: Any) -> None:
    """Raises a UserError for what config.json could not hold, as numbers of NumPy's."""
    for each in value if isinstance(value, list | tuple) else ():
        _require_plain(what, each)
    if not (value is None or isinstance(value, bool | int | float | str | list | tuple)):
        raise UserError(
            f"{what} is {value!r}, a {type(value).__name__}; write a plain number, text or tuple."
        )


def require(what: str, value: Any, within: Range) -> None:
    """Raises a UserError where `value` is out of its range."""
    if value not in within:
        raise UserError(f"{what} is {value!r}; it must be {within}.")
