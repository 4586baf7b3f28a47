"""What a command line overrides of a config, and its terms, of which ml_collections cannot override one.

Terms are a mapping that grows, with keys that hold dots.
"""

import ast
import itertools
import json
from collections.abc import Iterable, Iterator
from typing import Any

from ml_collections import ConfigDict

from ali_jax import config as config_lib
from ali_jax import models
from ali_jax.errors import UserError, nearest


def config_named(argv: list[str]) -> str:
    """The last --config of a command line."""
    named = ""
    for arg, following in itertools.pairwise([*argv[1:], ""]):
        name, equals, value = arg.partition("=")
        if name in ("-config", "--config"):
            named = value if equals else following
    return named


def fields_named(argv: Iterable[str]) -> Iterator[str]:
    """FIELD of every --config.FIELD of a command line."""
    for arg in argv:
        name = arg.split("=")[0].lstrip("-")
        if arg.startswith("-") and name.startswith("config."):
            yield name.removeprefix("config.")


def paths(config: ConfigDict, before: str = "") -> dict[str, None]:
    """Every field of a config and of the configs within it, as overrides name them."""
    found: dict[str, None] = {}
    for name, value in config.items():
        found[f"{before}{name}"] = None
        if isinstance(value, ConfigDict):
            found |= paths(value, f"{before}{name}.")
    return found


def unknown_field(argv: list[str], fields: Iterable[str]) -> str | None:
    """The sentence for the first --config.FIELD that is none of the config's fields."""
    for field in fields_named(without_terms(argv)):
        if field in fields:
            continue
        if field in {f"model.{name}" for name in models.HEADS.values()}:
            return f"config.{field} is not in this config; add its rows in a config file (docs/extending.md)."
        return f"There is no config.{field}; is it {nearest(field, fields)}?"
    return None


def set_terms(config: ConfigDict, argv: list[str]) -> None:
    """Applies every --config.terms of a command line.

    --config.terms={...} is the whole game, --config.terms.NAME={...} a term with its settings, new or not,
    and --config.terms.NAME.SETTING=VALUE one of its settings.
    """
    for path, value in _assignments(argv):
        terms = config.terms.to_dict()
        if not path and isinstance(value, dict):
            terms = value
        elif path and isinstance(value, dict):
            terms[path] = value
        else:
            name, _, setting = path.rpartition(".")
            if not name:
                raise UserError(
                    f"--config.terms{'.' + path if path else ''} is {value!r}; write a mapping, such as "
                    "'{\"adversarial\": {}}', or --config.terms.TERM.SETTING=VALUE."
                )
            terms[name] = {**_mapping(name, terms.get(name, {})), setting: value}
        for name, settings in terms.items():
            _mapping(name, settings)
        with config.unlocked(), config.ignore_type():
            config.terms = config_lib.as_terms(terms)


def _mapping(name: str, settings: Any) -> dict:
    if not isinstance(settings, dict):
        raise UserError(
            f"--config.terms gives {name} {settings!r}; write a mapping of its settings, or {{}}."
        )
    return settings


def _assignments(argv: list[str]) -> Iterator[tuple[str, Any]]:
    """("adversarial.d", 0.5) of --config.terms.adversarial.d=0.5."""
    for arg in filter(_sets_terms, argv[1:]):
        path, equals, text = arg.lstrip("-").partition("=")
        if not equals:
            raise UserError(f"Write --{path}=VALUE, with = and no space.")
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = _literal(text)
        yield path.removeprefix("config.terms").removeprefix("."), value


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (MemoryError, RecursionError, SyntaxError, TypeError, ValueError):
        return text


def sets_terms(argv: list[str]) -> bool:
    """Whether a command line changes the terms of its config."""
    return any(map(_sets_terms, argv[1:]))


def without_terms(argv: list[str]) -> list[str]:
    """A command line without every --config.terms."""
    return [arg for arg in argv if not _sets_terms(arg)]


def _sets_terms(arg: str) -> bool:
    name = arg.split("=")[0].lstrip("-")
    return arg.startswith("-") and (name == "config.terms" or name.startswith("config.terms."))
