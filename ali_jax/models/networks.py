"""Generator, encoder and discriminator: stacks of rows like those of the paper's tables."""

import math
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from ali_jax.errors import UserError
from ali_jax.models.layers import EXAMPLE_WISE, Layer, append_channels
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


class Judgement(NamedTuple):
    """What D makes of N pairs; float32 logits, high where it takes a pair for the encoder's."""

    joint: jax.Array  # (N, K) of the pair: K = 1, or one for each class
    score: jax.Array  # (N,) of the pair: the only logit, or the logsumexp of those of the classes
    x: jax.Array | None = None  # (N,) of x alone, where D has that head
    z: jax.Array | None = None  # (N,) of z alone, where D has that head
    hidden: jax.Array | None = None  # (N, F): the input of the last joint layer


def judgement(joint, x=None, z=None, hidden=None) -> Judgement:
    """A `Judgement` with its score; of what D made in a lower precision, too."""
    joint, x, z, hidden = (None if h is None else h.astype(jnp.float32) for h in (joint, x, z, hidden))
    if joint.ndim != 2:
        raise UserError(
            f"D gives logits of shape {joint.shape}; of N pairs they must be (N, K), with one logit (N, 1)."
        )
    score = joint[:, 0] if joint.shape[-1] == 1 else jax.nn.logsumexp(joint, axis=-1)
    return Judgement(joint, score, x, z, hidden)


class Discriminator(nn.Module):
    """D: pairs x (M, ...) and z (M, n) -> Judgement of M pairs.

    D_x and D_z each see their own half; D_joint sees both, channels of D_x first. `z_stack` None: D judges
    x alone, as in a plain GAN. Heads, where there are any, score what D_x or D_z made of x or z alone.

    With a `packing` of m, D judges m consecutive pairs together, which must be of one kind: the Judgement is
    of M / m packs, and every stack sees the channels, codes and attributes of a pack's examples side by side
    (PacGAN, Lin et al., 2018).

    `xx_stack` and `zz_stack`, where they are, tell pairs of two x or of two z apart, see `compare`.
    """

    x_stack: Stack
    z_stack: Stack | None
    joint_stack: Stack
    x_head: Stack | None = None
    z_head: Stack | None = None
    xx_stack: Stack | None = None
    zz_stack: Stack | None = None
    packing: int = 1

    def __call__(self, x, z, condition=None, *, train: bool = False) -> Judgement:
        if self.is_initializing():
            self._initialize_twins(x, z, condition, train)
        x, z, condition = (pack(a, self.packing) for a in (x, z, condition))
        h_x = h = self.x_stack(x, condition, train=train)
        h_z = None
        if self.z_stack is not None:
            h_z = self.z_stack(z, condition, train=train)
            h = append_channels(h, h_z.reshape(len(z), -1))
        joint, hidden = self.joint_stack(h, condition, train=train, with_hidden=True)
        return judgement(
            _as_logits(self.joint_stack, joint),
            x=None if self.x_head is None else _as_score(self.x_head(h_x, condition, train=train)),
            z=None if self.z_head is None else _as_score(self.z_head(h_z, condition, train=train)),
            hidden=_flat(hidden),
        )

    def compare(self, twins: str, first, second, condition=None, *, train: bool = False) -> Judgement:
        """D_xx ("xx") of two x (M, ...) or D_zz ("zz") of two z (M, n), side by side along the last axis.

        Logits are high where D takes both for the same (ALICE, Li et al., 2017; ALAD, Zenati et al., 2018).
        These pairs are never packed.
        """
        stack = {"xx": self.xx_stack, "zz": self.zz_stack}[twins]
        both = jnp.concatenate([first, second], axis=-1)
        joint, hidden = stack(both, condition, train=train, with_hidden=True)
        return judgement(_as_score(joint)[:, None], hidden=_flat(hidden))

    def _initialize_twins(self, x, z, condition, train: bool):
        for twins, stack, one in (("xx", self.xx_stack, x), ("zz", self.zz_stack, z)):
            if stack is not None:
                self.compare(twins, one, one, condition, train=train)


def packing_of(discriminator: Any) -> int:
    """How many pairs a discriminator judges together: one, of a module that does not say."""
    return getattr(discriminator, "packing", 1)


def normalises_by_kind(discriminator: Any) -> bool:
    """Whether a discriminator takes every other example of a batch for real, to normalise them apart."""
    if type(discriminator) is not Discriminator:
        return any_stack(discriminator, "norm_by_kind")
    stacks = _of_pairs(discriminator)
    return any(stack.norm_by_kind and row.norm for stack in stacks for row in stack.rows)


def normalises(network: Any) -> bool:
    """Whether a network of ours has a row with batch normalisation."""
    stacks = [part for part in getattr(network, "__dict__", {}).values() if isinstance(part, Stack)]
    return any(row.norm for stack in stacks for row in stack.rows)


def may_mix_pairs(discriminator: Any) -> bool:
    """Whether what D makes of a pair may depend on the others of its batch, as by batch normalisation."""
    if type(discriminator) is not Discriminator:  # a subclass may do anything
        return not scores_each_alone(discriminator)
    rows = [row for stack in _of_pairs(discriminator) for row in stack.rows]
    return any(row.norm or row.operation not in EXAMPLE_WISE for row in rows)


def scores_each_alone(discriminator: Any) -> bool:
    """Whether D has one logit of a pair, or pack of pairs, that does not depend on other pairs.

    A custom discriminator says so by an attribute `scores_each_alone`; without it the answer is no.
    """
    if type(discriminator) is not Discriminator:
        return getattr(discriminator, "scores_each_alone", False)
    return not may_mix_pairs(discriminator) and discriminator.joint_stack.rows[-1].features == 1


def _of_pairs(d: Discriminator) -> list[Stack]:
    """The stacks of D that judge pairs, all but those of twins."""
    return [s for s in (d.x_stack, d.z_stack, d.joint_stack, d.x_head, d.z_head) if s is not None]


def any_stack(network: Any, setting: str) -> bool:
    """Whether a stack of a network has a setting; a custom network is assumed to have none."""
    return any(getattr(part, setting, False) for part in getattr(network, "__dict__", {}).values())


def pack(values: jax.Array | None, count: int) -> jax.Array | None:
    """`count` examples in a row side by side along the last axis: (M, ..., C) -> (M / count, ..., count C).

    Raises:
      ValueError: they do not make whole packs.
    """
    if values is None or count == 1:
        return values
    if len(values) % count:
        raise ValueError(f"{len(values)} examples do not make packs of {count}")
    packs = values.reshape(-1, count, *values.shape[1:])
    packs = jnp.moveaxis(packs, 1, -2)
    return packs.reshape(*packs.shape[:-2], -1)


def _flat(h: jax.Array) -> jax.Array:
    """(N, ...) -> (N, F), float32."""
    return h.reshape(len(h), -1).astype(jnp.float32)


def _as_logits(stack: Stack, h: jax.Array) -> jax.Array:
    """What D_joint makes of N pairs -> (N, K), float32; positions of a map are no classes."""
    logits, wanted = _flat(h), stack.rows[-1].features
    if logits.shape[1] != wanted:
        raise ValueError(f"D ends in {h.shape[1:]}, and not in the {wanted} logits of its last row")
    return logits


def _as_score(h: jax.Array) -> jax.Array:
    """(N, 1), in whatever dimensions, -> (N,), float32."""
    if h.size != len(h):
        raise ValueError(f"a head of D ends in {h.shape[1:]}, and not in one score")
    return _flat(h)[:, 0]


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
