"""What a term is given, what it gives, and the sum of terms that is a game."""

import contextlib
import inspect
import numbers
import zlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ali_jax.errors import UserError, telling_where
from ali_jax.models import Encoding, Judgement


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
    """Further passes through the networks with the round's parameters, in training.

    `generate(z, frozen=False)`: G's x (M, ...) of z (M, n).
    `encode(x, key, frozen=False)`: E's `Encoding` of x (M, ...), with a draw from q(z|x) by the key.
    `judge(x, z, key, frozen=False, among=None, averaged=False)`: D's `Judgement` of pairs, disturbed as the
    game's are; the key is of that and of the dropout. Batch normalisation is over these pairs alone, or with
    `among=(x_tilde, z)` over as many generated pairs too, as in the round. With `averaged=True` the average
    of D's parameters over steps judges, frozen.
    `compare("xx" or "zz", v, v2, key, frozen=False)`: the `Comparison` of (v, v) and (v, v2), as one batch.

    With `frozen=True` gradients go through to the inputs, and the network does not learn. Conditional
    networks get the attributes of the round's examples, so that there must be M rows. Running statistics are
    not kept, but for those that a term hands on in its `Share`.
    """

    generate: Callable[..., jax.Array]
    encode: Callable[..., Encoding]
    judge: Callable[..., Judgement]
    compare: Callable[..., Comparison] | None = None


class Share(NamedTuple):
    """What a term adds; None: nothing to this loss."""

    d: jax.Array | None = None  # scalar, to the loss of D
    ge: jax.Array | None = None  # scalar, to the loss of G and E
    metrics: Mapping[str, jax.Array] = {}  # scalars to log; every one named "loss_..." is watched for NaN
    batch_stats: Mapping[str, Any] = {}  # to keep, of a head that this term trains: `Comparison.batch_stats`


Term = Callable[..., Share]

RESERVED = frozenset({"step", "images_per_second", "averaged_steps"})  # columns of metrics.jsonl


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
    for part in ("metrics", "batch_stats"):
        if not isinstance(getattr(share, part), Mapping):
            raise UserError(
                f"{part} of the term {name} of config.terms is a {type(getattr(share, part)).__name__}; let "
                "Share have a mapping there, or leave it out."
            )
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
