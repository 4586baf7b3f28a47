"""What says of a workdir which run it holds: config.json, examples.json, labelled_examples.json."""

import contextlib
import json
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict

from ali_jax import config as config_lib
from ali_jax import files
from ali_jax.errors import UserError
from ali_jax.files import write_whole
from ali_jax.models.rows import Row
from ali_jax.paths import local
from ali_jax.run import begun, checkpoints, devices

logger = logging.getLogger(__name__)

LABELLED = "labelled_examples.json"
EXAMPLES = "examples.json"

NO_CONFIG = (AttributeError, KeyError, TypeError, ValueError)  # what `as_config` raises where it gets none

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


def folder(workdir: str | Path) -> Path:
    """The folder that --workdir names, with ~ for the home directory.

    Raises:
      UserError: it names a bucket, or what may not be looked at.
    """
    return local(workdir, "The workdir")


def to_json(config: ConfigDict) -> str:
    """The text of config.json."""
    return json.dumps(config.to_dict(), indent=2, allow_nan=False) + "\n"


def read_config(workdir: Path) -> ConfigDict:
    """The config that `workdir` was trained with; fields that are newer than it have their defaults."""
    path = folder(workdir) / "config.json"
    try:
        return as_config(json.loads(path.read_text()))
    except FileNotFoundError:
        raise UserError(
            f"{workdir} holds no config.json, so no training was started there; pass the --workdir of "
            "a run of ali_jax.main."
        ) from None
    except (*NO_CONFIG, OSError) as error:
        raise UserError(f"{path} cannot be read ({error}); restore it or use another workdir.") from None


def as_config(fields: dict) -> ConfigDict:
    """The config of a config.json's content."""
    config, fields = config_lib.default(), {**fields}
    if "terms" in fields:
        config.terms = config_lib.as_terms(fields.pop("terms"))  # not merged with the default's
    config.update(fields)
    return config


_LAST_OF_ROW = [Row._field_defaults.get(name) for name in Row._fields]


def _comparable(config: ConfigDict) -> dict:
    """What config.json says, rows in full: of the command line they may lack their last values."""
    fields = json.loads(to_json(config))
    for name, rows in fields["model"].items():
        if isinstance(rows, list) and rows and all(isinstance(row, list) for row in rows):
            fields["model"][name] = [row + _LAST_OF_ROW[len(row) :] for row in rows]
    return _without_none(fields)


def _without_none(fields: dict) -> dict:
    """What is None and what is not there are the same."""
    kept = {name: value for name, value in fields.items() if value is not None}
    return {n: _without_none(value) if isinstance(value, dict) else value for n, value in kept.items()}


def check_same_run(config: ConfigDict, workdir: Path) -> None:
    """Raises UserError if `workdir` was begun with a config that trains something else."""
    before, now = (_comparable(c) for c in (read_config(workdir), config))
    may_change = {*MAY_CHANGE} - ({"num_steps"} if config_lib.plans_ahead(config) else set())
    for field in sorted({*before, *now} - may_change):
        was, is_now = before.get(field), now.get(field)
        if was == is_now:
            continue
        known = field in now
        if isinstance(was, dict) and isinstance(is_now, dict):
            inner = next(k for k in sorted({*was, *is_now}) if was.get(k) != is_now.get(k))
            known = inner in is_now or field != "model"  # terms and their settings come and go
            field, was, is_now = f"{field}.{inner}", was.get(inner), is_now.get(inner)
        if isinstance(was, list) and isinstance(is_now, list) and len(was) == len(is_now):
            row = next(i for i in range(len(was)) if was[i] != is_now[i])
            field, was, is_now = f"{field}[{row}]", was[row], is_now[row]
        if not known:
            raise UserError(
                f"{workdir} was begun with config.{field}, which this config has not, as it is of another "
                "version or has other networks; resume it with its own, or pass another --workdir."
            )
        raise UserError(
            f"{workdir} was begun with config.{field} = {_short(was)}, not {_short(is_now)}"
            f"{_hint(field, was)}; resume it with its own config, or pass another --workdir."
        )


def _hint(field: str, was) -> str:
    if field == "num_steps":
        return " (by which its rates or its noise fall)"
    if field == "dataset" and ":" in was:
        return " (where they have moved, a link by the former name serves)"
    return ""


def _short(value) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."


def check(config: ConfigDict, workdir: Path) -> None:
    """Raises UserError where `workdir` cannot be that of this run; needs no data, and writes nothing."""
    if workdir.exists() and not workdir.is_dir():
        raise UserError(f"The workdir {workdir} is a file; pass a folder, or a name that is not there yet.")
    for name in ("checkpoints", checkpoints.UNREADABLE, checkpoints.LATER, "figures"):
        if (workdir / name).exists() and not (workdir / name).is_dir():
            raise UserError(
                f"{workdir / name} is a file, where a run keeps a folder; move it away, or pass another "
                "--workdir."
            )
    if (workdir / "metrics.jsonl").is_dir():
        raise UserError(
            f"{workdir / 'metrics.jsonl'} is a folder, where a run keeps a file; move it away, or pass "
            "another --workdir."
        )
    if (workdir / "config.json").exists():
        check_same_run(config, workdir)
    elif (workdir / "checkpoints").is_dir() and any((workdir / "checkpoints").iterdir()):
        raise UserError(
            f"{workdir} holds checkpoints, but no config.json that says of which run; restore it, or pass "
            "another --workdir."
        )


