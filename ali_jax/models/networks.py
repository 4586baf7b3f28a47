"""Generator, encoder and discriminator: stacks of rows like those of the paper's tables."""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from ali_jax.models.layers import Layer, Row, append_channels


class Stack(nn.Module):
    """Layers "layer_1", "layer_2", ... in a row: (N, ...) -> (N, ...)."""

    rows: tuple[Row, ...]
    init_std: float
    leak: float
    dtype: Any
    last_bias: float = 0.0  # where the bias of the last layer starts

    @nn.compact
    def __call__(
        self, h, condition=None, noise=None, *, train: bool = False, with_last_hidden: bool = False
    ) -> jax.Array:
        hidden = h = h.astype(self.dtype)
        for number, row in enumerate(self.rows, 1):
            bias = self.last_bias if number == len(self.rows) else 0.0
            layer = Layer(row, self.init_std, self.leak, self.dtype, bias, name=f"layer_{number}")
            hidden, h = h, layer.activate(layer(h, condition, noise, train))
        return append_channels(h, hidden) if with_last_hidden else h


class Encoding(NamedTuple):
    """A draw from q(z|x) and, where it has them, the distribution's parameters. Each (N, n), float32."""

    z: jax.Array
    mu: jax.Array | None
    sigma: jax.Array | None


class Encoder(nn.Module):
    """E: x (N, H, W, C) and noise (N, noise_dim) -> Encoding; noise of zeros gives the mean code.

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
        if self.posterior == "deterministic":
            return Encoding(head, head, None)
        if self.posterior == "noise":
            return Encoding(head, None, None)
        mu, log_sigma = jnp.split(head, 2, axis=-1)
        sigma = jnp.exp(log_sigma)
        return Encoding(mu + sigma * noise, mu, sigma)


# What z is drawn from, independently in every dimension.
PRIORS = {
    "normal": jax.random.normal,  # N(0, 1), as the ALI paper
    "uniform": lambda key, shape: jax.random.uniform(key, shape, minval=-1.0),  # U(-1, 1), as BiGAN's
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
        return self.stack(z, condition, train=train).reshape(len(z), *self.x_shape)

    def start_at_mean(self, params, x: jax.Array):
        """`params` with the untied output bias at the log-odds of the mean of x (N, H, W, C) in [0, 1].

        G then starts at the mean image. Params without an untied bias are returned as they are.
        """
        if not self.stack.rows or self.stack.rows[-1].bias != "untied":
            return params
        mean = jnp.clip(jnp.mean(x, axis=0), 1e-7, 1 - 1e-7)
        last = f"layer_{len(self.stack.rows)}"
        layer = params["stack"][last]
        bias = (jnp.log(mean) - jnp.log1p(-mean)).reshape(layer["bias"].shape)
        stack = {**params["stack"], last: {**layer, "bias": bias}}
        return {**params, "stack": stack}


class Discriminator(nn.Module):
    """D: pairs x (N, ...) and z (N, n) -> logits (N, K), float32.

    D_x and D_z each see their own half; D_joint sees both, channels of D_x first. `z_stack` None: D judges
    x alone, as in a plain GAN.
    """

    x_stack: Stack
    z_stack: Stack | None
    joint_stack: Stack
    with_features: bool = False  # append the last hidden layer to the logits, for feature matching

    def __call__(self, x, z, condition=None, *, train: bool = False) -> jax.Array:
        h = self.x_stack(x, condition, train=train)
        if self.z_stack is not None:
            h_z = self.z_stack(z, condition, train=train)
            h = append_channels(h, h_z.reshape(len(z), -1))
        logits = self.joint_stack(h, condition, train=train, with_last_hidden=self.with_features)
        return logits.reshape(len(x), -1).astype(jnp.float32)
