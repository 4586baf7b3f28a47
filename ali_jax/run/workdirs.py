"""What says of a workdir which run it holds: config.json and, with labels, labelled_examples.json."""

import json
from pathlib import Path

import jax
import numpy as np
from ml_collections import ConfigDict

from ali_jax import config as config_lib
from ali_jax.errors import UserError
from ali_jax.models.rows import Row
from ali_jax.run import devices
from ali_jax.run.files import write_whole

# A resumed run may change these; every other field is part of what was trained.
MAY_CHANGE = (
    "num_steps",
    "data_dir",
    "log_every",
    "figures_every",
    "checkpoint_every",
    "keep_checkpoints",
    "steps_per_dispatch",
)


# Runs of before there were terms named an objective, with the weight of the game in D's loss.
FORMER_OBJECTIVES = {
    "joint_adversarial": {"adversarial": {}},
    "semi_supervised": {"labels": {}, "adversarial": {"unlabelled": True}},
    "feature_matching": {
        "labels": {},
        "adversarial": {"unlabelled": True, "ge": 0.0},
        "feature_matching": {},
    },
    "supervised": {"labels": {}},
}


def to_json(config: ConfigDict) -> str:
    """The text of config.json."""
    return json.dumps(config.to_dict(), indent=2) + "\n"


def read_config(workdir: Path) -> ConfigDict:
    """The config that `workdir` was trained with; fields that are newer than it have their defaults."""
    path = Path(workdir) / "config.json"
    try:
        return _as_config(json.loads(path.read_text()))
    except FileNotFoundError:
        raise UserError(
            f"{workdir} holds no config.json, so no training was started there; pass the --workdir of "
            "a run of ali_jax.main."
        ) from None
    except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}); restore it or use another workdir.") from None


def _as_config(fields: dict) -> ConfigDict:
    former = fields.pop("objective", None)
    if former is not None:
        terms = {name: dict(settings) for name, settings in FORMER_OBJECTIVES[former].items()}
        weight = fields.pop("unsupervised_weight", 1.0)
        if weight != 1.0 and "unlabelled" in terms.get("adversarial", {}):
            terms["adversarial"]["d"] = weight
        fields["terms"] = terms
    config = config_lib.default()
    if "terms" in fields:
        config.terms = config_lib.as_terms(fields.pop("terms"))  # not merged with the default's
    config.update(fields)
    return config


def _comparable(config: ConfigDict) -> dict:
    """What config.json says, rows in full: of the command line they may lack their last values."""
    fields = json.loads(to_json(config))
    for name, rows in fields["model"].items():
        if isinstance(rows, list) and rows and all(isinstance(row, list) for row in rows):
            fields["model"][name] = [list(Row(*row)) for row in rows]
    # What is None and what is not there are the same.
    fields["model"] = {name: value for name, value in fields["model"].items() if value is not None}
    return fields


def check_same_run(config: ConfigDict, workdir: Path) -> None:
    """Raises UserError if `workdir` was begun with a config that trains something else."""
    before, now = (_comparable(c) for c in (read_config(workdir), config))
    may_change = {*MAY_CHANGE} - ({"num_steps"} if config_lib.plans_ahead(config) else set())
    for field in sorted({*before, *now} - may_change):
        was, is_now = before.get(field), now.get(field)
        if was == is_now:
            continue
        if isinstance(was, dict) and isinstance(is_now, dict):
            inner = next(k for k in sorted({*was, *is_now}) if was.get(k) != is_now.get(k))
            field, was, is_now = f"{field}.{inner}", was.get(inner), is_now.get(inner)
        if isinstance(was, list) and isinstance(is_now, list) and len(was) == len(is_now):
            row = next(i for i in range(len(was)) if was[i] != is_now[i])
            field, was, is_now = f"{field}[{row}]", was[row], is_now[row]
        raise UserError(
            f"{workdir} was begun with config.{field} = {_short(was)}, not {_short(is_now)}"
            f"{' (by which its rates or its noise fall)' if field == 'num_steps' else ''}; "
            "resume it with its own config, or pass another --workdir."
        )


def _short(value) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."


def claim(workdir: Path, config: ConfigDict, labelled: np.ndarray | None = None) -> None:
    """Makes the workdir and writes config.json there, or checks that the one there agrees.

    Beside it, labelled_examples.json: the numbers of the examples whose label is known.
    """
    if (workdir / "config.json").exists():
        check_same_run(config, workdir)
    kept = workdir / "labelled_examples.json"
    if labelled is not None and kept.exists() and json.loads(kept.read_text()) != labelled.tolist():
        raise UserError(
            f"{workdir} was begun with other labelled examples than {config.dataset} now gives; restore its "
            "data, or pass another --workdir."
        )
    refused = None
    if jax.process_index() == 0:
        try:
            write_whole(workdir / "config.json", to_json(config).encode())
            if labelled is not None:
                write_whole(kept, json.dumps(labelled.tolist()).encode())
        except OSError as error:
            refused = error.strerror
    # All processes stop where the first one cannot write; the others would wait for it without end.
    if devices.any_process(refused is not None):
        raise UserError(
            f"The workdir {workdir} cannot be written ({refused or 'by process 0'}); pass another --workdir."
        )