def check_writable(workdir: Path) -> None:
    """Raises UserError where nothing could be written into `workdir`; writes nothing to find out."""
    there = next(folder for folder in (workdir, *workdir.absolute().parents) if folder.exists())
    if not os.access(there, os.W_OK | os.X_OK):
        kind = "a folder that may not be written" if there.is_dir() else "a file"
        raise _cannot_be_written(workdir, f"{there} is {kind}")


def check_labelled(labelled: np.ndarray | None, workdir: Path) -> None:
    """Raises UserError if `workdir` was begun with other labels known than these."""
    before = _numbers(workdir / LABELLED)
    if labelled is not None and before is not None and before != labelled.tolist():
        raise UserError(
            f"{workdir} was begun with other labelled examples than its data set now gives; restore its "
            "data, or pass another --workdir."
        )


def check_examples(known: dict[str, int], workdir: Path) -> None:
    """Raises UserError if `workdir` was begun on more or fewer examples than these, or on other labels or
    attributes of them; warns of other examples.

    Args:
      known: of the training examples, see `examples.fingerprint`.
    """
    try:
        before = json.loads((workdir / EXAMPLES).read_text())
    except (OSError, ValueError):  # of a run of before it was written, or damaged; nothing else depends on it
        return
    if before == known or not isinstance(before, dict) or not {"count", "crc32"} <= before.keys():
        return
    if before["count"] != known["count"]:
        raise UserError(
            f"{workdir} was begun on {before['count']:,} training examples, and its data set now gives "
            f"{known['count']:,}; restore its data, or pass another --workdir."
        )
    for what in ("labels", "attributes"):  # which runs of before these were kept do not have
        field = f"{what}_crc32"
        if field in before and field in known and before[field] != known[field]:
            raise UserError(
                f"{workdir} was begun with other {what} of its training examples than its data set now has; "
                "restore its data, or pass another --workdir."
            )
    if before["crc32"] == known["crc32"]:
        return
    # Not refused: another version of a decoder may read the same files a little otherwise.
    logger.warning("%s was begun on training examples that are not quite these.", workdir)


@contextlib.contextmanager
def locked(workdir: Path) -> Iterator[None]:
    """Makes a workdir and keeps other runs out of it; of several processes of a run, the first does for all.

    Raises:
      UserError: another run is at work there, or it cannot be written.
    """

    def refuse() -> None:
        raise UserError(
            f"Another run is at work in {workdir}; wait until it ends, or pass another --workdir."
        )

    with contextlib.ExitStack() as held:

        def hold() -> None:
            workdir.mkdir(parents=True, exist_ok=True)
            held.enter_context(files.locked(workdir / ".lock", refuse))

        _by_process_0(hold, workdir)
        yield


def claim(
    workdir: Path,
    config: ConfigDict,
    labelled: np.ndarray | None = None,
    start: dict | None = None,
    known: dict[str, int] | None = None,
) -> None:
    """Makes the workdir and writes config.json there, or checks that the one there agrees.

    Beside it, labelled_examples.json: the numbers of the examples whose label is known; of a new run,
    examples.json, by which its training examples are `known` again; and of one that has no checkpoint yet,
    begun.json (see `begun`).
    """
    is_new = not (workdir / "config.json").exists()
    check(config, workdir)
    check_labelled(labelled, workdir)

    def write() -> None:
        # Of what was begun and left no checkpoint, here or in one of the folders of several, nothing is kept.
        if start and not any(map(checkpoints.kept_steps, (workdir, *workdir.glob("*")))):
            write_whole(workdir / begun.NAME, (json.dumps(start, indent=2) + "\n").encode())
        if known and is_new:
            write_whole(workdir / EXAMPLES, (json.dumps(known) + "\n").encode())
        if labelled is not None:
            write_whole(workdir / LABELLED, json.dumps(labelled.tolist()).encode())
        # Last: with it the run is there, and what says how it was begun has to be there, too.
        write_whole(workdir / "config.json", to_json(config).encode())

    _by_process_0(write, workdir)


def _numbers(path: Path) -> list[int] | None:
    """The numbers in a file; None where there is none, or it is damaged and can only be written anew."""
    try:
        numbers = json.loads(path.read_text())
        if isinstance(numbers, list) and all(isinstance(number, int) for number in numbers):
            return numbers
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        pass
    logger.warning("%s is damaged, and written anew.", path)
    return None


def _by_process_0(write: Callable[[], None], workdir: Path) -> None:
    """Calls `write` in the first process of the run; where it cannot, a UserError in all of them."""

    def attempt() -> None:
        try:
            write()
        except OSError as error:
            raise _cannot_be_written(workdir, error.strerror) from error

    devices.by_process_0(attempt, _cannot_be_written(workdir, "by process 0"))


def _cannot_be_written(workdir: Path, reason: str) -> UserError:
    return UserError(f"The workdir {workdir} cannot be written ({reason}); pass another --workdir.")
