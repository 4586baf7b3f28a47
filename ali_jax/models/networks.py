"""Generator and encoder: stacks of rows like those of the paper's tables."""

import math
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from ali_jax.errors import UserError
from ali_jax.models.layers import Layer
from ali_jax.models.rows import Row


class Stack(nn.Module):
    """Layers "layer_1", "layer_2", ... in a row: (N, ...) -> (N, ...)."""

    rows: tuple[Row, ...]
    init_std: float
    leak: float
    dtype: Any
    last_bias: float = 0.0  # where the bias of the last layer starts
    spectral_norm: bool = False  # whether every kernel is divided by its largest singular value
    weight_norm: bool = False  # whether every kernel has columns of length 1; the last layer learns its scale
    plain_norm: bool = False  # whether batch normalisation has no scale and no shift
    norm_by_kind: bool = False  # whether it is of real and of generated pairs apart

    @nn.compact
    def __call__(self, h, condition=None, noise=None, *, train: bool = False, with_hidden: bool = False):
        """The last layer's output; `with_hidden` the pair of it and of the last layer's input."""
        hidden = h = h.astype(self.dtype)
        for number, row in enumerate(self.rows, 1):
            last = number == len(self.rows)
            scale = ("learned" if last else "fixed") if self.weight_norm else None
            layer = Layer(
                row,
                self.init_std,
                self.leak,
                self.dtype,
                initial_bias=self.last_bias if last else 0.0,
                spectral_norm=self.spectral_norm,
                weight_norm_scale=scale,
                plain_norm=self.plain_norm,
                norm_by_kind=self.norm_by_kind,
                name=f"layer_{number}",
            )
            hidden, h = h, layer.activate(layer(h, condition, noise, train))
        return (h, hidden) if with_hidden else h


class Encoding(NamedTuple):
    """A draw from q(z|x) and, where it has them, the distribution's parameters. Each (N, n), float32."""

    z: jax.Array
    mu: jax.Array | None
    sigma: jax.Array | None


class Encoder(nn.Module):
    """E: x (N, H, W, C) and noise (N, noise_dim) -> Encoding; noise of zeros gives the mean, if there is one.

    posterior:
      "gaussian": z = mu + sigma * noise; the head gives mu, then log sigma (Section 2.1).
      "noise": an implicit conditional; a "noise" row appends the noise to the channels (the 2-D model).
      "deterministic": z = mu, as in BiGAN.
    """

    stack: Stack
    posterior: str
    latent_dim: int

    @property
    def noise_dim(self) -> int:
        """Width of the noise that `__call__` wants."""
        if self.posterior == "gaussian":
            return self.latent_dim
        return sum(row.features for row in self.stack.rows if row.operation == "noise")

    def __call__(self, x, noise, condition=None, *, train: bool = False) -> Encoding:
        head = self.stack(x, condition, noise, train=train)
        head = head.reshape(len(x), -1).astype(jnp.float32)
        wanted = self.latent_dim * (2 if self.posterior == "gaussian" else 1)
        if head.shape[1] != wanted:
            raise ValueError(
                f"E ends in {head.shape[1]} numbers; z has {self.latent_dim}, which takes {wanted}"
            )
        if self.posterior == "deterministic":
            return Encoding(head, head, None)
        if self.posterior == "noise":
            return Encoding(head, None, None)
        mu, log_sigma = jnp.split(head, 2, axis=-1)
        sigma = jnp.exp(log_sigma)
        return Encoding(mu + sigma * noise, mu, sigma)


# What z is drawn from, independently in every dimension.
PRIORS = {
    "normal": lambda key, shape: jax.random.normal(key, shape, jnp.float32),  # N(0, 1), as the ALI paper
    # U(-1, 1), as BiGAN's
    "uniform": lambda key, shape: jax.random.uniform(key, shape, jnp.float32, minval=-1.0),
}


class Generator(nn.Module):
    """G: z (N, n) -> x (N, *x_shape): images in [0, 1], or points."""

    stack: Stack
    latent_dim: int
    x_shape: tuple[int, ...]
    prior: str = "normal"  # a key of PRIORS

    def sample_prior(self, key: jax.Array, count: int) -> jax.Array:
        """`count` draws of z: (count, n)."""
        return PRIORS[self.prior](key, (count, self.latent_dim))

    def __call__(self, z, condition=None, *, train: bool = False) -> jax.Array:
        made = self.stack(z, condition, train=train)
        is_map = made.ndim == 4 and made.shape[1:3] != (1, 1)  # and not the values of a dense layer
        fits = math.prod(made.shape[1:]) == math.prod(self.x_shape)
        if not fits or (is_map and made.shape[1:] != tuple(self.x_shape)):
            raise ValueError(f"G ends in {made.shape[1:]}, and x_shape is {tuple(self.x_shape)}")
        return made.reshape(len(z), *self.x_shape)

    def start_at_mean(self, params, x: jax.Array):
        """`params` with which G starts at the mean of x (N, H, W, C).

        That is the untied output bias at the mean or, before a sigmoid, at the log-odds of a mean in [0, 1].
        Params of other last rows are returned as they are.
        """
        row = self.stack.rows[-1]
        if row.bias != "untied" or row.nonlinearity not in ("linear", "sigmoid"):
            return params
        bias = jnp.mean(x, axis=0, dtype=jnp.float32)  # as the parameter, whatever images are of
        if row.nonlinearity == "sigmoid":
            mean = jnp.clip(bias, 1e-7, 1 - 1e-7)
            bias = jnp.log(mean) - jnp.log1p(-mean)
        last = f"layer_{len(self.stack.rows)}"
        layer = params["stack"][last]
        bias = bias.reshape(layer["bias"].shape)
        stack = {**params["stack"], last: {**layer, "bias": bias}}
        return {**params, "stack": stack}


def normalises(network: Any) -> bool:
    """Whether a network of ours has a row with batch normalisation."""
    stacks = [part for part in getattr(network, "__dict__", {}).values() if isinstance(part, Stack)]
    return any(row.norm for stack in stacks for row in stack.rows)


def any_stack(network: Any, setting: str) -> bool:
    """Whether a stack of a network has a setting; a custom network is assumed to have none."""
    return any(getattr(part, setting, False) for part in getattr(network, "__dict__", {}).values())


def unit_interval(x: jax.Array) -> jax.Array:
    """uint8 images, and booleans, as float32 in [0, 1], on the device; floats as they are.

    Raises:
      UserError: they are other whole numbers, of which nothing says what white is.
    """
    if jnp.issubdtype(x.dtype, jnp.integer) and x.dtype != jnp.uint8:
        raise UserError(
            f"x holds {x.dtype}; pass images as uint8 from 0 to 255, or as floats from 0 to 1, such as "
            "x.astype(np.uint8)."
        )
    if x.dtype == jnp.uint8:
        return x.astype(jnp.float32) / 255
    return x.astype(jnp.float32) if x.dtype == bool else x
