"""Batch normalisation."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp


class BatchNorm(nn.Module):
    """Batch normalisation as Blocks does it (the paper's library), over all axes but the last.

    epsilon sits inside the root of the batch's standard deviation, and the running statistics average
    that standard deviation, not the variance, at rate 0.05. Statistics are float32 in any dtype.
    Under `jax.jit` over a sharded batch they are of the whole batch.

    plain: as in BiGAN's code (Donahue et al., 2017), without a learned scale and shift, and with an epsilon
      of 1e-8: what hardly varies is normalised like all else.
    kinds: of examples, which take turns in a batch; each is normalised by its own statistics. After training,
      where they no longer take turns, all are by the mean of these: what D says then is not what it learned.
    """

    plain: bool = False
    kinds: int = 1
    rate: float = 0.05

    @property
    def epsilon(self) -> float:
        return 1e-8 if self.plain else 1e-4

    @nn.compact
    def __call__(self, h: jax.Array, train: bool) -> jax.Array:
        shape = h.shape[-1:]
        one, zero = (functools.partial(make, shape, jnp.float32) for make in (jnp.ones, jnp.zeros))
        scale = one() if self.plain else self.param("scale", lambda key: one())
        shift = zero() if self.plain else self.param("shift", lambda key: zero())
        running_mean = self.variable("batch_stats", "mean", zero)
        running_std = self.variable("batch_stats", "std", one)
        if not train:
            return _normalised(h, running_mean.value, running_std.value, scale, shift)
        # A network is made with any number of examples.
        kinds = 1 if self.is_initializing() else self.kinds
        parts = [h] if kinds == 1 else _apart(h, kinds)
        found = [self._batch_statistics(part) for part in parts]
        if not self.is_initializing():
            for running, now in zip((running_mean, running_std), zip(*found, strict=True), strict=True):
                of_all = now[0] if kinds == 1 else jnp.mean(jnp.stack(now), axis=0)
                running.value = (1 - self.rate) * running.value + self.rate * of_all
        normalised = [
            _normalised(part, *of_part, scale, shift) for part, of_part in zip(parts, found, strict=True)
        ]
        return normalised[0] if kinds == 1 else jnp.stack(normalised, axis=1).reshape(h.shape)

    def _batch_statistics(self, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        h = h.astype(jnp.float32)
        axes = tuple(range(h.ndim - 1))
        mean = jnp.mean(h, axes)
        if self.plain:  # the difference below is not exact enough for so small an epsilon
            variance = jnp.mean(jnp.square(h - per_channel(mean, h)), axes)
        else:
            # In one pass. Rounding may push a tiny variance below zero.
            variance = jnp.maximum(jnp.mean(jnp.square(h), axes) - jnp.square(mean), 0)
        return mean, jnp.sqrt(variance + self.epsilon)


def _apart(h: jax.Array, kinds: int) -> list[jax.Array]:
    """The examples (N, ...) of each kind, (N / kinds, ...), of a batch in which kinds take turns."""
    in_turn = h.reshape(-1, kinds, *h.shape[1:])
    return [in_turn[:, kind] for kind in range(kinds)]


def _normalised(h, mean, std, scale, shift) -> jax.Array:
    # One multiply and one add for each element.
    slope = scale / std
    return (h * per_channel(slope, h) + per_channel(shift - mean * slope, h)).astype(h.dtype)


def per_channel(value: jax.Array, h: jax.Array) -> jax.Array:
    """`value`, of the last axes of h, ready to broadcast against h.

    It stays float32, and so does what is computed of both: the gradient of a broadcast is a sum, which in
    bfloat16 stops growing where an element is less than half of its last digit.
    """
    return value.reshape((1,) * (h.ndim - value.ndim) + value.shape)
