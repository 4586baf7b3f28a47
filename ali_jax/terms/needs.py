"""What a game must have for a term to be played, noted beside the term and checked before a game begins."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp

from ali_jax.errors import UserError
from ali_jax.models import HEADS, TWINS, normalises_by_kind, packing_of
from ali_jax.roles import Roles
from ali_jax.terms.game import Term


class Needs(NamedTuple):
    """What a game must have for a term to be played."""

    generated: bool = True  # pairs of the generator
    labels: bool = False  # of some examples, and a logit of D for each class
    encoder: bool | None = None  # True: an encoder; False: none, as nothing would train it; None: either
    heads: tuple[str, ...] = ()  # of D, from `models.HEADS`
    hidden: bool = False  # D's last hidden layer in the round; a round holds of D what terms need of it
    one_kind: bool = False  # D's judgement of one kind of pairs without the other, as `players.judge` gives
    unlabelled: bool = False  # examples without a label too, where no generated pairs are needed


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
    if normalises_by_kind(discriminator) and (needs.one_kind or needs.labels or not needs.generated):
        raise UserError(
            "These terms show D one kind of pairs without the other, as r1 and r2 do and whoever asks for "
            "classes, and it normalises batches in which both are in turn; set config.model.norm_by_kind to "
            "(), or drop the term."
        )
    for head in needs.heads:
        of_twins = head in TWINS
        slot = f"{head}_stack" if of_twins else f"{head}_head"
        if of_twins and not hasattr(discriminator, "compare"):
            raise UserError(
                f"A term shows D twins ({head}), and {type(discriminator).__name__} has no method "
                "compare, as ali_jax.models.Discriminator has; write one, or drop the term."
            )
        if getattr(discriminator, slot, True) is None:  # a D of another kind need not have slots
            width = f"take twice the channels of {head[0]} and " if of_twins else ""
            raise UserError(
                f"A term asks D for a score that it does not give: its {slot} is None; add "
                f"config.model.{HEADS[head]}, rows that {width}end in one feature, in a config file."
            )
