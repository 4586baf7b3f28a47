"""Programs that train the same networks, run in turn, each in a process of its own, and compared."""

import contextlib
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tqdm import tqdm

from ali_jax.errors import UserError
from experiments.common import markdown, spreads

KILOBYTES = 1 if sys.platform == "darwin" else 1024  # what ru_maxrss counts in


def named(opponents: Sequence[str]) -> dict[str, list[str]]:
    """{name: command} of texts "name: command and its arguments".

    Raises:
      UserError: a text without a name, or two of one name.
    """
    found: dict[str, list[str]] = {}
    for text in opponents:
        name, colon, command = (part.strip() for part in text.partition(":"))
        if not (name and colon and command) or name in found:
            raise UserError(f"--opponent={text!r}: write 'NAME: COMMAND', each with a name of its own.")
        found[name] = shlex.split(command)
    return found


def without(arguments: Sequence[str], names: Sequence[str]) -> list[str]:
    """A command line without the flags of these names, each of which takes a value."""
    kept, left = [], iter(arguments)
    for argument in left:
        name, equals, _ = argument.lstrip("-").partition("=")
        if not argument.startswith("-") or name not in names:
            kept.append(argument)
        elif not equals:  # --rounds 3
            next(left, None)
    return kept


def hold(
    ours: Mapping[str, list[str]], opponents: Mapping[str, list[str]], rounds: int
) -> Iterator[dict[str, Any]]:
    """Runs all commands in turn, `rounds` times; after each, images per second of all rounds, compared.

    Raises:
      UserError: there is no such program, or its name is one of ours, which is said before any runs; or one
        fails.
    """
    if taken := ours.keys() & opponents.keys():
        raise UserError(f"--opponent={min(taken)!r} has the name of one of ours; choose another.")
    for name, (program, *_) in opponents.items():
        if shutil.which(program) is None:
            raise UserError(f"--opponent={name!r}: there is no program {program}; pass its path.")
    runs: dict[str, list[dict]] = {name: [] for name in (*ours, *opponents)}
    for _ in tqdm(range(rounds), desc="rounds", disable=None):
        for name, command in (ours | opponents).items():
            runs[name].append(run(command))
        yield compare(runs, list(ours)) | {"runs": {name: [*each] for name, each in runs.items()}}


def compare(runs: Mapping[str, Sequence[dict]], ours: Sequence[str]) -> dict:
    """Medians and spreads of every program, and of the ratios of ours to each opponent, round by round.

    The best opponent is the one with the highest median.
    """
    rates = {name: [run["images_per_second"] for run in each] for name, each in runs.items()}
    opponents = [name for name in rates if name not in ours]
    ratios = {
        mine: {
            theirs: spreads.median_and_range([a / b for a, b in zip(rates[mine], rates[theirs], strict=True)])
            for theirs in opponents
        }
        for mine in ours
    }
    return {
        "images_per_second": {name: spreads.median_and_range(values) for name, values in rates.items()},
        "best_opponent": max(opponents, key=lambda name: statistics.median(rates[name])),
        "ratios": ratios,
    }


def table(results: Mapping) -> str:
    """The results in Markdown: a row for each program, a column of ratios for each of ours."""
    rates, ratios, best = (results[key] for key in ("images_per_second", "ratios", "best_opponent"))
    head = ["program", "images/s", "peak GB", *(f"{mine} / it" for mine in ratios)]
    rows = []
    for name, rate in rates.items():
        memory = max(run["process_peak_memory_bytes"] for run in results["runs"][name])
        cells = [spreads.told(of[name], 2) if name in of else "" for of in ratios.values()]
        label = f"**{name}** (best opponent)" if name == best else name
        rows.append([label, spreads.told(rate, 0), f"{memory / 1e9:.2f}", *cells])
    return markdown.table(head, rows)


def run(command: list[str]) -> dict:
    """The JSON object that a command prints last, with the peak memory of its process.

    Raises:
      UserError: it cannot be started, or fails, or prints no such object with "images_per_second".
    """
    with tempfile.TemporaryFile("w+") as output:
        try:
            process = subprocess.Popen(command, stdout=output)
        except OSError as error:
            raise UserError(f"{shlex.join(command)} cannot be started ({error.strerror}).") from None
        _, status, usage = os.wait4(process.pid, 0)
        output.seek(0)
        lines = output.read().strip().splitlines()
    if status or not lines:
        code = os.waitstatus_to_exitcode(status)
        raise UserError(f"{shlex.join(command)} ended with status {code} and {len(lines)} lines.")
    with contextlib.suppress(ValueError, TypeError, KeyError):
        found = json.loads(lines[-1])
        if found["images_per_second"] > 0:
            return found | {"process_peak_memory_bytes": usage.ru_maxrss * KILOBYTES}
    raise UserError(
        f"{shlex.join(command)} did not end with a JSON object with images_per_second: {lines[-1]!r}."
    )
