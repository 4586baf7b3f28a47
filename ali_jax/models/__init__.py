"""Networks built from the rows of a config: the only place that builds with Linen."""

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from ali_jax import ranges
from ali_jax.errors import UserError, require_known
from ali_jax.models import rows
from ali_jax.models.discriminator import (
    Discriminator,
    Judgement,
    judgement,
    may_mix_pairs,
    normalises_by_kind,
    packing_of,
    scores_each_alone,
)
from ali_jax.models.initial import initialize
from ali_jax.models.layers import APPENDED, NONLINEARITIES, OPERATIONS
from ali_jax.models.networks import (
    PRIORS,
    Encoder,
    Encoding,
    Generator,
    Stack,
    normalises,
    unit_interval,
)
from ali_jax.models.onednn import compiler_options
from ali_jax.models.rows import Row
from ali_jax.roles import Roles

__all__ = [
    "HEADS",
    "TWINS",
    "Discriminator",
    "Encoder",
    "Encoding",
    "Generator",
    "Judgement",
    "Roles",
    "Row",
    "Stack",
    "batch_of_one",
    "build",
    "compiler_options",
    "initialize",
    "judgement",
    "may_mix_pairs",
    "normalises",
    "normalises_by_kind",
    "packing_of",
    "scores_each_alone",
    "unit_interval",
]

# What every config.model has: settings, and stacks of rows.
SETTINGS = ("x_shape", "latent_dim", "prior", "leak", "init_std", "posterior")
NETWORKS = ("encoder", "generator", "discriminator_x", "discriminator_z", "discriminator_joint")
# What D may have beside the score of a pair (x, z): the field of its rows, which end in one feature.
HEADS = {
    "x": "discriminator_x_head",  # a score of x alone
    "z": "discriminator_z_head",  # of z alone
    "xx": "discriminator_xx",  # of (x, x'), side by side along the channels
    "zz": "discriminator_zz",  # of (z, z')
}
TWINS = ("xx", "zz")  # of these, the ones that judge two of a kind
STACKS = (*NETWORKS, *HEADS.values())
NORMS = ("spectral_norm", "weight_norm", "plain_norm", "norm_by_kind")  # each names the stacks that have it
# Of those that change some rows alone: which ones, and what is said of a stack that has none such.
ROWS_THAT_CHANGE = {
    "weight_norm": (
        lambda row: row.operation in OPERATIONS and not row.norm,
        "all rows are batch normalised",
    ),
    "plain_norm": (lambda row: row.norm, "no row is batch normalised"),
    "norm_by_kind": (lambda row: row.norm, "no row is batch normalised"),
}
POSTERIORS = ("gaussian", "noise", "deterministic")
MAY_HAVE_NO_ROWS = ("discriminator_x", "discriminator_z")  # x or z then goes to D_joint as it is
DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}


def build(model: Mapping[str, Any], dtype: str = "float32", init_std: Any = None) -> Roles:
    """The three modules of a config's `model`.

    Args:
      model: `x_shape` (of one example); `latent_dim`; `prior` of z, one of PRIORS; `leak` (slope of leaky
        ReLUs); `init_std` (of every kernel); `posterior`, one of POSTERIORS; rows (see `rows`) of
        `encoder` (None: a plain GAN), `generator`, `discriminator_x`, `discriminator_z` (None: D does not
        look at z) and `discriminator_joint`. It may also hold: rows of HEADS, where D shall score x or z
        alone, or pairs (x, x') or (z, z') (ALICE, Li et al., 2017; ALAD, Zenati et al., 2018);
        `spectral_norm`, the names of the stacks whose kernels are divided by their largest singular value
        (Miyato et al., 2018); `weight_norm`, the names of those that are weight normalised (Salimans &
        Kingma, 2016), whose last layer learns its scale; `plain_norm`, the names of those whose batch
        normalisation learns no scale and no shift, and `norm_by_kind`, those of D that normalise real and
        generated pairs apart (both BiGAN, Donahue et al., 2017); `packing`, how many pairs (x, z) D judges
        together (PacGAN, Lin et al., 2018); `num_attributes`, of each example, for rows that embed them.
      dtype: of the computation; parameters and statistics are float32 whatever it is. Logits and codes are
        float32 arrays too, of values that were computed in it.
      init_std: instead of the model's; may be traced.

    Raises:
      UserError: naming the field that is wrong.
    """
    if dtype not in DTYPES:
        raise UserError(f"config.dtype is {dtype!r}; it must be one of {', '.join(DTYPES)}.")
    _check_fields(model)
    norms = _norms(model)
    init_std = model["init_std"] if init_std is None else init_std

    def stack(field: str) -> Stack | None:
        if model.get(field) is None:
            return None
        of_stack = {norm: field in stacks for norm, stacks in norms.items()}
        return Stack(_rows(model, field), init_std, model["leak"], DTYPES[dtype], **of_stack)

    return Roles(
        generator=_generator(_without_dropout("generator", stack("generator")), model),
        encoder=_encoder(_without_dropout("encoder", stack("encoder")), model),
        discriminator=_discriminator(stack, model.get("packing", 1)),
    )


