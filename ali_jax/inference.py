"""Using a trained model: sample, encode, reconstruct, interpolate, features.

    from ali_jax import inference

    model = inference.load("runs/svhn")
    codes = inference.encode(model, images)  # uint8 (N, 32, 32, 3) -> (N, 256)

Networks run with their running statistics and without dropout. Images go in as uint8 or as floats in [0, 1],
any number of them, and come out as float32 in [0, 1]. Conditional models take `attributes`, (N, A) of zeros
and ones.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from ali_jax.data import Split
from ali_jax.errors import UserError
from ali_jax.models import HEADS, Judgement, packing_of, unit_interval
from ali_jax.pretrained import Model, load, of_state

__all__ = [
    "Model",
    "class_probabilities",
    "classification_error",
    "compare",
    "decode",
    "encode",
    "errors",
    "features",
    "interpolate",
    "judge",
    "linear",
    "load",
    "of_state",
    "reconstruct",
    "sample",
    "spherical",
]

CHUNK = 500  # examples through a network at a time


def sample(model: Model, key: jax.Array, count: int, attributes: np.ndarray | None = None) -> np.ndarray:
    """G(z) of `count` draws z from the prior: (count, H, W, C)."""
    return decode(model, model.networks.generator.sample_prior(key, count), attributes)


def decode(model: Model, z: np.ndarray, attributes: np.ndarray | None = None) -> np.ndarray:
    """G(z): codes (N, n) -> (N, H, W, C)."""
    run = functools.partial(_generate, model.networks.generator, model.variables("generator"))
    return _in_chunks(run, z, attributes)


def encode(
    model: Model,
    x: np.ndarray,
    attributes: np.ndarray | None = None,
    key: jax.Array | None = None,
) -> np.ndarray:
    """Codes of x, (N, n): the mean mu(x), or with a `key` a draw from q(z|x).

    An implicit encoder (noise as an input) has no mean to read off: without a key its noise is zero.
    """
    noise = jnp.zeros((len(x), _encoder(model).noise_dim))
    if key is not None:
        noise = jax.random.normal(key, noise.shape)
    run = functools.partial(_encode, _encoder(model), model.variables("encoder"))
    return _in_chunks(run, x, noise, attributes)


def reconstruct(
    model: Model,
    x: np.ndarray,
    attributes: np.ndarray | None = None,
    key: jax.Array | None = None,
) -> np.ndarray:
    """G(E(x)), (N, H, W, C), through the mean code, or with a `key` through a draw (as the paper)."""
    return decode(model, encode(model, x, attributes, key), attributes)


def linear(z1: np.ndarray, z2: np.ndarray, along: np.ndarray) -> np.ndarray:
    """Points on the line from z1 to z2, (N, n), at fractions `along`, (T,): (N, T, n)."""
    along = along[None, :, None]
    return z1[:, None] + along * (z2 - z1)[:, None]


def spherical(z1: np.ndarray, z2: np.ndarray, along: np.ndarray) -> np.ndarray:
    """As `linear`, but on an arc about the origin (slerp), where codes between long ones stay long."""
    cosine = np.sum(z1 * z2, axis=1) / (np.linalg.norm(z1, axis=1) * np.linalg.norm(z2, axis=1))
    # Not 0 (there the arc is the line) and not pi (there it is any arc), where the formula divides by 0.
    angle = np.clip(np.arccos(np.clip(cosine, -1, 1)), 1e-3, np.pi - 1e-3)[:, None, None]
    along = along[None, :, None]
    weights = np.sin((1 - along) * angle), np.sin(along * angle)
    return ((weights[0] * z1[:, None] + weights[1] * z2[:, None]) / np.sin(angle)).astype(np.float32)


def interpolate(
    model: Model,
    x1: np.ndarray,
    x2: np.ndarray,
    steps: int = 10,
    attributes: np.ndarray | None = None,
    key: jax.Array | None = None,
    attributes2: np.ndarray | None = None,
    path: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray] = linear,
) -> np.ndarray:
    """Decodings along the way between the codes of x1 and of x2: (N, steps + 1, H, W, C).

    The first is the reconstruction of x1, the last that of x2 (Section 4.2).

    Args:
      attributes: of x1, and of x2 too unless `attributes2` says otherwise; those between are on a line.
      path: `linear` (the paper) or `spherical`.
    """
    keys = (None, None) if key is None else jax.random.split(key)
    attributes2 = attributes if attributes2 is None else attributes2
    z1, z2 = encode(model, x1, attributes, keys[0]), encode(model, x2, attributes2, keys[1])
    along = np.linspace(0, 1, steps + 1, dtype=np.float32)
    z = path(z1, z2, along)  # (N, steps + 1, n)
    if attributes is not None:
        ends = (np.asarray(a, np.float32) for a in (attributes, attributes2))
        attributes = linear(*ends, along).reshape(-1, attributes.shape[-1])
    decoded = decode(model, z.reshape(-1, z.shape[-1]), attributes)
    return decoded.reshape(*z.shape[:2], *decoded.shape[1:])


def features(
    model: Model,
    x: np.ndarray,
    attributes: np.ndarray | None = None,
    reduce: Callable[[dict[str, jax.Array]], Any] | None = None,
) -> Any:
    """Every layer of E before its nonlinearity, by name ("layer_1" ...), and "mu"; each (N, ...).

    With `reduce`, a function of that dict, what it returns: it runs on the device, on a chunk of examples at
    a time, so that layers it drops or pools are never held for all of them.
    """
    run = functools.partial(_features, _encoder(model), reduce, model.variables("encoder"))
    return _in_chunks(run, x, attributes)


def judge(
    model: Model, x: np.ndarray, z: np.ndarray | None = None, attributes: np.ndarray | None = None
) -> Judgement:
    """D's judgement of pairs x (N, ...) and z (N, n): logits, high where it takes them for the encoder's.

    `judge(model, x, encode(model, x))` is of real pairs, `judge(model, decode(model, z), z)` of generated
    ones. A plain GAN's D looks at x alone: leave z out. A D that packs m pairs judges them m by m, in the
    order given: N must be a multiple of m, and the judgement is of N / m packs.
    """
    module = model.networks.discriminator
    packing = packing_of(module)
    if len(x) % packing:
        raise UserError(
            f"This model's D judges {packing} pairs together, and {len(x)} are no multiple; leave some out."
        )
    run = functools.partial(_judge, module, model.variables("discriminator"))
    return _in_chunks(run, x, z, attributes, packing=packing)


def compare(
    model: Model,
    first: np.ndarray,
    second: np.ndarray,
    attributes: np.ndarray | None = None,
    twins: str = "xx",
) -> Judgement:
    """What D_xx makes of pairs of x (N, ...), or with twins="zz" D_zz of pairs of z (N, n): high for twins.

    `compare(model, x, reconstruct(model, x)).score` falls where the model cannot bring x back; ALAD's score
    of anomalies is the L1 distance of its `hidden` from that of `compare(model, x, x)` (Zenati et al., 2018).

    Raises:
      UserError: the model has no such D.
    """
    module = model.networks.discriminator
    if twins not in ("xx", "zz") or getattr(module, f"{twins}_stack") is None:
        raise UserError(
            f"This model's D tells no pairs {twins!r} apart; load a run whose config.model has "
            f"{HEADS['xx']} or {HEADS['zz']}."
        )
    run = functools.partial(_compare, module, twins, model.variables("discriminator"))
    return _in_chunks(run, first, second, attributes)


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
      UserError: D has a single logit.
    """
    if model.networks.discriminator.joint_stack.rows[-1].features == 1:
        raise UserError(
            "This model's discriminator has one logit and tells no classes apart; load a semi-supervised run."
        )
    if key is None:
        return _class_probabilities(model, x, attributes, None)
    draws = [_class_probabilities(model, x, attributes, k) for k in jax.random.split(key, samples)]
    return np.mean(draws, axis=0)


