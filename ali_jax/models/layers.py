"""Layers of the paper's tables: one row of a table is one `Layer`."""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from ali_jax.errors import UserError
from ali_jax.models.batch_norm import BatchNorm, per_channel
from ali_jax.models.convolution import conv, conv_transpose
from ali_jax.models.dropout import dropout
from ali_jax.models.rows import Row
from ali_jax.models.spectral import normalise
from ali_jax.models.weight_norm import first_bias, first_scale, unit_columns


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def maxout(h: jax.Array, pieces: int) -> jax.Array:
    """Maximum over groups of adjacent channels: (..., C) -> (..., C / pieces); ties share the gradient."""
    return jnp.max(_groups(h, pieces), axis=-1)


@maxout.defjvp
def _maxout_jvp(pieces: int, primals, tangents):
    # The gradient asks which channels equal the maximum. Where XLA computes h twice it may round it in two
    # ways, as one multiply-add and as two steps, and then none does: JAX's own gradient of a maximum is NaN
    # there. The barrier keeps one h. jax 0.10 may drop it; such a group then passes no gradient on.
    h = jax.lax.optimization_barrier(primals[0])
    out = maxout(h, pieces)
    chosen = (_groups(h, pieces) == out[..., None]).astype(h.dtype)
    passed = jnp.sum(chosen * _groups(tangents[0], pieces), axis=-1)
    return out, passed / jnp.maximum(jnp.sum(chosen, axis=-1), 1)


def _groups(h: jax.Array, pieces: int) -> jax.Array:
    return h.reshape(*h.shape[:-1], -1, pieces)


NONLINEARITIES = {
    "linear": lambda h, leak: h,
    "relu": lambda h, leak: jax.nn.relu(h),
    "softplus": lambda h, leak: jax.nn.softplus(h),
    "leaky_relu": lambda h, leak: jnp.where(h > 0, h, leak * h),
    "sigmoid": lambda h, leak: jax.nn.sigmoid(h),
    "tanh": lambda h, leak: jnp.tanh(h),
    "maxout2": lambda h, leak: maxout(h, 2),
    "maxout5": lambda h, leak: maxout(h, 5),
}


class Layer(nn.Module):
    """Dropout or noise, the row's operation, batch normalisation or a bias; the nonlinearity is `activate`.

    What it returns is sown as the intermediate "output": the features of the SVM protocol (Section 4.3)
    are taken there, before the nonlinearity.
    """

    row: Row
    init_std: float
    leak: float
    dtype: Any
    initial_bias: float = 0.0
    spectral_norm: bool = False  # of the kernel
    # "fixed" or "learned": weight normalisation of the kernel, and whether its scale stays as it started.
    # Of a layer with batch normalisation, which divides by any scale, nothing is changed.
    weight_norm_scale: str | None = None
    plain_norm: bool = False  # batch normalisation without a scale and a shift
    norm_by_kind: bool = False  # of real and of generated pairs, in turn in a batch, apart

    @nn.compact
    def __call__(
        self, h: jax.Array, condition: jax.Array | None, noise: jax.Array | None, train: bool
    ) -> jax.Array:
        row = self.row
        if row.dropout and train:
            h = dropout(self.make_rng("dropout"), h, row.dropout)
        if row.input_noise and train:
            h = h + row.input_noise * jax.random.normal(self.make_rng("dropout"), h.shape, h.dtype)
        if row.operation in APPENDED:
            h = append_channels(h, APPENDED[row.operation](self, condition, noise))
        else:
            h = self._shift(OPERATIONS[row.operation](self, h), train)
        self.sow("intermediates", "output", h)
        return h

    def activate(self, h: jax.Array) -> jax.Array:
        return NONLINEARITIES[self.row.nonlinearity](h, self.leak)

    def kernel(self, *shape: int, out: int = -1) -> jax.Array:
        """The layer's parameter "kernel", normalised where the stack is; `out`: the axis of the output's
        channels.
        """
        # The same standard deviation whatever the fan-in, for every kind of kernel.
        initializer = functools.partial(normal_kernel, std=self.init_std)
        kernel = self.param("kernel", initializer, shape)
        if self.spectral_norm:
            kernel = self._spectrally_normalised(kernel, out)
        if self._weight_normed:
            kernel = unit_columns(kernel, out)
        return kernel.astype(self.dtype)

    def bias(self, *shape: int, centre: jax.Array | None = None) -> jax.Array:
        """The layer's parameter "bias"; it starts where it gives `centre` (N, ..., C) the initial mean."""

        def start(key):
            mean = 0.0 if centre is None else first_bias(centre)
            return jnp.full(shape, self.initial_bias + mean, jnp.float32)

        return self.param("bias", start)

    @property
    def _weight_normed(self) -> bool:
        return bool(self.weight_norm_scale) and not self.row.norm and self.row.operation in OPERATIONS

    def _spectrally_normalised(self, kernel: jax.Array, out: int) -> jax.Array:
        # Not nn.SpectralNorm: around a layer it would divide an untied bias too and name its state by paths.
        u = self.variable(
            "batch_stats", "u", lambda: jax.random.normal(self.make_rng("params"), (kernel.shape[out],))
        )
        kernel, after = normalise(kernel, u.value, out)
        # In training alone: inference does the same step again, from the u that training left.
        if self.is_mutable_collection("batch_stats") and not self.is_initializing():
            u.value = after
        return kernel

    def _shift(self, h: jax.Array, train: bool) -> jax.Array:
        if self.row.norm:
            kinds = 2 if self.norm_by_kind else 1
            return BatchNorm(plain=self.plain_norm, kinds=kinds, name="norm")(h, train)
        centre = None
        if self._weight_normed and self.has_variable("params", "kernel"):
            centre = h = (h * per_channel(self._scale(h), h)).astype(h.dtype)
        if self.row.bias == "none":
            return h
        shape = h.shape[1:] if self.row.bias == "untied" else h.shape[-1:]
        return (h + per_channel(self.bias(*shape, centre=centre), h)).astype(h.dtype)

    def _scale(self, h: jax.Array) -> jax.Array:
        if self.weight_norm_scale == "learned":
            return self.param("scale", lambda key: first_scale(h))
        return self.variable("batch_stats", "scale", first_scale, h).value


