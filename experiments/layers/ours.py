"""Our layers, compiled: the package's own modules, with random inputs and parameters."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from ali_jax.models import onednn
from ali_jax.models.layers import Layer
from experiments.layers.clock import median_seconds
from experiments.layers.of_step import Seen


class Timed:
    """A layer, compiled; a call gives median seconds of its forward pass, and of all that a step takes."""

    def __init__(self, seen: Seen, options: dict[str, bool]):
        """`options`: of the compiler, as a whole step gets them."""
        self._calls = {}
        arguments = random_arguments(seen)
        for name, program in programs(seen).items():
            lowered = jax.jit(program, compiler_options=options or None).lower(*arguments)
            with onednn.not_stored():
                self._calls[name] = lowered.compile(), arguments

    def __call__(self) -> dict[str, float]:
        return {
            name: median_seconds(lambda p=program, a=arguments: jax.block_until_ready(p(*a)))
            for name, (program, arguments) in self._calls.items()
        }


def programs(seen: Seen) -> dict[str, Callable]:
    """ "forward" and "step", each (params, batch_stats, (h, condition, noise), key, cotangents) -> arrays."""

    def activated(layer: Layer, *inputs):
        return layer.activate(layer(*inputs, True))

    apply = nn.apply(activated, seen.layer, mutable=["batch_stats"])

    def forward(params, batch_stats, inputs, key, cotangents):
        variables = {"params": params, "batch_stats": batch_stats}
        return apply(variables, *inputs, rngs={"dropout": key})

    def step(params, batch_stats, inputs, key, cotangents):
        h, *others = inputs

        def of(params, h):
            return forward(params, batch_stats, (h, *others), key, cotangents)

        out, pullback, updated = jax.vjp(of, params, h, has_aux=True)
        pulled = [pullback(cotangent) for cotangent in cotangents]
        # The first cotangent is of the layer's own player; XLA drops what nobody keeps, as in the step.
        return out, updated, pulled[0][0], [by_h for _, by_h in pulled][seen.of_data :]

    return {"forward": forward, "step": step}


def random_arguments(seen: Seen) -> tuple:
    """What `programs` take, parameters too: drawn by NumPy, as JAX would compile a program for each shape."""
    random = np.random.default_rng(0)

    def draw(of: jax.ShapeDtypeStruct) -> jax.Array:
        return jnp.asarray(random.standard_normal(of.shape, np.float32), of.dtype)

    key = jax.random.key(0)
    variables = jax.eval_shape(lambda key, inputs: seen.layer.init(key, *inputs, False), key, seen.inputs)
    parts = [variables.get(name, {}) for name in ("params", "batch_stats")]
    out, _ = jax.eval_shape(programs(seen)["forward"], *parts, seen.inputs, key, [])
    *drawn, cotangents = jax.tree.map(draw, (*parts, seen.inputs, [out] * seen.players))
    return *drawn, key, cotangents
