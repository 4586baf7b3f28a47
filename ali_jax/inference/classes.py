"""Which class an image is of, by a D that was taught to tell classes apart (Section 4.3)."""

from collections.abc import Mapping

import jax
import numpy as np

from ali_jax.data import Split
from ali_jax.data.labels import with_label
from ali_jax.errors import UserError
from ali_jax.inference import inputs
from ali_jax.inference.passes import encode, judge
from ali_jax.pretrained import Model
from ali_jax.random_keys import require_key
from ali_jax.ranges import COUNT, require


def class_probabilities(
    model: Model,
    x: np.ndarray,
    attributes: np.ndarray | None = None,
    key: jax.Array | None = None,
    samples: int = 1,
) -> np.ndarray:
    """p(class | x, z, real) of a D with a logit for each class: (N, K).

    Through the mean code mu(x), or with a `key` the mean over `samples` draws of z from q(z|x). The paper
    does not say which (ours: the mean code).

    Raises:
      UserError: D has a single logit, or `samples` are asked for without a key.
    """
    if inputs.of_rows(model, "joint_stack", "discriminator").rows[-1].features == 1:
        raise UserError(
            "This model's discriminator has one logit and tells no classes apart; load a semi-supervised run."
        )
    if key is None:
        if samples != 1:
            raise UserError(f"samples is {samples!r}, and draws need a key; pass one, as jax.random.key(0).")
        return _class_probabilities(model, x, attributes, None)
    require("samples", samples, COUNT)
    draws = [
        _class_probabilities(model, x, attributes, k) for k in jax.random.split(require_key(key), samples)
    ]
    return np.mean(draws, axis=0)


def classification_error(model: Model, split: Split, key: jax.Array | None = None, samples: int = 1) -> float:
    """Share of the examples whose most probable class is wrong; see `class_probabilities`.

    Of those whose label is known, as -1 stands for one that is not.

    Raises:
      UserError: also where the labels are not a whole number for each example, or none is known.
    """
    if not isinstance(split, Split):
        raise UserError(
            f"The split is a {type(split).__name__}; pass data.Split(x, label, attributes), the last None "
            "where there are none."
        )
    # Arrays, as a column of pandas is indexed by its index and not by place.
    x, label = inputs.examples(model, split.x), np.asarray(split.label)
    split = Split(x, label, None if split.attributes is None else np.asarray(split.attributes))
    if label.shape != (len(x),) or not np.issubdtype(label.dtype, np.integer):
        raise UserError(
            f"The labels have the shape {label.shape} and are of type {label.dtype}; pass a whole number for "
            f"each of the {len(x)} examples."
        )
    split = with_label(split)
    if not len(split.x):
        raise UserError("None of the examples has a label that is known; pass some that have.")
    probabilities = class_probabilities(model, split.x, split.attributes, key, samples)
    return float(np.mean(np.argmax(probabilities, axis=-1) != np.asarray(split.label)))


def errors(model: Model, splits: Mapping[str, Split]) -> dict[str, float]:
    """{"validation": split} -> {"validation_error": share}, through the mean code."""
    return {f"{name}_error": classification_error(model, split) for name, split in splits.items()}


def _class_probabilities(model, x, attributes, key):
    z = None if model.networks.encoder is None else encode(model, x, attributes, key)
    return np.asarray(jax.nn.softmax(judge(model, x, z, attributes).joint, axis=-1))
