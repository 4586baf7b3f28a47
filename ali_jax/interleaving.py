"""Real and generated pairs in turn: one batch for D, and its judgement taken apart again."""

import jax
import jax.numpy as jnp

from ali_jax import models
from ali_jax.models import Judgement


def interleave(real: jax.Array, generated: jax.Array, packing: int = 1) -> jax.Array:
    """(M, ...), (M, ...) -> (2M, ...), `packing` real and as many generated in turn.

    D judges both kinds as one batch (its BatchNorm statistics are of the mixture). Interleaved rather than
    concatenated: with the batch sharded over devices, no example changes device.
    """
    packs = [a if packing == 1 else a.reshape(-1, packing, *a.shape[1:]) for a in (real, generated)]
    return jnp.stack(packs, axis=1).reshape(2 * len(real), *real.shape[1:])


def twice(condition: jax.Array | None, packing: int = 1) -> jax.Array | None:
    """`interleave` of what both kinds share, such as the attributes of the examples; None stays None."""
    return None if condition is None else interleave(condition, condition, packing)


def part(whole: Judgement, which: int) -> Judgement:
    """What `interleave` put in: the judgement of the real pairs (0) or of the generated ones (1)."""

    def of(values: jax.Array | None) -> jax.Array | None:
        return None if values is None else values.reshape(-1, 2, *values.shape[1:])[:, which]

    return models.judgement(of(whole.joint), of(whole.x), of(whole.z), of(whole.hidden))