# --- What a layer may do: a new operation is one function and its name here -------------------------


def convolution(layer: Layer, h: jax.Array) -> jax.Array:
    h, row = as_images(h), layer.row
    return conv(h, layer.kernel(row.kernel, row.kernel, h.shape[-1], row.features), row.stride)


def transposed(layer: Layer, h: jax.Array) -> jax.Array:
    h, row = as_images(h), layer.row
    kernel = layer.kernel(row.kernel, row.kernel, row.features, h.shape[-1], out=-2)
    return conv_transpose(h, kernel, row.stride)


def dense(layer: Layer, h: jax.Array) -> jax.Array:
    h = flatten(layer, h)
    return h @ layer.kernel(h.shape[-1], layer.row.features)


def flatten(layer: Layer, h: jax.Array) -> jax.Array:
    """(N, H, W, C) -> (N, H * W * C)."""
    return h.reshape(len(h), -1)


def mean(layer: Layer, h: jax.Array) -> jax.Array:
    """(N, H, W, C) -> (N, 1, 1, C), the mean of all positions: what was found, wherever it was."""
    if h.shape[-1] != layer.row.features:
        raise ValueError(f"mean: the row says {layer.row.features} features, and its input has {h.shape[-1]}")
    return jnp.mean(as_images(h), axis=(1, 2), keepdims=True)


def identity(layer: Layer, h: jax.Array) -> jax.Array:
    """The input as it is, for a row that only drops or only takes a maximum."""
    return h


def embed(layer: Layer, condition: jax.Array | None, noise: jax.Array | None) -> jax.Array:
    """A learned linear embedding of the condition: (N, A) -> (N, features)."""
    condition = given(condition).astype(layer.dtype)
    bias = None if layer.row.bias == "none" else layer.bias(layer.row.features)
    embedded = condition @ layer.kernel(condition.shape[-1], layer.row.features)
    return embedded if bias is None else (embedded + per_channel(bias, embedded)).astype(embedded.dtype)


def embed_frozen(layer: Layer, condition: jax.Array | None, noise: jax.Array | None) -> jax.Array:
    """A fixed random one: the same for every network.

    So it is in the official code, which shares one embedding and gives it to neither optimizer. It stands in
    the state, so that a model keeps the one that it was trained with.
    """
    condition = given(condition).astype(layer.dtype)
    shape = (condition.shape[-1], layer.row.features)
    kernel = layer.variable(
        "batch_stats", "kernel", lambda: normal_kernel(jax.random.key(0), shape, std=layer.init_std)
    )
    return condition @ kernel.value.astype(layer.dtype)


def append_noise(layer: Layer, condition: jax.Array | None, noise: jax.Array | None) -> jax.Array:
    """The encoder's noise, (N, features): an implicit posterior."""
    return noise


# (layer, h) -> h, which is then normalised or gets a bias. Convolutions are "VALID" throughout.
OPERATIONS: dict[str, Callable] = {
    "convolution": convolution,
    "transposed": transposed,
    "dense": dense,
    "flatten": flatten,
    "mean": mean,
    "identity": identity,
}
# (layer, condition, noise) -> channels that are appended to the layer's input as they are.
APPENDED: dict[str, Callable] = {
    "embed": embed,
    "embed_frozen": embed_frozen,
    "noise": append_noise,
}
# Operations whose output for one example does not depend on the other examples of the batch, so that one
# backward pass through D is enough (ali_jax/gradients.py). Any other is assumed to mix examples.
EXAMPLE_WISE = {
    *("convolution", "transposed", "dense", "flatten", "mean", "identity"),
    *("embed", "embed_frozen", "noise"),
}


def as_images(h: jax.Array) -> jax.Array:
    """(N, C) -> (N, 1, 1, C); images as they are."""
    return h if h.ndim == 4 else h[:, None, None, :]


def given(condition: jax.Array | None) -> jax.Array:
    if condition is None:
        raise UserError(
            'The networks are conditional on attributes, and got none; add batch["attributes"], (M, A), or '
            "pass them beside x or z."
        )
    return condition


def normal_kernel(key: jax.Array, shape: tuple[int, ...], *, std: float) -> jax.Array:
    """N(0, std^2); std may be traced, so that a search can vmap over it."""
    return std * jax.random.normal(key, shape, jnp.float32)


def append_channels(h: jax.Array, extra: jax.Array) -> jax.Array:
    """(N, ..., C) and (N, C') -> (N, ..., C + C'), the same extra channels at every position."""
    extra = extra.astype(h.dtype).reshape(len(h), *(1,) * (h.ndim - 2), -1)
    return jnp.concatenate([h, jnp.broadcast_to(extra, (*h.shape[:-1], extra.shape[-1]))], axis=-1)
