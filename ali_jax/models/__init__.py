"""Networks built from the rows of a config."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp

from ali_jax.errors import UserError
from ali_jax.models.layers import NONLINEARITIES, OPERATIONS, Row
from ali_jax.models.networks import PRIORS, Discriminator, Encoder, Encoding, Generator, Stack
from ali_jax.roles import Roles

__all__ = ["Discriminator", "Encoder", "Encoding", "Generator", "Roles", "Row", "Stack", "build"]

FIELDS = (
    *("x_shape", "latent_dim", "prior", "leak", "init_std", "posterior"),
    *("encoder", "generator", "discriminator_x", "discriminator_z", "discriminator_joint"),
)
POSTERIORS = ("gaussian", "noise", "deterministic")
MAY_HAVE_NO_ROWS = ("discriminator_x", "discriminator_z")  # x or z then goes to D_joint as it is
DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}


def build(model: Mapping[str, Any], dtype: str = "float32", init_std: Any = None) -> Roles:
    """The three modules of a config's `model`.

    Args:
      model: `x_shape` (of one example); `latent_dim`; `prior` of z, one of PRIORS; `leak` (slope of leaky
        ReLUs); `init_std` (of every kernel); `posterior`, one of POSTERIORS; and rows (see `Row`) of
        `encoder` (None: a plain GAN), `generator`, `discriminator_x`, `discriminator_z` (None: D does not
        look at z) and `discriminator_joint`.
      dtype: of the computation; parameters, statistics and logits are float32 whatever it is.
      init_std: instead of the model's; may be traced.

    Raises:
      UserError: naming the field that is wrong.
    """
    if dtype not in DTYPES:
        raise UserError(f"config.dtype is {dtype!r}; it must be one of {', '.join(DTYPES)}.")
    missing = [field for field in FIELDS if field not in model]
    if missing:
        raise UserError(f"config.model has no {missing[0]}; compare it with a config in configs/.")
    init_std = model["init_std"] if init_std is None else init_std

    def stack(field: str) -> Stack:
        rows = tuple(_row(f"config.model.{field}", i, r) for i, r in enumerate(model[field], 1))
        if not rows and field not in MAY_HAVE_NO_ROWS:
            raise UserError(f"config.model.{field} has no rows; its last one gives the output's size.")
        return Stack(rows, init_std, model["leak"], DTYPES[dtype])

    if (model["encoder"] is None) != (model["discriminator_z"] is None):
        raise UserError(
            "One of config.model.encoder and config.model.discriminator_z is None: without an encoder D has "
            "no z to look at, and an encoder learns from a D that does; give both or neither."
        )
    joint = stack("discriminator_joint")
    discriminator = Discriminator(
        x_stack=stack("discriminator_x"),
        z_stack=None if model["discriminator_z"] is None else stack("discriminator_z"),
        joint_stack=joint.clone(last_bias=undecided(joint.rows[-1].features)),
    )
    encoder = None if model["encoder"] is None else _encoder(stack("encoder"), model)
    if model["prior"] not in PRIORS:
        raise UserError(f"config.model.prior is {model['prior']!r}; it must be one of {', '.join(PRIORS)}.")
    generator = Generator(stack("generator"), model["latent_dim"], tuple(model["x_shape"]), model["prior"])
    return Roles(generator, encoder, discriminator)


def undecided(num_logits: int) -> float:
    """Where each of K logits starts, so that their logsumexp starts at 0 and D at 1/2, as with one logit.

    From 0 each, D would start at K / (K + 1) for all pairs; on CIFAR-10 E then drives sigma beyond 1e8 within
    20 steps, and D does not recover.
    """
    return math.log(1 / num_logits)


def _encoder(stack: Stack, model: Mapping[str, Any]) -> Encoder:
    posterior, n = model["posterior"], model["latent_dim"]
    if posterior not in POSTERIORS:
        raise UserError(
            f"config.model.posterior is {posterior!r}; it must be one of {', '.join(POSTERIORS)}."
        )
    head = stack.rows[-1]
    if head.features not in (n, 2 * n):
        raise UserError(
            f"The last row of config.model.encoder has {head.features} features; with "
            f"config.model.latent_dim={n} it needs {n}, or {2 * n} for a Gaussian posterior."
        )
    # The head's width follows from the posterior, so that one override turns ALI into BiGAN.
    head = head._replace(features=2 * n if posterior == "gaussian" else n)
    return Encoder(stack.clone(rows=(*stack.rows[:-1], head)), posterior, n)


def _row(field: str, number: int, values: Sequence[Any]) -> Row:
    where = f"Row {number} of {field}"
    try:
        row = Row(*values)
    except TypeError:
        raise UserError(
            f"{where} is {values!r}; a row is ({', '.join(Row._fields)}), the last two optional."
        ) from None
    if row.operation not in OPERATIONS:
        raise UserError(f"{where}: the operation {row.operation!r} is none of {', '.join(OPERATIONS)}.")
    if row.nonlinearity not in NONLINEARITIES:
        raise UserError(
            f"{where}: the nonlinearity {row.nonlinearity!r} is none of {', '.join(NONLINEARITIES)}."
        )
    if row.bias not in ("none", "tied", "untied") or (row.norm and row.bias != "none"):
        raise UserError(
            f"{where}: the bias is {row.bias!r}; it must be none, tied or untied, and none where there is "
            "batch normalisation, which has its own shift."
        )
    if min(row.kernel, row.stride, row.features) < 1 or not 0 <= row.dropout < 1:
        raise UserError(
            f"{where}: kernel, stride and features must be at least 1 and dropout in [0, 1); they are "
            f"{row.kernel}, {row.stride}, {row.features} and {row.dropout}."
        )
    if not row.input_noise >= 0:
        raise UserError(f"{where}: the noise on the input is {row.input_noise}; it must be at least 0.")
    return row