def classification_error(model: Model, split: Split, key: jax.Array | None = None, samples: int = 1) -> float:
    """Share of the examples whose most probable class is wrong; see `class_probabilities`."""
    probabilities = class_probabilities(model, split.x, split.attributes, key, samples)
    return float(np.mean(np.argmax(probabilities, axis=-1) != split.label))


def errors(model: Model, splits: Mapping[str, Split]) -> dict[str, float]:
    """{"validation": split} -> {"validation_error": share}, through the mean code."""
    return {f"{name}_error": classification_error(model, split) for name, split in splits.items()}


def _class_probabilities(model, x, attributes, key):
    z = None if model.networks.encoder is None else encode(model, x, attributes, key)
    return np.asarray(jax.nn.softmax(judge(model, x, z, attributes).joint, axis=-1))


def _encoder(model: Model):
    if model.networks.encoder is None:
        raise UserError("This model is a plain GAN: it has no encoder to encode images with.")
    return model.networks.encoder


@functools.partial(jax.jit, static_argnums=0)
def _generate(module, variables, z, attributes):
    return module.apply(variables, z, attributes).astype(jnp.float32)


@functools.partial(jax.jit, static_argnums=0)
def _encode(module, variables, x, noise, attributes):
    return module.apply(variables, unit_interval(x), noise, attributes).z


@functools.partial(jax.jit, static_argnums=0)
def _judge(module, variables, x, z, attributes):
    return module.apply(variables, unit_interval(x), z, attributes)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _compare(module, twins, variables, first, second, attributes):
    inputs = (unit_interval(first), unit_interval(second), attributes)
    return module.apply(variables, twins, *inputs, method="compare")


@functools.partial(jax.jit, static_argnums=(0, 1))
def _features(module, reduce, variables, x, attributes):
    noise = jnp.zeros((len(x), module.noise_dim))
    encoding, sown = module.apply(variables, unit_interval(x), noise, attributes, mutable=["intermediates"])
    layers = {name: layer["output"][0] for name, layer in sown["intermediates"]["stack"].items()}
    layers = layers | {"mu": encoding.z}
    return layers if reduce is None else reduce(layers)


def _in_chunks(run, *arrays, packing: int = 1):
    """run(*arrays), at most CHUNK examples, in whole packs, at a time; None stands for an absent array."""
    count = len(arrays[0])
    if count == 0:
        raise UserError("There are no examples to run the model on.")
    chunks, size = [], max(CHUNK // packing, 1) * packing
    # A bar only where a terminal watches and it takes longer than a few seconds.
    for start in tqdm(range(0, count, size), delay=5, disable=None, leave=False, unit="chunk"):
        part = [None if a is None else a[start : start + size] for a in arrays]
        chunks.append(jax.device_get(run(*part)))
    return jax.tree.map(lambda *parts: np.concatenate(parts), *chunks)
