"""The discriminator, and what a game asks of it before it plays."""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from ali_jax.errors import UserError
from ali_jax.models.layers import EXAMPLE_WISE, append_channels
from ali_jax.models.networks import Stack, any_stack


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
