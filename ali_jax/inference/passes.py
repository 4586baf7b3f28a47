"""The networks of a trained model, each on any number of examples."""

import functools
from collections.abc import Callable, Hashable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ali_jax.errors import UserError
from ali_jax.inference import inputs
from ali_jax.inference.chunks import in_chunks
from ali_jax.models import HEADS, TWINS, Judgement, packing_of, unit_interval
from ali_jax.pretrained import Model
from ali_jax.random_keys import require_key
from ali_jax.ranges import COUNT, require


def sample(model: Model, key: jax.Array, count: int, attributes: np.ndarray | None = None) -> np.ndarray:
    """G(z) of `count` draws z from the prior: (count, H, W, C)."""
    generator, key = inputs.network(model, "generator"), require_key(key)
    require("count", count, COUNT)
    return decode(model, generator.sample_prior(key, count), attributes)


def decode(model: Model, z: np.ndarray, attributes: np.ndarray | None = None) -> np.ndarray:
    """G(z): codes (N, n) -> (N, H, W, C)."""
    generator = inputs.network(model, "generator")
    z = inputs.codes(model, z)
    attributes = inputs.attributes(model, attributes, len(z))
    run = functools.partial(_generate, generator, model.variables("generator"))
    return in_chunks(run, z, attributes)


def encode(
    model: Model,
    x: np.ndarray,
    attributes: np.ndarray | None = None,
    key: jax.Array | None = None,
) -> np.ndarray:
    """Codes of x, (N, n): the mean mu(x), or with a `key` a draw from q(z|x).

    An implicit encoder (noise as an input) has no mean to read off: without a key its noise is zero.
    """
    encoder = inputs.network(model, "encoder")
    x = inputs.examples(model, x)
    attributes = inputs.attributes(model, attributes, len(x))
    noise = np.zeros((len(x), encoder.noise_dim), np.float32)
    if key is not None:
        noise = jax.random.normal(require_key(key), noise.shape, noise.dtype)
    run = functools.partial(_encode, encoder, model.variables("encoder"))
    return in_chunks(run, x, noise, attributes)


def reconstruct(
    model: Model,
    x: np.ndarray,
    attributes: np.ndarray | None = None,
    key: jax.Array | None = None,
) -> np.ndarray:
    """G(E(x)), (N, H, W, C), through the mean code, or with a `key` through a draw (as the paper)."""
    return decode(model, encode(model, x, attributes, key), attributes)


def features(
    model: Model,
    x: np.ndarray,
    attributes: np.ndarray | None = None,
    reduce: Callable[[dict[str, jax.Array]], Any] | None = None,
) -> Any:
    """Every layer of E before its nonlinearity, by name ("layer_1" ...), and "mu"; each float32 (N, ...).

    With `reduce`, a function of that dict, what it returns: it runs on the device, on a chunk of examples at
    a time, so that layers it drops or pools are never held for all of them; each array keeps a row for each
    example.
    """
    if reduce is not None and not (callable(reduce) and isinstance(reduce, Hashable)):
        raise UserError(f"reduce is a {type(reduce).__name__}; pass a function of the layers by their names.")
    run = functools.partial(_features, inputs.network(model, "encoder"), reduce, model.variables("encoder"))
    x = inputs.examples(model, x)
    attributes = inputs.attributes(model, attributes, len(x))
    return in_chunks(run, x, attributes)


def judge(
    model: Model, x: np.ndarray, z: np.ndarray | None = None, attributes: np.ndarray | None = None
) -> Judgement:
    """D's judgement of pairs x (N, ...) and z (N, n): logits, high where it takes them for the encoder's.

    `judge(model, x, encode(model, x))` is of real pairs, `judge(model, decode(model, z), z)` of generated
    ones. A plain GAN's D looks at x alone: leave z out. A D that packs m pairs judges them m by m, in the
    order given: N must be a multiple of m, and the judgement is of N / m packs.
    """
    module = inputs.network(model, "discriminator")
    packing = packing_of(module)
    x = inputs.examples(model, x)
    z = inputs.codes_to_judge(model, z, len(x))
    attributes = inputs.attributes(model, attributes, len(x))
    if len(x) % packing:
        raise UserError(
            f"This model's D judges {packing} pairs together, and {len(x)} are no multiple; leave some out."
        )
    run = functools.partial(_judge, module, model.variables("discriminator"))
    return in_chunks(run, x, z, attributes, packing=packing)


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
    module = inputs.network(model, "discriminator")
    if twins not in TWINS or getattr(module, f"{twins}_stack", None) is None:
        raise UserError(
            f"This model's D tells no pairs {twins!r} apart; load a run whose config.model has "
            f"{HEADS['xx']} or {HEADS['zz']}."
        )
    given = inputs.examples if twins == "xx" else inputs.codes
    first, second = given(model, first, "first"), given(model, second, "second")
    inputs.require_as_many("second", second, len(first))
    attributes = inputs.attributes(model, attributes, len(first))
    run = functools.partial(_compare, module, twins, model.variables("discriminator"))
    return in_chunks(run, first, second, attributes)


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
    noise = jnp.zeros((len(x), module.noise_dim), jnp.float32)
    encoding, sown = module.apply(variables, unit_interval(x), noise, attributes, mutable=["intermediates"])
    layers = {name: layer["output"][0] for name, layer in sown["intermediates"]["stack"].items()}
    layers = {name: x.astype(jnp.float32) for name, x in (layers | {"mu": encoding.z}).items()}
    made = layers if reduce is None else reduce(layers)
    for leaf in jax.tree.leaves(made):
        if jnp.shape(leaf)[:1] != (len(x),):
            raise UserError(
                f"reduce made an array of shape {jnp.shape(leaf)} of {len(x)} examples; it must keep a row "
                "for each, as chunks of them are put together."
            )
    return made
