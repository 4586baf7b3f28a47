"""What the players play for: one function a term; a game is a sum of terms.

`rounds.ForwardPass` is the pass that every game needs, and gives a `Round`; a term is a function of it,

    term(round, players, key, **settings) -> Share

and adds its share to the loss that D descends and to the one that G and E descend together. A config names
its terms and their settings, `config.terms = {"adversarial": {}, "labels": {"weight": 1.0}}`; a term of your
own is named "module:function" (docs/extending.md).

Every module of this package is searched for terms: a new one is a function with `needs` beside it, in a file
of its own or beside others like it.
"""

import importlib.util
import inspect
import math
import numbers
import pkgutil
import sys
from collections.abc import Mapping
from functools import partial
from types import ModuleType
from typing import Any

from ali_jax.errors import UserError, first_line, telling_where
from ali_jax.models import Encoding, Judgement
from ali_jax.ranges import SETTINGS, require
from ali_jax.terms.game import Comparison, Players, Round, Share, Term, join, play_for
from ali_jax.terms.needs import Needs, check_batch, check_needs, need_of, needs
from ali_jax.terms.pairs import adversarial

__all__ = [
    "ADVERSARIAL",
    "TERMS",
    "Comparison",
    "Encoding",
    "Judgement",
    "Needs",
    "Players",
    "Round",
    "Share",
    "Term",
    "bind",
    "check_batch",
    "check_needs",
    "find",
    "join",
    "needs",
    "needs_of",
    "play_for",
]


def _search() -> dict[str, Term]:
    modules = (
        importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)
    )
    functions = (value for module in modules for value in vars(module).values() if inspect.isfunction(value))
    terms: dict[str, Term] = {}
    for function in functions:
        if hasattr(function, "needs") and terms.setdefault(function.__name__, function) is not function:
            raise ImportError(f"two terms are called {function.__name__}")
    return terms


TERMS: dict[str, Term] = dict(sorted(_search().items()))
ADVERSARIAL: Mapping[str, Term] = {"adversarial": adversarial}  # the game of the paper


def bind(named: Mapping[str, Mapping[str, Any]]) -> dict[str, Term]:
    """The terms of a config, config.terms, with their settings bound, by name in alphabetical order.

    Args:
      named: term -> its settings; also a ConfigDict.

    A setting that is traced, as by a vmap over weights, is bound by hand: `partial(find("cycle"), weight=w)`.

    Raises:
      UserError: a term or a setting that there is not, or no term at all.
    """
    named = named.to_dict() if hasattr(named, "to_dict") else named
    if not isinstance(named, Mapping):
        raise UserError(
            f"config.terms is {named!r}; give a mapping of terms to their settings, such as "
            "{'adversarial': {}}."
        )
    if not named:
        raise UserError(f"config.terms is empty, so nobody plays for anything; choose of {', '.join(TERMS)}.")
    return {name: _bound(name, named[name]) for name in sorted(named)}


def _bound(name: str, settings: Any) -> Term:
    term = find(name)
    parameters = _settings(name, term)
    known = [p.name for p in parameters if p.kind is not p.VAR_KEYWORD]
    if not isinstance(settings, Mapping):
        raise UserError(
            f"config.terms has {settings!r} for {name}; give a mapping of its settings "
            f"({', '.join(known) or 'it has none'}), or an empty one."
        )
    for setting in settings:
        if setting not in known and len(known) == len(parameters):
            raise UserError(
                f"The term {name} of config.terms has no setting {setting!r}; "
                f"choose of {', '.join(known) or 'none'}."
            )
    for parameter in parameters:
        _check_value(name, parameter, settings)
    return partial(term, **settings)


def _settings(name: str, term: Term) -> list[inspect.Parameter]:
    """The parameters of a term after the three that all have."""
    try:
        parameters = [*inspect.signature(term).parameters.values()]
    except (TypeError, ValueError):
        parameters = []
    by_place = [p for p in parameters[:3] if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(by_place) < 3:
        raise UserError(
            f"{name} of config.terms is no term; a term is a function of (round, players, key) and, after "
            "these, of its settings."
        )
    return parameters[3:]


def _check_value(name: str, parameter: inspect.Parameter, settings: Mapping[str, Any]) -> None:
    default = parameter.default
    if parameter.kind is parameter.VAR_KEYWORD or (
        parameter.name not in settings and default is not parameter.empty
    ):
        return
    if parameter.name not in settings:
        raise UserError(f"The term {name} of config.terms needs the setting {parameter.name!r}; add it.")
    value = settings[parameter.name]
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    wanted = "true or false" if isinstance(default, bool) else "a finite number"
    fits = isinstance(value, bool) if isinstance(default, bool) else number and math.isfinite(value)
    if isinstance(default, bool | int | float) and not fits:
        raise UserError(
            f"The setting {parameter.name} of the term {name} of config.terms is {value!r}; "
            f"it must be {wanted}."
        )
    # Of a user's own term, a setting of the same name may be anything else.
    if name in TERMS and parameter.name in SETTINGS:
        require(
            f"The setting {parameter.name} of the term {name} of config.terms",
            value,
            SETTINGS[parameter.name],
        )


def find(name: str) -> Term:
    """The function of a name in TERMS, or of "module:function"."""
    if ":" not in str(name):
        if name not in TERMS:
            raise UserError(
                f"There is no term {name!r} for config.terms; choose of {', '.join(TERMS)}, or name a "
                "function of your own as module:function."
            )
        return TERMS[name]
    module, _, function = name.partition(":")
    found = sys.modules.get(module) or _imported(name, module)  # __main__ is there, and has no spec
    if not hasattr(found, function):
        raise _no_term(name, f"{module} has no {function}")
    return getattr(found, function)


def _imported(name: str, module: str) -> ModuleType:
    try:
        spec = importlib.util.find_spec(module)
    except Exception as error:  # of a relative name, and whatever importing the packages around it raises
        raise _no_term(name, first_line(error)) from error
    if spec is None:
        raise _no_term(name, f"there is no module {module}")
    with telling_where(str(spec.origin)):
        return importlib.import_module(module)


def _no_term(name: str, reason: str) -> UserError:
    return UserError(
        f"The term {name!r} of config.terms cannot be imported ({reason}); the module must be one that "
        "`python -c 'import ...'` finds from here, and have that function."
    )


def needs_of(terms: Mapping[str, Term]) -> Needs:
    """What a game of these terms needs.

    Raises:
      UserError: two terms exclude each other.
    """
    if not isinstance(terms, Mapping):
        raise UserError(
            f"terms is a {type(terms).__name__}; pass terms=terms.bind({{'adversarial': {{}}}}) of "
            "ali_jax.terms, or another mapping of names to functions."
        )
    if unbound := [name for name, term in terms.items() if not callable(term)]:
        raise UserError(
            f"The term {unbound[0]} is {terms[unbound[0]]!r} and no function; pass terms=terms.bind(...) of "
            "ali_jax.terms, which makes functions of settings."
        )
    each = {name: need_of(term) for name, term in terms.items()}
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
        hidden=any(need.hidden for need in each.values()),
        one_kind=any(need.one_kind for need in each.values()),
        unlabelled=any(need.unlabelled for need in each.values()),
    )