def _check_fields(model: Mapping[str, Any]) -> None:
    missing = [field for field in (*SETTINGS, *NETWORKS) if field not in model]
    if missing:
        raise UserError(f"config.model has no {missing[0]}; compare it with a config in configs/.")
    require_known(model, (*SETTINGS, *STACKS, *NORMS, "num_attributes", "packing"), "config.model.")
    if not isinstance(model["x_shape"], tuple | list):
        raise UserError(
            f"config.model.x_shape is {model['x_shape']!r}; it must be the shape of an example, such as "
            "(32, 32, 3)."
        )
    if model["prior"] not in PRIORS:
        raise UserError(f"config.model.prior is {model['prior']!r}; it must be one of {', '.join(PRIORS)}.")
    ranges.check({name: value for name, value in model.items() if value is not None}, "model.")


def _norms(model: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Which stacks have each of NORMS."""
    named = {norm: _names_of_stacks(model, norm) for norm in NORMS}
    if both := sorted({*named["spectral_norm"]} & {*named["weight_norm"]}):
        raise UserError(
            f"config.model.spectral_norm and weight_norm both name {both[0]}, whose kernels can be divided "
            "by one norm; take it out of either."
        )
    if others := {*named["norm_by_kind"]} & {"generator", "encoder"}:
        raise UserError(
            f"config.model.norm_by_kind names {min(others)}, which sees one kind of examples; name stacks of "
            "the discriminator alone."
        )
    for norm, (changes, words) in ROWS_THAT_CHANGE.items():
        for name in named[norm]:
            if model.get(name) is not None and not any(map(changes, _rows(model, name))):
                raise UserError(f"config.model.{norm} names {name}, of which {words}; take it out.")
    return named


def _rows(model: Mapping[str, Any], field: str) -> tuple[Row, ...]:
    """The rows of a stack."""
    if not isinstance(model[field], tuple | list):
        raise UserError(f"config.model.{field} is {model[field]!r}; it must be a tuple of rows.")
    parsed = tuple(
        rows.parse(f"config.model.{field}", number, row, OPERATIONS, APPENDED, NONLINEARITIES)
        for number, row in enumerate(model[field], 1)
    )
    if not parsed and field not in MAY_HAVE_NO_ROWS:
        raise UserError(f"config.model.{field} has no rows; its last one gives the output's size.")
    return parsed


def batch_of_one(model: Mapping[str, Any]) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes and dtypes of one example: "x" and, where the `model` is conditional, "attributes"."""
    shapes = {"x": jax.ShapeDtypeStruct((1, *model["x_shape"]), jnp.float32)}
    if model.get("num_attributes"):
        shapes["attributes"] = jax.ShapeDtypeStruct((1, model["num_attributes"]), jnp.uint8)
    return shapes


def undecided(num_logits: int) -> float:
    """Where each of K logits starts, so that their logsumexp starts at 0 and D at 1/2, as with one logit.

    From 0 each, D would start at K / (K + 1) for all pairs; on CIFAR-10 E then drives sigma beyond 1e8 within
    20 steps, and D does not recover.
    """
    return math.log(1 / num_logits)


def _without_dropout(field: str, stack: Stack | None) -> Stack | None:
    for number, row in enumerate(stack.rows if stack else (), 1):
        if row.dropout or row.input_noise:
            raise UserError(
                f"Row {number} of config.model.{field} has dropout or noise on its input; only rows of the "
                "discriminator may."
            )
    return stack


def _generator(stack: Stack | None, model: Mapping[str, Any]) -> Generator:
    if stack is None:
        raise UserError("config.model.generator is None; give its rows.")
    return Generator(stack, model["latent_dim"], tuple(model["x_shape"]), model["prior"])


def _names_of_stacks(model: Mapping[str, Any], norm: str) -> tuple[str, ...]:
    """The names that the field `norm` holds, each one of a stack with rows."""
    names = model.get(norm) or ()
    there = [field for field in STACKS if model.get(field)]
    is_list = isinstance(names, tuple | list)
    for name in names if is_list else (names,):
        if not is_list or name not in there:
            raise UserError(
                f"config.model.{norm} is {names!r}; it is a tuple of names of stacks that have rows, "
                f"here of {', '.join(there)}."
            )
    return tuple(names)


def _discriminator(stack, packing: int) -> Discriminator:
    joint, of_x, of_z = (stack(f"discriminator_{part}") for part in ("joint", "x", "z"))
    if joint is None or of_x is None:
        raise UserError("config.model.discriminator_joint or discriminator_x is None; give its rows.")
    _check_logits("discriminator_joint", joint)
    heads = {part: stack(field) for part, field in HEADS.items()}
    for part, head in heads.items():
        if head is None:
            continue
        _check_logits(HEADS[part], head)
        if head.rows[-1].features != 1:
            raise UserError(
                f"The last row of config.model.{HEADS[part]} has {head.rows[-1].features} features; a score "
                "has 1."
            )
    if heads["z"] is not None and of_z is None:
        raise UserError(
            "config.model.discriminator_z_head scores what discriminator_z made of z, which is None; give "
            "both or no head."
        )
    return Discriminator(
        x_stack=of_x,
        z_stack=of_z,
        joint_stack=joint.clone(last_bias=undecided(joint.rows[-1].features)),
        x_head=heads["x"],
        z_head=heads["z"],
        xx_stack=heads["xx"],
        zz_stack=heads["zz"],
        packing=packing,
    )


def _check_logits(field: str, stack: Stack) -> None:
    last = stack.rows[-1]
    if last.nonlinearity != "linear":
        raise UserError(
            f"The last row of config.model.{field} ends in {last.nonlinearity}; make it linear, as D gives "
            "logits: the sigmoid of the paper's tables is in the losses."
        )
    if last.features > 1 and last.bias == "none":
        raise UserError(
            f"The last row of config.model.{field} has {last.features} features and no bias, with which D "
            "would start sure of all pairs; give it one."
        )


def _encoder(stack: Stack | None, model: Mapping[str, Any]) -> Encoder | None:
    if (stack is None) != (model["discriminator_z"] is None):
        raise UserError(
            "One of config.model.encoder and config.model.discriminator_z is None: without an encoder D has "
            "no z to look at, and an encoder learns from a D that does; give both or neither."
        )
    if stack is None:
        return None
    posterior, n = model["posterior"], model["latent_dim"]
    if posterior not in POSTERIORS:
        raise UserError(
            f"config.model.posterior is {posterior!r}; it must be one of {', '.join(POSTERIORS)}."
        )
    noisy = sum(row.operation == "noise" for row in stack.rows)
    if noisy != (posterior == "noise"):
        raise UserError(
            f"config.model.encoder has {noisy} rows of noise, and config.model.posterior is {posterior!r}; "
            "one such row belongs to the posterior 'noise', and none to the others."
        )
    head = stack.rows[-1]
    if posterior == "gaussian" and head.nonlinearity != "linear":
        raise UserError(
            f"The last row of config.model.encoder ends in {head.nonlinearity}; make it linear, as it gives "
            "mu and log sigma."
        )
    # The head's width follows, whatever its row says, so that one override turns ALI into BiGAN, or gives
    # codes of another size.
    head = head._replace(features=2 * n if posterior == "gaussian" else n)
    return Encoder(stack.clone(rows=(*stack.rows[:-1], head)), posterior, n)
