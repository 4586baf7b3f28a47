"""What a term is given, what it gives, and the sum of terms that is a game."""

import contextlib
import inspect
import numbers
import zlib
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ali_jax.errors import UserError, telling_where
from ali_jax.models import HEADS, Encoding, Judgement, normalises_by_kind, packing_of
from ali_jax.roles import Roles


class Round(NamedTuple):
    """What one pass of the game gives, of M examples; parameters and noise are the same for all terms."""

    batch: Mapping[str, jax.Array]  # as given to `train_step`
    x: jax.Array  # (M, ...) real examples, images in [0, 1]
    real: Judgement  # of the encoder's pairs (x, z_hat), of M / m packs where D packs m pairs
    # None where no term of the game needs generated pairs:
    z: jax.Array | None = None  # (M, n) draws from the prior
    x_tilde: jax.Array | None = None  # (M, ...) G(z)
    generated: Judgement | None = None  # of the generator's pairs (x_tilde, z)
    encoding: Encoding | None = None  # E(x): z_hat, mu, sigma; also None where there is no encoder
    step: jax.Array | int = 0  # updates done before this one, for terms that are not played at every step


class Comparison(NamedTuple):
    """What D_xx or D_zz makes of M pairs of twins and M pairs that only pass for them."""

    real: Judgement  # of (v, v)
    generated: Judgement  # of (v, v')
    batch_stats: Mapping[str, Any]  # after this pass, for the `Share` of the one term that trains this head


class Players(NamedTuple):
    """Further passes with the round's parameters, in training; running statistics of these are not kept, but
    for those that a term hands on in its `Share`.

    Conditional networks get the attributes of the round's examples, so that x and z have as many rows. Batch
    normalisation is over the examples given, for D over the one kind of pairs that it is given; with
    `among=(x, z)`, as many generated ones, over both, as in the round. With `frozen=True` the player passes
    gradients on to its inputs and does not learn itself.
    """

    generate: Callable[..., jax.Array]  # z (M, n) -> x (M, ...)
    encode: Callable[..., Encoding]  # x, key of the noise -> Encoding
    judge: Callable[..., Judgement]  # x, z, key of the dropout -> Judgement
    # "xx" or "zz", v, v', key of the dropout -> of (v, v) and of (v, v'), judged as one interleaved batch
    compare: Callable[[str, jax.Array, jax.Array, jax.Array], Comparison] | None = None


class Share(NamedTuple):
    """What a term adds; None: nothing to this loss."""

    d: jax.Array | None = None  # scalar, to the loss of D
    ge: jax.Array | None = None  # scalar, to the loss of G and E
    metrics: Mapping[str, jax.Array] = {}  # scalars to log; every one named "loss_..." is watched for NaN
    batch_stats: Mapping[str, Any] = {}  # to keep, of a head that this term trains: `Comparison.batch_stats`


class Needs(NamedTuple):
    """What a game must have for a term to be played."""

    generated: bool = True  # pairs of the generator
    labels: bool = False  # of some examples, and a logit of D for each class
    encoder: bool | None = None  # True: an encoder; False: none, as nothing would train it; None: either
    heads: tuple[str, ...] = ()  # of D, from `models.HEADS`
    hidden: bool = False  # D's last hidden layer in the round; a round holds of D what terms need of it
    one_kind: bool = False  # D's judgement of one kind of pairs without the other, as `players.judge` gives
    unlabelled: bool = False  # examples without a label too, where no generated pairs are needed


Term = Callable[..., Share]

RESERVED = frozenset({"step", "images_per_second", "averaged_steps"})  # columns of metrics.jsonl


def needs(**what: Any) -> Callable[[Term], Term]:
    """Notes beside a term what it needs, see `Needs`; a term without the note needs generated pairs.

    A value may be a function of the term's settings, a mapping.

    Raises:
      UserError: there is no such need, or no such head of D.
    """
    if unknown := sorted({*what} - {*Needs._fields}):
        raise UserError(f"A term has no need {unknown[0]!r}; choose of {', '.join(Needs._fields)}.")
    if not callable(what.get("heads", ())):
        _check_heads(what.get("heads", ()))

    def note(term: Term) -> Term:
        term.needs = what
        return term

    return note


def need_of(term: Term) -> Needs:
    """What a term needs, also where its settings are bound by functools.partial."""
    settings = dict(getattr(term, "keywords", {}))
    noted = getattr(getattr(term, "func", term), "needs", {})
    need = Needs(**{name: value(settings) if callable(value) else value for name, value in noted.items()})
    _check_heads(need.heads)
    return need


