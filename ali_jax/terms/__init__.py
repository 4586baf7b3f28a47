"""What the players play for: one function a term; a game is a sum of terms.

`train_step.play` runs the pass that every game needs and gives a `Round`; a term is a function of it,

    term(round, players, key, **settings) -> Share

and adds its share to the loss that D descends and to the one that G and E descend together. A config names
its terms and their settings, `config.terms = {"adversarial": {}, "labels": {"weight": 1.0}}`; a term of your
own is named "module:function" (docs/extending.md).

Every module of this package is searched for terms: a new one is a function with `needs` beside it, in a file
of its own or beside others like it.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from functools import partial
from typing import Any

from ali_jax.errors import UserError, first_line
from ali_jax.models import Encoding, Judgement
from ali_jax.terms.game import Needs, Players, Round, Share, Term, needs, play_for
from ali_jax.terms.pairs import adversarial

__all__ = [
    "ADVERSARIAL",
    "TERMS",
    "Encoding",
    "Judgement",
    "Needs",
    "Players",
    "Round",
    "Share",
    "Term",
    "bind",
    "find",
    "needs",
    "needs_of",
    "play_for",
]


def _search() -> dict[str, Term]:
    modules = (
        importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)
    )
    functions = (value for module in modules for value in vars(module).values() if inspect.isfunction(value))
    return {function.__name__: function for function in functions if hasattr(function, "needs")}


TERMS: dict[str, Term] = dict(sorted(_search().items()))
ADVERSARIAL: Mapping[str, Term] = {"adversarial": adversarial}  # the game of the paper


def bind(named: Mapping[str, Mapping[str, Any]]) -> dict[str, Term]:
    """The terms of a config with their settings bound, by name in alphabetical order.

    Raises:
      UserError: a term or a setting that there is not, or no term at all.
    """
    if not named:
        raise UserError(f"config.terms is empty, so nobody plays for anything; choose of {', '.join(TERMS)}.")
    return {name: _bound(name, named[name]) for name in sorted(named)}


def _bound(name: str, settings: Any) -> Term:
    term = find(name)
    _, _, _, *parameters = inspect.signature(term).parameters.values()
    known = [parameter.name for parameter in parameters]
    if not isinstance(settings, Mapping):
        raise UserError(
            f"config.terms has {settings!r} for {name}; give a mapping of its settings "
            f"({', '.join(known) or 'it has none'}), or an empty one."
        )
    for setting in settings:
        if setting not in known:
            raise UserError(
                f"The term {name} of config.terms has no setting {setting!r}; "
                f"choose of {', '.join(known) or 'none'}."
            )
    for parameter in parameters:
        if parameter.default is parameter.empty and parameter.name not in settings:
            raise UserError(f"The term {name} of config.terms needs the setting {parameter.name!r}; add it.")
    bound = partial(term, **settings)
    bound.needs = getattr(term, "needs", Needs())
    return bound


def find(name: str) -> Term:
    """The function of a name in TERMS, or of "module:function"."""
    if ":" not in name:
        if name not in TERMS:
            raise UserError(
                f"There is no term {name!r} for config.terms; choose of {', '.join(TERMS)}, or name a "
                "function of your own as module:function."
            )
        return TERMS[name]
    module, _, function = name.partition(":")
    try:
        return getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(
            f"The term {name!r} of config.terms cannot be imported ({first_line(error)}); the module must be "
            "one that `python -c 'import ...'` finds from here, and have that function."
        ) from None


def needs_of(terms: Mapping[str, Term]) -> Needs:
    """What a game of these terms needs.

    Raises:
      UserError: two terms exclude each other.
    """
    each = {name: getattr(term, "needs", Needs()) for name, term in terms.items()}
    with_encoder = [name for name, need in each.items() if need.encoder is True]
    without = [name for name, need in each.items() if need.encoder is False]
    if with_encoder and without:
        raise UserError(
            f"The terms {with_encoder[0]} and {without[0]} of config.terms exclude each other: the first "
            "needs an encoder, and the second a game without one; drop one of them."
        )
    return Needs(
        generated=any(need.generated for need in each.values()),
        labels=any(need.labels for need in each.values()),
        encoder=True if with_encoder else False if without else None,
        heads=tuple(sorted({head for need in each.values() for head in need.heads})),
    )