def _check_heads(heads: Collection[str]) -> None:
    if isinstance(heads, str):
        raise UserError(f"The heads that a term needs are {heads!r}; write a tuple of them, as ({heads!r},).")
    if unknown := {*heads} - HEADS.keys():
        raise UserError(f"D has no head for {min(unknown)}; heads are {', '.join(HEADS)}.")


def check_batch(networks: Roles, batch: Mapping[str, Any]) -> None:
    """Raises UserError where a batch is none of examples as G makes them."""
    if not isinstance(batch, Mapping) or "x" not in batch:
        found = [*batch] if isinstance(batch, Mapping) else type(batch).__name__
        raise UserError(f'The batch is {found}; pass a dict with the examples as "x", (M, ...).')
    x = batch["x"]
    if not hasattr(x, "shape"):
        raise UserError(f'batch["x"] is a {type(x).__name__}; pass an array, (M, ...).')
    shape = tuple(getattr(networks.generator, "x_shape", x.shape[1:]))
    if x.shape[1:] != shape or not x.shape or not len(x):
        raise UserError(f'batch["x"] has the shape {x.shape}; G makes (M, {str(shape)[1:]}.')
    _check_beside("attributes", batch, lambda attributes: attributes.ndim == 2)


# What a batch may hold beside "x", of each of its M examples.
BESIDE = {"label": "whole numbers (M,), -1 where one is not known", "attributes": "numbers (M, A)"}


def _check_beside(name: str, batch: Mapping[str, Any], fits: Callable[[Any], bool]) -> None:
    found, count = batch.get(name), len(batch["x"])
    if found is None:
        return
    if not hasattr(found, "dtype"):
        raise UserError(f'batch["{name}"] is a {type(found).__name__}; pass an array of {BESIDE[name]}.')
    if not fits(found) or len(found) != count:
        raise UserError(
            f'batch["{name}"] has the shape {found.shape} and holds {found.dtype}; pass {BESIDE[name]}, of '
            f"each of the {count} examples."
        )


def check_needs(needs: Needs, networks: Roles, batch: Mapping[str, Any]) -> None:
    """Raises UserError where networks or batch lack what the terms of a game need."""
    check_batch(networks, batch)
    _check_encoder(needs, networks.encoder)
    _check_discriminator(needs, networks.discriminator)
    packing = packing_of(networks.discriminator)
    if len(batch["x"]) % packing:
        raise UserError(
            f"D judges packs of {packing} pairs (config.model.packing), and a batch has {len(batch['x'])} "
            "examples (config.batch_size); it must be a multiple of that."
        )
    if needs.labels:
        if batch.get("label") is None:
            raise UserError(
                'A term learns from labels, and the batch has none; add batch["label"], (M,) int32, -1 where '
                "it is not known."
            )
        _check_beside(
            "label", batch, lambda label: label.ndim == 1 and jnp.issubdtype(label.dtype, jnp.integer)
        )


def _check_encoder(needs: Needs, encoder: Any) -> None:
    if needs.encoder and encoder is None:
        raise UserError(
            "A term needs an encoder, and networks.encoder is None; give rows to config.model.encoder and "
            "discriminator_z, or drop the term."
        )
    if encoder is not None and (needs.encoder is False or not needs.generated):
        raise UserError(
            "These terms are a game without an encoder, with D of x alone, and networks.encoder is there; "
            "set config.model.encoder and discriminator_z to None in a config file, as "
            "configs/mnist_semi_supervised.py does for its baselines, or add a term that plays with E's and "
            "G's pairs, such as adversarial."
        )


def _check_discriminator(needs: Needs, discriminator: Any) -> None:
    packing = packing_of(discriminator)
    if packing > 1 and needs.labels:
        raise UserError(
            f"D judges packs of {packing} pairs (config.model.packing), so that labels, which are of single "
            "examples, cannot be learned; set it to 1, or drop the terms that learn from labels."
        )
    if normalises_by_kind(discriminator) and (needs.one_kind or not needs.generated):
        raise UserError(
            "These terms show D one kind of pairs without the other, as r1 and r2 do, and it normalises "
            "batches in which both are in turn; set config.model.norm_by_kind to (), or drop the term."
        )
    for head in needs.heads:
        slot = f"{head}_head" if len(head) == 1 else f"{head}_stack"
        if len(head) > 1 and not hasattr(discriminator, "compare"):
            raise UserError(
                f"A term shows D twins ({head}), and {type(discriminator).__name__} has no method "
                "compare, as ali_jax.models.Discriminator has; write one, or drop the term."
            )
        if getattr(discriminator, slot, True) is None:  # a D of another kind need not have slots
            width = "" if len(head) == 1 else f"take twice the channels of {head[0]} and "
            raise UserError(
                f"A term asks D for a score that it does not give: its {slot} is None; add "
                f"config.model.{HEADS[head]}, rows that {width}end in one feature, in a config file."
            )


def play_for(terms: Mapping[str, Term], round: Round, players: Players, key: jax.Array) -> Share:
    """The sum of the terms' shares, with the metrics of all.

    Each has a key of its own, which depends on its name alone: a term more leaves the noise of the others as
    it was. Where there are several terms, each one's share of a loss is a metric too.

    Raises:
      UserError: a term gives no `Share` of scalars, or two log a metric of the same name.
    """
    total, metrics, batch_stats = Share(), {}, {}
    # In an order that the config's does not change: sums are rounded as they are taken. It is the reverse one
    # so that losses stay, to the bit, what they were in earlier versions.
    for name in sorted(terms, reverse=True):
        with _telling_where(name, terms[name]):
            share = terms[name](round, players, jax.random.fold_in(key, zlib.crc32(name.encode())))
        _check(name, share)
        share = _in_float32(share)
        total = total._replace(d=_sum(total.d, share.d), ge=_sum(total.ge, share.ge))
        own = dict(share.metrics) | (_losses(name, share) if len(terms) > 1 else {})
        metrics = join(metrics, own)
        batch_stats = _join_statistics(name, batch_stats, share.batch_stats)
    return total._replace(metrics=metrics, batch_stats=batch_stats)


def _telling_where(name: str, term: Term) -> contextlib.AbstractContextManager:
    """Around a term of the user's own, module:function, what it raises is said of its file."""
    function = getattr(term, "func", term)
    own = ":" in name and inspect.isfunction(function)
    return telling_where(inspect.getfile(function)) if own else contextlib.nullcontext()


def join(*parts: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
    """All metrics together; a UserError where two have one name, or one that the log needs itself."""
    joined: dict[str, jax.Array] = {}
    for part in parts:
        if twice := part.keys() & (joined.keys() | RESERVED):
            raise UserError(
                f"The metric {min(twice)} of a term of config.terms is there already; give it another name, "
                "or drop one of two terms that log it, as hinge is played in place of adversarial."
            )
        joined |= part
    return joined


def _join_statistics(name: str, before: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    if twice := before.keys() & own.keys():
        raise UserError(
            f"The term {name} of config.terms and one before it both give statistics of {min(twice)}; let "
            "one of them leave Share.batch_stats out."
        )
    return {**before, **own}


def _check(name: str, share: Any) -> None:
    if not isinstance(share, Share):
        raise UserError(f"The term {name} of config.terms returned {type(share).__name__}, not a Share.")
    for part, value in {"d": share.d, "ge": share.ge, **share.metrics}.items():
        if value is not None and not isinstance(value, jax.Array | np.ndarray | numbers.Number | np.generic):
            raise UserError(
                f"{part} of the term {name} of config.terms is a {type(value).__name__}; it must be a scalar "
                "array."
            )
        if value is not None and jnp.shape(value) != ():
            raise UserError(
                f"{part} of the term {name} of config.terms has the shape {jnp.shape(value)}; it must be a "
                "scalar, such as the mean over examples."
            )
    for part, value in {"d": share.d, "ge": share.ge}.items():
        if value is not None and not jnp.issubdtype(jnp.result_type(value), jnp.floating):
            raise UserError(
                f"{part} of the term {name} of config.terms is {jnp.result_type(value)}, of which nobody "
                "learns; return a mean of floats."
            )


def _in_float32(share: Share) -> Share:
    """A loss and what is logged keep their digits, whatever the networks compute in."""
    d, ge, metrics = jax.tree.map(lambda value: jnp.asarray(value, jnp.float32), share[:3])
    return share._replace(d=d, ge=ge, metrics=metrics)


def _sum(a: jax.Array | None, b: jax.Array | None) -> jax.Array | None:
    return b if a is None else a if b is None else a + b


def _losses(name: str, share: Share) -> dict[str, jax.Array]:
    """ "loss_labels" of a term with one share, "loss_adversarial_d" and "..._ge" of one with both."""
    name = name.rpartition(":")[2]
    if share.d is None or share.ge is None:
        shares = {"": share.ge if share.d is None else share.d}
    else:
        shares = {"_d": share.d, "_ge": share.ge}
    return {f"loss_{name}{part}": value for part, value in shares.items() if value is not None}
